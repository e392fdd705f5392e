"""A zip that is here in part: what has come of it so far, in whatever order and from whomever."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Protocol

from p2pmods.swarm.pieces import PIECE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from p2pmods.store.temp import TempFile


class Room(Protocol):
    """Where the bytes lie; `content` are all of them. What writes or reads raises StoreError."""

    @property
    def size(self) -> int: ...
    def write(self, data: bytes, /) -> None: ...
    def restart(self) -> None: ...
    def write_at(self, offset: int, data: bytes, /) -> None: ...
    def read(self, offset: int, length: int, /) -> bytes: ...
    def cut(self, size: int, /) -> None: ...
    def open(self) -> int | None: ...
    def content(self) -> TempFile | bytes: ...
    def discard(self) -> None: ...


class Partial:
    """A Sink, too, for those who send everything in order. A piece counts when its hash is that of the list: so what
    came for one list is of use for the next, where both have the same piece."""

    def __init__(self, room: Room) -> None:
        self.room = room
        self._hashes: dict[int, bytes] = {}  # of the pieces that are here
        self._in_order = 0  # bytes that were written in order

    @property
    def size(self) -> int:
        """Bytes that came in order."""
        return self._in_order

    @property
    def has_pieces(self) -> bool:
        return bool(self._hashes)

    def write(self, data: bytes, /) -> None:
        """Append."""
        self.room.write(data)
        self._in_order += len(data)

    def restart(self) -> None:
        """Forget everything."""
        self.room.restart()
        self._hashes.clear()
        self._in_order = 0

    def cut_into_pieces(self) -> None:
        """What came in order counts as pieces from now on."""
        for piece in range(self._in_order // PIECE):
            self._hashes[piece] = hashlib.sha256(self.room.read(piece * PIECE, PIECE)).digest()

    def write_piece(self, piece: int, data: bytes, digest: bytes) -> None:
        """Piece number `piece`, whose SHA-256 is `digest`."""
        self._hashes.pop(piece, None)  # until it is there
        self.room.write_at(piece * PIECE, data)
        self._hashes[piece] = digest

    def find(self, hashes: Sequence[bytes], start: int, end: int) -> int:
        """Of the pieces `start` to `end` of a list those that are here, as a set of bits."""
        bits = 0
        for piece in range(start, end):
            if self._hashes.get(piece) == hashes[piece]:
                bits |= 1 << piece
        return bits

    def discard(self) -> None:
        """Nobody needs it."""
        self.room.discard()

    def finish(self, length: int) -> None:
        """All of its pieces are here: drop what was there of a longer object."""
        self.room.cut(length)
