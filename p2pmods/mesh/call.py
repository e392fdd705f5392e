"""A peer's request, as its handler sees it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Protocol

import trio

from p2pmods.wire.codec import encode

if TYPE_CHECKING:
    from p2pmods.wire.mux import Mux


class Carrier(Protocol):
    """The link, as a call sees it."""

    @property
    def peer(self) -> str: ...
    @property
    def host(self) -> str: ...
    @property
    def here(self) -> str: ...
    @property
    def mux(self) -> Mux: ...
    def flush(self) -> None: ...
    async def wait_room(self, request: int) -> None: ...


class Call:
    """Answer with `reply`, or `reply_stream` and then `send` and `end`, or `refuse`, once.

    A call that its peer does not want any more, or whose link has ended, is cancelled with its handler.
    `request` is None for a notice, which has no answer: what is said to it goes nowhere.
    """

    def __init__(self, link: Carrier, request: int | None, message: Any) -> None:
        self.message = message
        self.scope = trio.CancelScope()
        self.is_answered = request is None
        self._link = link
        self._request = 0 if request is None else request  # 0 is nobody's

    @property
    def peer(self) -> str:
        """The node id of who asks."""
        return self._link.peer

    @property
    def host(self) -> str:
        """The address of who asks, as the link that the call came over shows it."""
        return self._link.host.removeprefix("::ffff:")

    @property
    def here(self) -> str:
        """The address of this machine at which that link ends; empty when that is not known any more."""
        return self._link.here

    @property
    def is_notice(self) -> bool:
        return self._request == 0

    async def reply(self, message: object) -> None:
        """The whole answer. Raises ValueError when it is too long."""
        self._link.mux.answer(self._request, encode(message), now=trio.current_time())
        await self._done()

    async def reply_stream(self, message: object, length: int | None = None) -> None:
        """The head of an answer whose body of `length` bytes follows; None when the length is not known."""
        self._link.mux.answer_stream(self._request, encode(message), length, now=trio.current_time())
        self._link.flush()
        await trio.lowlevel.checkpoint()

    async def send(self, data: bytes) -> None:
        """More of the body, as fast as the peer takes it. Raises ValueError when it is more than was announced."""
        left = memoryview(data)
        while left:
            room = self._link.mux.room(self._request)
            if room:
                self._link.mux.send(self._request, left[:room])
                left = left[room:]
                self._link.flush()
            else:
                await self._link.wait_room(self._request)
        await trio.lowlevel.checkpoint()

    async def end(self) -> None:
        """The body is complete. Raises ValueError when it is less than was announced."""
        self._link.mux.end(self._request)
        await self._done()

    async def refuse(self, code: int, text: str) -> None:
        """There is no (more) answer; `code` is a `wire.events.Code` or, from 64 on, what the message defines."""
        self._link.mux.refuse(self._request, code, text)
        await self._done()

    async def _done(self) -> None:
        self.is_answered = True
        self._link.flush()
        await trio.lowlevel.checkpoint()


Handler = Callable[[Call], Awaitable[None]]
