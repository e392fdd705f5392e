"""Where a machine's chance comes from: `random.Random` in tests and simulations, the operating system in a node."""

from __future__ import annotations

from typing import Protocol


class Entropy(Protocol):
    """What `random.Random` and `random.SystemRandom` both offer."""

    def random(self) -> float:
        """At least 0, below 1."""
        ...

    def randbytes(self, n: int) -> bytes:
        """`n` random bytes."""
        ...
