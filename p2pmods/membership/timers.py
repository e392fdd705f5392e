"""Named timers of one machine."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Hashable


class Timers:
    """When what is due. A name has one time; setting it again moves it."""

    def __init__(self) -> None:
        self._at: dict[Hashable, float] = {}

    def set(self, name: Hashable, when: float) -> None:
        self._at[name] = when

    def set_no_later(self, name: Hashable, when: float) -> None:
        """As `set`, unless it is due before that anyway."""
        self._at[name] = min(when, self._at.get(name, math.inf))

    def cancel(self, name: Hashable) -> None:
        self._at.pop(name, None)

    def clear(self) -> None:
        self._at.clear()

    def is_set(self, name: Hashable) -> bool:
        return name in self._at

    def when(self, name: Hashable) -> float:
        """When it is due; math.inf when it is not set."""
        return self._at.get(name, math.inf)

    def next(self) -> float:
        """The earliest time; math.inf when nothing is due."""
        return min(self._at.values(), default=math.inf)

    def pop_due(self, now: float) -> Hashable | None:
        """The name due first of those due at `now`, which is then no longer set; None when there is none."""
        if not self._at:
            return None
        name = min(self._at, key=self._at.__getitem__)
        if self._at[name] > now:
            return None
        del self._at[name]
        return name

    def shift(self, seconds: float) -> None:
        """Everything later by `seconds`, or earlier: that much time did not count."""
        self._at = {name: when + seconds for name, when in self._at.items()}
