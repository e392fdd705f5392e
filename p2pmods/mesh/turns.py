"""Who may send pieces now: a few at a time, whoever waited longest first, and no peer more than its share."""

from __future__ import annotations

from collections import Counter
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

import trio

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

AT_ONCE: Final = 4
OF_PEER: Final = 2
MAX_QUEUE: Final = 128  # that wait
MAX_QUEUE_OF_PEER: Final = 12


class Turns:
    """Of all requests for pieces together."""

    def __init__(self) -> None:
        self._now: Counter[str] = Counter()
        self._waiting: list[tuple[str, trio.Event]] = []

    def may_queue(self, peer: str) -> bool:
        """Whether one more request of `peer` may wait for its turn."""
        return len(self._waiting) < MAX_QUEUE and sum(one == peer for one, _ in self._waiting) < MAX_QUEUE_OF_PEER

    @asynccontextmanager
    async def turn(self, peer: str) -> AsyncIterator[None]:
        """Waits for it; the block is the turn."""
        entry = peer, trio.Event()
        self._waiting.append(entry)
        self._call_up()
        try:
            await entry[1].wait()
            yield
        finally:
            if entry in self._waiting:
                self._waiting.remove(entry)
            else:
                self._now[peer] -= 1
                self._now += Counter()  # nobody is kept for nothing
            self._call_up()

    def _call_up(self) -> None:
        for entry in list(self._waiting):
            peer, event = entry
            if self._now.total() >= AT_ONCE:
                return
            if self._now[peer] < OF_PEER:
                self._waiting.remove(entry)
                self._now[peer] += 1
                event.set()
