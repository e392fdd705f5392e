"""How often something may happen."""

from __future__ import annotations


class Pace:
    """A token bucket: `rate` times a second, `burst` times at once."""

    def __init__(self, rate: float, burst: float) -> None:
        self._rate = rate
        self._burst = burst
        self._left = burst
        self._seen: float | None = None

    def take(self, *, now: float) -> bool:
        """Whether it may happen now. `now` is any monotonic clock, in seconds."""
        if self._seen is not None:
            self._left = min(self._burst, self._left + (now - self._seen) * self._rate)
        self._seen = now
        if self._left < 1:
            return False
        self._left -= 1
        return True
