"""Nodes of this process that are stopped in good order when it is told to end."""

from __future__ import annotations

import signal
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import trio

from p2pmods.cli.ending import ALSO, heeded, told_to_end

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@asynccontextmanager
async def until_told_to_end() -> AsyncIterator[None]:
    """The block is cancelled, and no more than that, when this process is told to end.

    A KeyboardInterrupt would come out of any line of a node, also of one that closes what others wait for.
    """
    with trio.open_signal_receiver(signal.SIGINT, *heeded(ALSO)) as received:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_cancel_when_told, received, nursery.cancel_scope)
            yield
            nursery.cancel_scope.cancel()


async def _cancel_when_told(received: AsyncIterator[int], scope: trio.CancelScope) -> None:
    async for number in received:
        told_to_end(number)
        scope.cancel()
        return
