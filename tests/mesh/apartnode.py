"""A real node for one network namespace, with an upstream of its own there: does what it is told, a line each.

`python -m tests.mesh.apartnode DIRECTORY LISTEN [PEER]`. It says `ready NODE-ID`, and `knows NODE-ID…` whenever the
directors that it knows are others. Told `get` it gets the widget's zip, as often as it takes, and says
`got SOURCE GIVER`, then `proven`; told `offline` its upstream fails from then on. It ends with its input, or after
a while.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import trio

from p2pmods.testing import upstream_faults as faults
from tests.world import SWARM, WIDGET, Client, World, open_world

PATIENCE = 60.0  # seconds after which it ends


def say(*words: object) -> None:
    sys.stdout.write(" ".join(map(str, words)) + "\n")
    sys.stdout.flush()


async def main(directory: str, listen: str, *peers: str) -> None:
    async with open_world(Path(directory)) as world:
        world.publish()
        settings: dict[str, Any] = {
            "mesh": True,
            "swarm": f"{SWARM.name}:{SWARM.secret.hex()}",
            "peer_listen": listen,
            "peers": list(peers),
            "mdns": False,
        }
        async with world.node(**settings) as client, trio.open_nursery() as nursery:
            say("ready", client.node.node_id)
            nursery.start_soon(say_whom_it_knows, client)
            await obey(world, client)
            nursery.cancel_scope.cancel()


async def main_for_a_while(*arguments: str) -> None:
    with trio.move_on_after(PATIENCE):
        await main(*arguments)


async def say_whom_it_knows(client: Client) -> None:
    assert client.node.mesh is not None
    known: frozenset[str] = frozenset()
    while True:
        now = client.node.mesh.peers.known
        if now != known:
            known = now
            say("knows", *sorted(known))
        await trio.sleep(0.1)


async def obey(world: World, client: Client) -> None:
    while line := await trio.to_thread.run_sync(sys.stdin.readline, abandon_on_cancel=True):
        if line == "offline\n":
            world.upstream.fault("", faults.status(503))
        else:
            while (answer := await client.file(WIDGET, "zip")).status_code != 200:
                say("failed", answer.text.replace("\n", " "))
                await trio.sleep(0.5)
            found = [file for file in (await client.why(WIDGET))["files"] if file["name"] == "zip"]
            say("got", answer.headers["P2pmods-Source"], found[0]["source"]["id"])
            await client.wait_proven()
            say("proven")


if __name__ == "__main__":
    trio.run(main_for_a_while, *sys.argv[1:])
