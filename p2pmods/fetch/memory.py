"""What was not found a moment ago, so that a `go get a/b/c` that probes every prefix is answered at once."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

    from p2pmods.fetch.outcome import FetchFailed

NOT_FOUND_FOR: Final = 60.0  # seconds, as the public mirror and go's own clients expect of a 404
MAX_REMEMBERED: Final = 4096


class NotFoundMemory:
    """Failures whose verdict was "not found", each for 60 s; the oldest goes when there are too many."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._failures: OrderedDict[Hashable, tuple[float, FetchFailed]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._failures)

    def add(self, key: Hashable, failure: FetchFailed) -> None:
        self._failures[key] = (self._monotonic() + NOT_FOUND_FOR, failure)
        self._failures.move_to_end(key)
        while len(self._failures) > MAX_REMEMBERED:
            self._failures.popitem(last=False)

    def get(self, key: Hashable) -> FetchFailed | None:
        """The failure of the last 60 s, if any."""
        found = self._failures.get(key)
        if found is None:
            return None
        until, failure = found
        if self._monotonic() < until:
            return failure
        del self._failures[key]
        return None

    def forget(self, key: Hashable) -> None:
        self._failures.pop(key, None)
