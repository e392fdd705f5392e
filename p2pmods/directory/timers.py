"""When to look at which key again."""

from __future__ import annotations

import heapq
import math


class Timers:
    """One time per key: the soonest that was asked for since the key last rang."""

    def __init__(self) -> None:
        self._at: dict[bytes, float] = {}
        self._heap: list[tuple[float, bytes]] = []

    def ring(self, key: bytes, at: float) -> None:
        """Ring for `key` at `at`, or sooner if that was asked for."""
        if at < self._at.get(key, math.inf):
            self._at[key] = at
            heapq.heappush(self._heap, (at, key))

    def next(self) -> float:
        """When the next one rings; math.inf when none does."""
        while self._heap and self._at.get(self._heap[0][1]) != self._heap[0][0]:
            heapq.heappop(self._heap)  # a sooner time took its place, and rang
        return self._heap[0][0] if self._heap else math.inf

    def due(self, now: float) -> list[bytes]:
        """The keys whose time has come, each once; they ring no more."""
        found = []
        while self.next() <= now:
            _, key = heapq.heappop(self._heap)
            del self._at[key]
            found.append(key)
        return found

    def clear(self) -> None:
        """Ring for none."""
        self._at.clear()
        self._heap.clear()
