"""Local health: a node that hears of its own slowness becomes slower to judge others (Lifeguard, section IV-A)."""

from __future__ import annotations

from typing import Final

MOST: Final = 8  # the multiplier


class Awareness:
    """`multiplier` goes from 1, healthy, to 8, and scales the interval and the timeout of probes."""

    def __init__(self) -> None:
        self.multiplier = 1

    def worse(self, by: int = 1) -> None:
        """A probe failed, a relay kept silent, or we had to refute a suspicion."""
        self.multiplier = min(self.multiplier + by, MOST)

    def better(self) -> None:
        """A probe was answered."""
        self.multiplier = max(self.multiplier - 1, 1)
