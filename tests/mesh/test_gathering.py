"""What a node that gathers an object makes of givers whose answers come in the same instant."""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass, field
from random import Random
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
import trio
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from p2pmods.errors import PeerError, PeerRefused
from p2pmods.fetch.receiving import Receiver
from p2pmods.identity.key import node_id, public_bytes
from p2pmods.identity.records import NodeRecord, sign_record
from p2pmods.mesh.gathering import FORSAKEN, NEIGHBOURS, Gathering
from p2pmods.mesh.partial import Partial
from p2pmods.mesh.seeds import Seeds
from p2pmods.store.temp import TempFile
from p2pmods.swarm.bits import first_bits, pack
from p2pmods.swarm.download import LATE_AT_THE_END
from p2pmods.swarm.messages import BUSY
from p2pmods.swarm.piecelist import PieceList
from p2pmods.swarm.pieces import MAX_OTHERS, PIECE, Follow, Followed, Have, ObjectName, Others, Pieces, pack_news
from tests.mesh.piecegiver import PieceGiver
from tests.mesh.world import KEYS

if TYPE_CHECKING:
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
    lasts: float = math.inf

    def __aiter__(self) -> FakeAnswer:
        return self

    async def __anext__(self) -> bytes:
        if self.body:
            await trio.sleep(self.delay)
            body, self.body = self.body, b""
            return body
        if not self.ends:
            await trio.sleep(self.lasts)
        raise StopAsyncIteration

    async def discard(self) -> None:
        await trio.lowlevel.checkpoint()


@dataclass
class FakeLinks:
    """Every giver has the one piece, and gives it when another one is about to be asked for it as well."""

    node_id: str = field(default_factory=lambda: node_id(ME))
    asked: list[str] = field(default_factory=list)

    async def request(self, node: str, message: Any, *, deadline: float, floor: int = 0) -> Any:
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


LARGE = Random(2).randbytes(20 * PIECE)
TOKEN = b"t" * 16


class Room:
    """Links to givers who follow a script: what each says, and then what it does with each request for pieces."""

    def __init__(self, data: bytes, **named: bytes | None) -> None:
        self.node_id = node_id(ME)
        self.name = ObjectName("example.org/acme/widget", "v1.0.0", named.get("sha256"), named.get("token"))
        self.honest = PieceGiver(data)
        self.news: dict[str, bytes] = {}
        self.busy: dict[str, int] = {}  # how often each is busy before it gives
        self.gone: dict[str, float] = {}  # after how many seconds each has no more to say
        self.late: dict[str, float] = {}  # seconds until each has anything to say
        self.followed: list[str] = []
        self.asked: list[str] = []
        self.blamed_first = ""

    async def request(self, node: str, message: Any, *, deadline: float, floor: int = 0) -> Any:
        await trio.lowlevel.checkpoint()
        if isinstance(message, Follow):
            self.followed.append(node)
            if node not in self.news:
                raise PeerError(node, "not there")
            lasts, delay = self.gone.get(node, math.inf), self.late.get(node, 0.0)
            return FakeAnswer(node, Followed(), self.news[node], delay, ends=False, lasts=lasts)
        self.asked.append(node)
        if self.busy.get(node, 0):
            self.busy[node] -= 1
            raise PeerRefused(node, BUSY, "gives enough already")
        start = message.first * PIECE
        return FakeAnswer(node, Pieces(), self.honest.data[start : start + message.count * PIECE], delay=0.01)

    def says(self, key: Ed25519PrivateKey, giver: PieceGiver | None = None) -> None:
        self.news[node_id(key)] = (giver or self.honest).news(self.name, key)

    async def gather(
        self, directory: Path, *sources: Ed25519PrivateKey, signer: Ed25519PrivateKey | None = None
    ) -> tuple[bytes, list[str]]:
        """What was gathered, and who was struck."""
        links, standing = self, SimpleNamespace(record=SimpleNamespace(raw=b"record"), know=lambda _record: None)
        struck: list[str] = []
        gathering = Gathering(links, Seeds(), standing, Random(1), struck.append)  # type: ignore[arg-type]
        room = Receiver(lambda: TempFile(directory))
        try:
            made = None if signer is None else public_bytes(signer)
            nodes = [node_id(key) for key in sources]
            with trio.fail_after(60):
                self.blamed_first = (
                    await gathering.gather(self.name, nodes, Partial(room), lambda _count: None, signer=made)
                )[0]
            return room.read(0, len(self.honest.data) + 1), struck
        finally:
            gathering.seeds.close()
            room.discard()


async def test_one_who_is_busy_is_asked_again(tmp_path: Path, autojump_clock: MockClock) -> None:
    room = Room(LARGE, sha256=hashlib.sha256(LARGE).digest())
    room.says(GIVERS[0])
    room.busy = {node_id(GIVERS[0]): 9}
    assert await room.gather(tmp_path, GIVERS[0]) == (LARGE, [])


async def test_one_with_another_list_is_left_without_a_strike(tmp_path: Path, autojump_clock: MockClock) -> None:
    """Both may be honest about what they hold; pieces of two lists do not mix."""
    room = Room(LARGE, sha256=hashlib.sha256(LARGE).digest())
    room.says(GIVERS[0])
    room.says(GIVERS[1], PieceGiver(bytes(len(LARGE))))
    room.late = {node_id(GIVERS[1]): 0.005}
    assert await room.gather(tmp_path, *GIVERS[:2]) == (LARGE, [])
    assert set(room.asked) == {node_id(GIVERS[0])}


async def test_no_more_are_followed_than_there_may_be_neighbours(tmp_path: Path, autojump_clock: MockClock) -> None:
    keys = [Ed25519PrivateKey.from_private_bytes(bytes([number]) * 32) for number in range(100, 140)]
    room = Room(LARGE, sha256=hashlib.sha256(LARGE).digest())
    for key in keys:
        room.says(key)
    records = [sign_record(NodeRecord(public_bytes(key), bytes(8), 1, (), 0), key).raw for key in keys[1:]]
    named = b"".join(
        pack_news(Others(tuple(records[at : at + MAX_OTHERS]))) for at in range(0, len(records), MAX_OTHERS)
    )
    room.news[node_id(keys[0])] = named + room.news[node_id(keys[0])]
    assert await room.gather(tmp_path, keys[0]) == (LARGE, [])
    assert len(room.followed) == len(set(room.followed)) == NEIGHBOURS


async def test_when_the_fetcher_is_gone_and_nobody_has_more_the_claim_is_decided_anew(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    """The other one follows it too, and has half."""
    fetcher, other = GIVERS[:2]
    room = Room(LARGE, token=TOKEN)
    whole = PieceGiver(LARGE)
    part = whole.list(room.name, fetcher).part(0, fetcher)
    record = sign_record(NodeRecord(public_bytes(other), bytes(8), 1, (), 0), other).raw
    assert part is not None
    half = pack_news(Have(pack(first_bits(10), 10)))
    room.news[node_id(fetcher)] = pack_news(part) + half + pack_news(Others((record,)))
    room.news[node_id(other)] = pack_news(part) + half
    room.gone = {node_id(fetcher): 2.0}
    began = trio.current_time()
    with pytest.raises(PeerError, match="nobody is left"):
        await room.gather(tmp_path, fetcher, signer=fetcher)
    assert 2.0 + FORSAKEN <= trio.current_time() - began < 2.0 + 2 * FORSAKEN
    assert set(room.followed) == {node_id(fetcher), node_id(other)}


async def test_who_ends_an_honest_list_wrongly_under_another_key_answers_for_it(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    """The honest one has just begun to list what it holds when the other says how it ends."""
    honest, liar = GIVERS[:2]
    nobody = Ed25519PrivateKey.generate()
    half = 10 * PIECE
    wrong = LARGE[:half] + bytes(len(LARGE) - half)
    room = Room(wrong, sha256=hashlib.sha256(LARGE).digest())
    begun = PieceList(room.name, public_bytes(honest))
    for at in range(0, half, PIECE):
        begun.append(hashlib.sha256(LARGE[at : at + PIECE]).digest())
    beginning, end = begun.part(0, honest), room.honest.list(room.name, nobody).part(10, nobody)
    assert beginning is not None
    assert end is not None
    room.news[node_id(honest)] = pack_news(beginning) + pack_news(Have(pack(first_bits(10), 10)))
    room.news[node_id(liar)] = pack_news(end) + pack_news(Have(pack(first_bits(20), 20)))
    room.late = {node_id(liar): 0.005}
    assert await room.gather(tmp_path, honest, liar) == (wrong, [])
    assert room.blamed_first == node_id(liar)
