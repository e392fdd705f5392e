"""A server that says what it is told to, byte for byte, whatever is asked of it."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import trio

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


class RawServer:
    """Each request, on any connection, gets the next of `answers`; after one that ends in `end`, the end."""

    def __init__(self, *answers: bytes, end: bool = False) -> None:
        self.answers = list(answers)
        self.end = end
        self.asked: list[bytes] = []
        self.connections = 0
        self.url = ""

    @asynccontextmanager
    async def running(self) -> AsyncIterator[RawServer]:
        listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
        self.url = f"http://127.0.0.1:{listeners[0].socket.getsockname()[1]}"
        async with trio.open_nursery() as nursery:
            nursery.start_soon(trio.serve_listeners, self._serve, listeners)
            yield self
            nursery.cancel_scope.cancel()

    async def _serve(self, stream: trio.SocketStream) -> None:
        self.connections += 1
        try:
            while asked := await stream.receive_some(65536):
                self.asked.append(bytes(asked))
                await stream.send_all(self.answers.pop(0))
                if self.end:
                    return
        except trio.BrokenResourceError:
            pass
        finally:
            await trio.aclose_forcefully(stream)
