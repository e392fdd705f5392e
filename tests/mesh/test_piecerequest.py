"""A request for pieces brings exactly those, whole, or it is an error of the giver."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest
import trio

from p2pmods.errors import PeerError
from p2pmods.identity.key import node_id
from p2pmods.mesh.limits import HELD_FLOOR
from p2pmods.mesh.piecerequest import DEADLINE, get_pieces
from p2pmods.swarm.download import Request
from p2pmods.swarm.pieces import PIECE, Followed, GetPieces, ObjectName, Pieces
from tests.mesh.world import KEYS

GIVER = node_id(KEYS[1])
NAME = ObjectName("example.org/acme/widget", "v1.0.0", bytes(32), None)
ONE, TWO, THREE = (bytes([number]) * PIECE for number in (1, 2, 3))


@dataclass
class Links:
    """Answers one request with these slices."""

    slices: list[bytes]
    message: object = Pieces()
    asked: list[dict[str, Any]] = field(default_factory=list)
    discarded: int = 0

    async def request(self, node: str, message: Any, **named: Any) -> Links:
        await trio.lowlevel.checkpoint()
        self.asked.append({"node": node, "message": message, **named})
        return self

    def __aiter__(self) -> Links:
        return self

    async def __anext__(self) -> bytes:
        await trio.lowlevel.checkpoint()
        if not self.slices:
            raise StopAsyncIteration
        return self.slices.pop(0)

    async def discard(self) -> None:
        await trio.lowlevel.checkpoint()
        self.discarded += 1


async def get(links: Links, first: int = 4, count: int = 2, length: int | None = None) -> dict[int, bytes]:
    came: dict[int, bytes] = {}
    given: Any = links
    await get_pieces(given, NAME, Request(GIVER, first, count), length, came.__setitem__)
    return came


async def test_the_bytes_are_cut_where_pieces_end_however_they_come() -> None:
    body = ONE + TWO
    for size in (PIECE - 1, PIECE, PIECE + 1, 2 * PIECE):
        links = Links([body[at : at + size] for at in range(0, len(body), size)])
        assert await get(links) == {4: ONE, 5: TWO}
        assert links.discarded == 1


async def test_it_is_asked_with_a_deadline_and_a_floor_for_its_speed() -> None:
    links = Links([ONE, TWO])
    before = trio.current_time()
    await get(links)
    (asked,) = links.asked
    assert (asked["node"], asked["message"]) == (GIVER, GetPieces(NAME, 4, 2))
    assert asked["floor"] == HELD_FLOOR
    assert before + DEADLINE <= asked["deadline"] <= trio.current_time() + DEADLINE


async def test_the_last_piece_is_as_long_as_the_object_leaves() -> None:
    assert await get(Links([ONE, b"end"]), length=5 * PIECE + 3) == {4: ONE, 5: b"end"}


@pytest.mark.parametrize(
    ("slices", "length"),
    [
        ([ONE, TWO, b"x"], None),
        ([ONE, TWO + THREE], None),
        ([ONE, b"endx"], 5 * PIECE + 3),
        ([ONE, TWO[:-1]], None),
        ([ONE], None),
        ([], None),
        ([ONE, b"en"], 5 * PIECE + 3),
    ],
)
async def test_more_or_less_than_was_asked_for_is_an_error(slices: list[bytes], length: int | None) -> None:
    links = Links(list(slices))
    with pytest.raises(PeerError, match="than was asked for"):
        await get(links, length=length)
    assert links.discarded == 1


async def test_another_answer_is_an_error() -> None:
    links = Links([ONE, TWO], message=Followed())
    with pytest.raises(PeerError):
        await get(links)
    assert links.discarded == 1
