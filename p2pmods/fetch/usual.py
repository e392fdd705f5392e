"""How long something usually takes, by the last times."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_WEIGHT: Final = 0.2  # of the last time


class UsualTime:
    """`seconds`: a mean in which each time weighs less than those after it; 0 before the first."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self.seconds = 0.0
        self._monotonic = monotonic

    @contextmanager
    def measured(self) -> Iterator[None]:
        """The block does it once more. It counts when it succeeds: what fails at once would be called fast."""
        began = self._monotonic()
        yield
        self.seconds += _WEIGHT * (self._monotonic() - began - self.seconds)
