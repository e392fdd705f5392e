"""The round trips of late."""

from __future__ import annotations

from collections import deque
from typing import Final

_KEPT: Final = 100


class RoundTrips:
    """The last hundred direct answers to probes, in seconds."""

    def __init__(self) -> None:
        self._samples: deque[float] = deque(maxlen=_KEPT)

    def add(self, seconds: float) -> None:
        self._samples.append(max(0.0, seconds))

    def p99(self) -> float:
        """Of a hundred the second slowest, of fewer the slowest; 0 when there is none."""
        ordered = sorted(self._samples)
        return ordered[max(0, -(-len(ordered) * 99 // 100) - 1)] if ordered else 0.0
