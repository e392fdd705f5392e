"""A node without a mesh, for one network namespace: says where it is and whom it hears, a line each.

`python -m tests.mesh.lonenode NODE-ID TAG PORT`. Lines: `at HOST…` when it is there or moved,
`heard NODE-ID HOST… SECONDS` since the start of the process, `problem TEXT`. It ends by itself after a while.
"""

from __future__ import annotations

import sys
import time

import trio

from p2pmods.mesh.interfaces import Presence, presence, read_interfaces
from p2pmods.mesh.mdns import Mdns
from p2pmods.mesh.wake import MachineWatch

BEGAN = time.monotonic()
PATIENCE = 30.0  # seconds after which it ends


def say(*words: object) -> None:
    sys.stdout.write(" ".join(map(str, words)) + "\n")
    sys.stdout.flush()


async def main(node_id: str, tag: str, port: int) -> None:
    mdns = Mdns(node_id, tag)

    def here() -> Presence:
        return presence(read_interfaces(), "", port)

    def moved() -> None:
        mdns.move(here())
        say("at", *here().announced)

    watch = MachineWatch(on_wake=lambda: None, on_change=moved)
    say("at", *here().announced)
    with trio.move_on_after(PATIENCE):
        await listen(mdns, watch, here())


async def listen(mdns: Mdns, watch: MachineWatch, here: Presence) -> None:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(watch.run)
        nursery.start_soon(mdns.run, here)
        nursery.start_soon(_say_problems, mdns)
        async for hint in mdns.hints:
            hosts = [address.host for address in hint.addresses]
            say("heard", hint.node_id, *hosts, f"{time.monotonic() - BEGAN:.3f}")


async def _say_problems(mdns: Mdns) -> None:
    while not mdns.statistics().problem:  # noqa: ASYNC110 - a fault that is looked at, not waited for
        await trio.sleep(0.05)
    say("problem", mdns.statistics().problem)


if __name__ == "__main__":
    trio.run(main, sys.argv[1], sys.argv[2], int(sys.argv[3]))
