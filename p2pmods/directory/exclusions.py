"""Fetchers that failed get no lease for a minute."""

from __future__ import annotations

import math
from typing import Final

EXCLUDED_FOR: Final = 60.0  # seconds
_MOST: Final = 1024  # nodes; the oldest goes first


class Exclusions:
    """Who failed, and until when that counts."""

    def __init__(self) -> None:
        self._until: dict[str, float] = {}

    def exclude(self, node: str, *, now: float) -> None:
        """`node` failed now."""
        self._until.pop(node, None)
        if len(self._until) >= _MOST:
            del self._until[next(iter(self._until))]
        self._until[node] = now + EXCLUDED_FOR

    def excludes(self, node: str, *, now: float) -> bool:
        """Whether `node` failed within the last minute."""
        return self._until.get(node, now) > now

    def count(self, *, now: float) -> int:
        """How many failed within the last minute."""
        for node in [node for node, until in self._until.items() if until <= now]:
            del self._until[node]
        return len(self._until)

    def since_last(self, *, now: float) -> float:
        """Seconds since the latest failure that still counts; math.inf when there is none."""
        latest = max(self._until.values(), default=-math.inf)
        return now - (latest - EXCLUDED_FOR) if latest > now else math.inf

    def clear(self) -> None:
        """All is forgiven."""
        self._until.clear()
