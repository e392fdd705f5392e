"""Where chance comes from: `random.Random` is one, so is `secrets.SystemRandom` with its bytes."""

from __future__ import annotations

from typing import Protocol


class Entropy(Protocol):
    """Chance, given to machines by their caller: real, or seeded where a history must repeat."""

    def random(self) -> float:
        """A number from 0 up to, not including, 1."""

    def randbytes(self, n: int, /) -> bytes:
        """`n` bytes."""
