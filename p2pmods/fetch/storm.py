"""Whether a build is fetching as fast as it can, so that everything which can wait should."""

from __future__ import annotations

from collections import deque
from typing import Final

MANY: Final = 12  # fetches: more than a `go get` of a module or three …
WITHIN: Final = 5.0  # … begun within so many seconds are a storm, even if each waited for its proof
QUIET: Final = 2.0  # seconds without a new fetch end it: go may unpack a large zip between two
LONGEST: Final = 20.0  # seconds after which what waits need not wait any more, storm or not


class Storm:
    """`now` is any monotonic clock, in seconds."""

    def __init__(self) -> None:
        self._begun: deque[float] = deque(maxlen=MANY)
        self._since: float | None = None

    def note(self, *, now: float) -> None:
        """A fetch from outside begins."""
        if not self.is_on(now=now):
            self._since = None
        self._begun.append(now)
        if self._since is None and self._is_many():
            self._since = now

    def is_on(self, *, now: float) -> bool:
        """From the last of MANY fetches begun within WITHIN seconds until QUIET seconds without a new one."""
        return self._since is not None and now - self._begun[-1] < QUIET

    def wait(self, *, now: float) -> float:
        """Seconds that work in the background should wait now; 0.0 when it may go on."""
        if self._since is None or not self.is_on(now=now) or now - self._since >= LONGEST:
            return 0.0
        return QUIET

    def _is_many(self) -> bool:
        return len(self._begun) == MANY and self._begun[-1] - self._begun[0] < WITHIN
