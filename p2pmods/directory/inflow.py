"""What this node receives, all transfers together: whether waiting is worth it."""

from __future__ import annotations

import math
from collections import deque
from typing import Final

WINDOW: Final = 5.0  # seconds
FLOOR: Final = 64 << 10  # bytes a second


class Inflow:
    """One for the node. Its drivers report every byte that came from a peer, or that was fetched for all."""

    def __init__(self) -> None:
        self.last = -math.inf  # when the last byte came from a peer
        self._seconds: deque[list[float]] = deque()  # second and bytes, of the window

    def received(self, count: int, *, now: float) -> None:
        """`count` bytes, at least one, came from peers."""
        self.last = now
        self._count(count, now)

    def fetched(self, count: int, *, now: float) -> None:
        """`count` bytes came from upstream. Who fills the line itself has no reason to find others slow."""
        self._count(count, now)

    def _count(self, count: int, now: float) -> None:
        second = math.floor(now)
        if self._seconds and self._seconds[-1][0] == second:
            self._seconds[-1][1] += count
        else:
            self._seconds.append([second, count])
        self._forget(now)

    def is_slow(self, *, now: float) -> bool:
        """Whether less than 64 KiB/s came over the last 5 s."""
        self._forget(now)
        return sum(count for _, count in self._seconds) < FLOOR * WINDOW

    def _forget(self, now: float) -> None:
        while self._seconds and self._seconds[0][0] <= now - WINDOW - 1:
            self._seconds.popleft()
