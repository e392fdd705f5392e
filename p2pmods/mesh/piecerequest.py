"""One request for pieces: the bytes that come, cut where pieces end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import trio

from p2pmods.errors import PeerError
from p2pmods.mesh.limits import HELD_FLOOR
from p2pmods.swarm.pieces import PIECE, GetPieces, Pieces

if TYPE_CHECKING:
    from collections.abc import Callable

    from p2pmods.mesh.answer import Answer
    from p2pmods.mesh.links import Links
    from p2pmods.swarm.download import Request
    from p2pmods.swarm.pieces import ObjectName

DEADLINE: Final = 30.0  # seconds for the answer, the giver's queue included


async def get_pieces(
    links: Links, name: ObjectName, request: Request, length: int | None, put: Callable[[int, bytes], None]
) -> None:
    """`put(piece, data)` for each as it comes, in order; `length` is the object's, where it is known.

    Raises PeerError when not exactly these pieces come, and what `put` raises.
    """
    wanted = GetPieces(name, request.first, request.count)
    deadline = trio.current_time() + DEADLINE
    answer = await links.request(request.node, wanted, deadline=deadline, floor=HELD_FLOOR)
    try:
        if not isinstance(answer.message, Pieces):
            raise PeerError(request.node, "answers something else when asked for pieces")
        await _cut(answer, request, length, put)
    finally:
        with trio.CancelScope(shield=True):
            await answer.discard()  # harmless when nothing is left


async def _cut(answer: Answer, request: Request, length: int | None, put: Callable[[int, bytes], None]) -> None:
    piece, end, buffer = request.first, request.first + request.count, bytearray()
    size = _size(piece, length)
    async for data in answer:
        buffer += data
        while piece < end and len(buffer) >= size:
            put(piece, bytes(buffer[:size]))
            del buffer[:size]
            piece += 1
            size = _size(piece, length)
        if piece == end and buffer:
            raise PeerError(request.node, "sends more than was asked for")
    if piece < end:
        raise PeerError(request.node, "sends less than was asked for")


def _size(piece: int, length: int | None) -> int:
    return PIECE if length is None else min(PIECE, length - piece * PIECE)
