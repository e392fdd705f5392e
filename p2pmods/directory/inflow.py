"""What this node receives, all transfers together: whether waiting is worth it."""

from __future__ import annotations

import math
from collections import deque
from typing import Final

WINDOW: Final = 5.0  # seconds
FLOOR: Final = 64 << 10  # bytes a second
KNOWN_FOR: Final = 60.0  # seconds for which the own line to the upstream counts as slow once it was


class Inflow:
    """One for the node. Its drivers report every byte that came from a peer, or that was fetched for all."""

    def __init__(self) -> None:
        self.last = -math.inf  # when the last byte came from a peer
        self._all = _Recent()
        self._own = _Recent()  # from upstream
        self._own_was_slow = -math.inf  # when

    def received(self, count: int, *, now: float) -> None:
        """`count` bytes, at least one, came from peers."""
        self.last = now
        self._all.count(count, now)

    def fetched(self, count: int, *, since: float, now: float) -> None:
        """`count` bytes came from upstream, for a zip whose first byte came at `since`.

        Who fills the line itself has no reason to find others slow. Many small zips fill none, and say nothing of it.
        """
        self._all.count(count, now)
        self._own.count(count, now)
        if now >= since + WINDOW:
            self._own_was_slow = now if self._own.is_slow(now) else -math.inf

    def is_slow(self, *, now: float) -> bool:
        """Whether less than 64 KiB/s came over the last 5 s, and the own line to the upstream is not known as slow.

        Who has seen that line does not take it for a fault of those who fetch, and does not go there as well.
        """
        return self._all.is_slow(now) and not self.is_line_slow(now=now)

    def is_line_slow(self, *, now: float) -> bool:
        """Whether what this node fetched itself, lately, came as slowly, for as long."""
        return now < self._own_was_slow + KNOWN_FOR


class OwnFetch:
    """One zip that this node fetches for all, as `inflow` hears of it."""

    def __init__(self, inflow: Inflow) -> None:
        self._inflow = inflow
        self._received = 0
        self._since = math.inf  # when the first byte came

    def progress(self, received: int, *, now: float) -> None:
        """It has `received` bytes; fewer than before when it began anew."""
        if received:
            self._since = min(self._since, now)
        self._inflow.fetched(max(0, received - self._received), since=self._since, now=now)
        self._received = received


class _Recent:
    """Bytes by second, of the last few."""

    def __init__(self) -> None:
        self._seconds: deque[list[float]] = deque()  # second and bytes

    def count(self, count: int, now: float) -> None:
        self._forget(now)
        second = math.floor(now)
        if self._seconds and self._seconds[-1][0] == second:
            self._seconds[-1][1] += count
        else:
            self._seconds.append([second, count])

    def is_slow(self, now: float) -> bool:
        self._forget(now)
        return sum(count for _, count in self._seconds) < FLOOR * WINDOW

    def _forget(self, now: float) -> None:
        while self._seconds and self._seconds[0][0] <= now - WINDOW - 1:
            self._seconds.popleft()
