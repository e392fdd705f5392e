"""What a node that gathers an object makes of givers whose answers come in the same instant."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from random import Random
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
import trio

from p2pmods.fetch.receiving import Receiver
from p2pmods.identity.key import node_id
from p2pmods.mesh.gathering import Gathering
from p2pmods.mesh.partial import Partial
from p2pmods.mesh.seeds import Seeds
from p2pmods.store.temp import TempFile
from p2pmods.swarm.download import LATE_AT_THE_END
from p2pmods.swarm.pieces import PIECE, Follow, Followed, ObjectName, Pieces
from tests.mesh.piecegiver import PieceGiver
from tests.mesh.world import KEYS

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from trio.testing import MockClock

ME, *GIVERS = KEYS[:3]
DATA = Random(1).randbytes(PIECE)
NAME = ObjectName("example.org/acme/widget", "v1.0.0", hashlib.sha256(DATA).digest(), None)


@dataclass
class FakeAnswer:
    node_id: str
    message: object
    body: bytes
    delay: float = 0.0
    ends: bool = True

    async def __aiter__(self) -> AsyncIterator[bytes]:
        await trio.sleep(self.delay)
        yield self.body
        if not self.ends:
            await trio.sleep_forever()

    async def discard(self) -> None:
        await trio.lowlevel.checkpoint()


@dataclass
class FakeLinks:
    """Every giver has the one piece, and gives it when another one is about to be asked for it as well."""

    node_id: str = field(default_factory=lambda: node_id(ME))
    asked: list[str] = field(default_factory=list)

    async def request(self, node: str, message: Any, *, deadline: float, has_floor: bool = False) -> Any:
        await trio.lowlevel.checkpoint()
        if isinstance(message, Follow):
            key = next(key for key in GIVERS if node_id(key) == node)
            return FakeAnswer(node, Followed(), PieceGiver(DATA).news(message.name, key), ends=False)
        self.asked.append(node)
        return FakeAnswer(node, Pieces(), DATA, delay=LATE_AT_THE_END)


@pytest.mark.parametrize("_round", range(16))
async def test_a_piece_that_comes_as_another_giver_is_asked_for_it(
    _round: int, tmp_path: Path, autojump_clock: MockClock
) -> None:
    links: Any = FakeLinks()
    standing: Any = SimpleNamespace(record=SimpleNamespace(raw=b"record"))
    struck: list[str] = []
    gathering = Gathering(links, Seeds(), standing, Random(_round), struck.append)
    room = Receiver(lambda: TempFile(tmp_path))
    try:
        came: list[int] = []
        with trio.fail_after(10):
            await gathering.gather(NAME, [node_id(key) for key in GIVERS], Partial(room), came.append)
        assert room.read(0, PIECE) == DATA
        assert came == [PIECE]
        assert links.asked
        assert struck == []
    finally:
        gathering.seeds.close()
        room.discard()
