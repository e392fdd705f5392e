"""Reading the body of an answer, and leaving it early without leaving generators behind."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import trio

if TYPE_CHECKING:
    from collections.abc import Callable

    import httpcore


async def read_body(response: httpcore.Response, take: Callable[[bytes], None]) -> None:
    """Hand every piece of the body to `take`; what that raises ends the reading and is raised.

    A body is a chain of async generators, and whoever just stops asking the outermost one leaves the others to the
    garbage collector. So a reading that is to end is cancelled: the next wait for the network unwinds all of them.
    """
    failure: Exception | None = None
    with trio.CancelScope() as scope:
        async for data in response.aiter_stream():
            if failure is None:
                try:
                    take(data)
                except Exception as error:
                    failure = error
                    scope.cancel()
    if failure is not None:
        raise failure


class _Enough(Exception):
    """The beginning is all that was wanted."""


async def read_start(response: httpcore.Response, most: int) -> bytes:
    """At most the first `most` bytes of the body."""
    start = bytearray()

    def take(data: bytes) -> None:
        start.extend(data[: most - len(start)])
        if len(start) == most:
            raise _Enough

    with contextlib.suppress(_Enough):
        await read_body(response, take)
    return bytes(start)
