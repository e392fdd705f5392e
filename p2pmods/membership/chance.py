"""Choices made with the entropy a machine is given."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Sequence

    from p2pmods.wire.entropy import Entropy

T = TypeVar("T")


def sample(entropy: Entropy, items: Sequence[T], count: int) -> list[T]:
    """Up to `count` of `items`, each at most once, in random order."""
    pool = list(items)
    chosen = []
    for _ in range(min(count, len(pool))):
        at = int(entropy.random() * len(pool))
        pool[at], pool[-1] = pool[-1], pool[at]
        chosen.append(pool.pop())
    return chosen


def jitter(entropy: Entropy, seconds: float) -> float:
    """`seconds`, a tenth more or less: nodes that started together do not stay together."""
    return seconds * (0.9 + 0.2 * entropy.random())
