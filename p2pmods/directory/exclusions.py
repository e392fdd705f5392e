"""Fetchers that failed get no lease for a minute."""

from __future__ import annotations

import math
from typing import Final

from p2pmods.directory.lately import remember

EXCLUDED_FOR: Final = 60.0  # seconds
PARDONED_EVERY: Final = 600.0  # seconds; or one who only comes back for that would be pardoned for ever
_MOST: Final = 1024  # nodes; the oldest goes first


class Exclusions:
    """Who failed, and until when that counts."""

    def __init__(self) -> None:
        self._until: dict[str, float] = {}
        self._unpardonable: dict[str, float] = {}  # until when

    def exclude(self, node: str, *, now: float) -> None:
        """`node` failed now."""
        remember(self._until, node, now + EXCLUDED_FOR, most=_MOST)

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

    def pardon(self, node: str, *, now: float) -> None:
        """It was out of reach, and is back: what it failed with counts no more. Once in ten minutes."""
        if self._unpardonable.get(node, now) <= now and self._until.pop(node, None) is not None:
            remember(self._unpardonable, node, now + PARDONED_EVERY, most=_MOST)

    def clear(self) -> None:
        """All is forgiven."""
        self._until.clear()
