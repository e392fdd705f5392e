"""A member that speaks the protocol and does harm, on one of the lab's machines.

`python -m simulations.lab.liar WAY DIRECTORY SECRET ADDRESS NODE=HOST:PORT …` meets those nodes, prints `ready` and
lies until it is stopped. `ADDRESS` is its own, `WAY` one of WAYS.
"""

from __future__ import annotations

import hashlib
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

import trio

from p2pmods.config.values import Address
from p2pmods.directory.messages import Claim, Found, Growing, Intend, Location, Lookup, Wait
from p2pmods.identity.records import Endpoint
from p2pmods.identity.swarm import Swarm
from p2pmods.swarm.messages import (
    FETCHING,
    READY,
    FileHead,
    GetFile,
    GetSmall,
    Small,
    SmallFiles,
    SmallHead,
    pack_small,
)
from simulations.lab.hostile import TOKEN, being_eve, refusing, replying, sending, silent

if TYPE_CHECKING:
    from p2pmods.mesh.call import Call, Handler
    from simulations.lab.hostile import Eve

_POISON: Final = b"PK\3\4" + bytes(300_000)
_TIME: Final = 10.0  # seconds until all have been met


def give_wrong_bytes(eve: Eve) -> None:
    """She holds everything, as she says, and what she gives is something else."""
    sha256 = hashlib.sha256(_POISON).digest()
    holder = eve.holder(_POISON, sha256)
    location = Location((holder,), None)

    async def found(call: Call) -> None:
        await call.reply(Found(tuple([location for _ in call.message.modules]), (eve.record,)))

    small = pack_small(Small(SmallFiles(b'{"Version":"v9.9.9"}', b"module example.org/evil\n"), None))
    eve.says_that_she_holds(_POISON, sha256)
    eve.answers[Lookup] = found
    eve.answers[GetFile] = sending(FileHead(len(_POISON), sha256), _POISON, length=len(_POISON))
    eve.answers[GetSmall] = sending(SmallHead(READY), small, length=len(small))


def refuse(eve: Eve) -> None:
    """She does nothing for anybody."""
    for asked in (Claim, Intend, Lookup, GetFile, GetSmall):
        eve.answers[asked] = refusing(64)


def stall(eve: Eve) -> None:
    """She fetches everything, as she says, and sends heads without bodies."""
    wait = Wait(Growing(eve.node_id, TOKEN, 0), limited=False, record=eve.record)
    eve.answers[Claim] = replying(wait)
    eve.answers[GetFile] = sending_no_end(FileHead(None, None))
    eve.answers[GetSmall] = sending_no_end(SmallHead(FETCHING))


def say_nothing(eve: Eve) -> None:
    """She takes every question, and answers none."""
    for asked in (Claim, Intend, Lookup, GetFile, GetSmall):
        eve.answers[asked] = silent


def sending_no_end(head: object) -> Handler:
    async def handler(call: Call) -> None:
        await call.reply_stream(head)
        await trio.sleep_forever()

    return handler


WAYS: Final = {"wrong": give_wrong_bytes, "refuse": refuse, "stall": stall, "silent": say_nothing}


async def main(way: str, directory: str, secret: str, here: str, *others: str) -> None:
    number = 1 + sorted(WAYS).index(way)
    async with being_eve(Path(directory), number, Swarm("lab", bytes.fromhex(secret)), Address(here, 0)) as eve:
        WAYS[way](eve)
        with trio.fail_after(_TIME):
            for other in others:
                node, _, place = other.partition("=")
                host, _, port = place.rpartition(":")
                await eve.meet(node, Endpoint(host, int(port)))
        print("ready", flush=True)
        await trio.sleep_forever()


if __name__ == "__main__":
    trio.run(partial(main, *sys.argv[1:]))
