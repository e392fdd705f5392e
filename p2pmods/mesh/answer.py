"""What a peer answers: the head as a message, then the body as it arrives."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any, Protocol

import trio

from p2pmods.errors import MalformedData, PeerError, PeerRefused
from p2pmods.wire.codec import decode
from p2pmods.wire.events import FIRST_OWN_CODE, AnswerArrived, Code, RequestFailed

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


class Moved(Exception):
    """Nobody looked at the request; it can be made again over another link. Never leaves this package."""


class Carrier(Protocol):
    """The link, as an answer sees it."""

    @property
    def peer(self) -> str: ...
    def consumed(self, request: int, amount: int) -> None: ...
    def cancel(self, request: int) -> None: ...


class Answer:
    """`message` is the head, `length` that of the body in bytes, or None where it is not known; 0 without a body.

    Iterate over it for the body, in pieces of 512 KiB at most, which are yours to keep; it raises PeerError when no
    more will come, PeerRefused when the peer says so. Whoever stops early calls `discard`. The deadline of the
    request also ends an answer that nobody reads.
    """

    def __init__(self, link: Carrier, request: int) -> None:
        self.message: Any = None
        self.length: int | None = 0
        self._link = link
        self._request = request
        self._head: AnswerArrived | None = None
        self._pieces: deque[bytes] = deque()
        self._error: PeerError | Moved | None = None
        self._is_complete = False
        self._arrival = trio.lowlevel.ParkingLot()

    @property
    def node_id(self) -> str:
        """Who answers."""
        return self._link.peer

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        try:
            await trio.lowlevel.checkpoint()
            while not (self._pieces or self._is_complete or self._error):
                await self._arrival.park()
        except trio.Cancelled:
            self._give_up()
            raise
        if not self._pieces:
            if self._error is not None:
                raise self._error
            raise StopAsyncIteration
        data = self._pieces[0] if len(self._pieces) == 1 else b"".join(self._pieces)
        self._pieces.clear()
        self._link.consumed(self._request, len(data))
        return data

    async def discard(self) -> None:
        """What is still to come of the body is not wanted. Harmless at any time."""
        self._give_up()
        await trio.lowlevel.checkpoint()

    @property
    def is_used_up(self) -> bool:
        return self._is_complete and not self._pieces

    async def wait_head(self) -> None:
        """Returns when `message` is there. Raises PeerError, or Moved."""
        try:
            while self._head is None and self._error is None:
                await self._arrival.park()
        except trio.Cancelled:
            self._give_up()
            raise
        if self._head is None:
            assert self._error is not None
            raise self._error
        try:
            self.message = decode(self._head.message)
        except MalformedData as error:
            self._give_up()
            raise PeerError(self.node_id, str(error)) from error

    # What the link tells.

    def begun(self, head: AnswerArrived) -> None:
        self._head = head
        self.length = head.length if head.has_body else 0
        self._is_complete = not head.has_body
        self._arrival.unpark_all()

    def arrived(self, data: bytes) -> None:
        self._pieces.append(data)
        self._arrival.unpark_all()

    def completed(self) -> None:
        self._is_complete = True
        self._arrival.unpark_all()

    def failed(self, failure: RequestFailed) -> None:
        """What has arrived can still be read, unless it was our own patience that ended."""
        self._error = _error_of(self.node_id, failure)
        if self._head is not None and isinstance(self._error, Moved):
            self._error = PeerError(self.node_id, "it gave the link up in the middle of its answer")
        if failure.code == Code.TOO_SLOW:
            self._pieces.clear()
        self._arrival.unpark_all()

    def _give_up(self) -> None:
        self._pieces.clear()
        self._error = self._error or PeerError(self.node_id, "the answer was discarded")
        self._link.cancel(self._request)


def _error_of(peer: str, failure: RequestFailed) -> PeerError | Moved:
    if failure.code == Code.MOVED:
        return Moved()
    if failure.code in (Code.LOST, Code.TOO_SLOW):
        return PeerError(peer, failure.text)
    name = failure.text if failure.code >= FIRST_OWN_CODE or failure.text else _NAMES.get(failure.code, "")
    return PeerRefused(peer, failure.code, name)


_NAMES = {code.value: code.name.lower().replace("_", " ") for code in Code}
