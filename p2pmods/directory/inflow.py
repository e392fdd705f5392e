"""What this node receives from the mesh, all transfers together: whether waiting is worth it."""

from __future__ import annotations

import math
from collections import deque
from typing import Final

WINDOW: Final = 5.0  # seconds
FLOOR: Final = 64 << 10  # bytes a second


class Inflow:
    """One for the node. Its drivers report every byte that came from a peer."""

    def __init__(self) -> None:
        self.last = -math.inf  # when the last byte came
        self._seconds: deque[list[float]] = deque()  # second and bytes, of the window

    def received(self, count: int, *, now: float) -> None:
        """`count` bytes, at least one, came."""
        self.last = now
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
