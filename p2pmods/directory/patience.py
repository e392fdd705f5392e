"""How long a waiter waits: by the bytes that it receives itself, whatever a home says."""

from __future__ import annotations

import math
from enum import Enum, auto
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from p2pmods.directory.inflow import Inflow

SILENCE: Final = 3.0  # seconds without a byte of anything from the mesh
CONFIRMED: Final = 5.0  # more of them, when another home confirms the lease
STILL: Final = 15.0  # seconds without a byte of this transfer
LIMITED_STILL: Final = 60.0  # the same while the upstream limits its fetcher: going there as well would make it worse
SETTLED: Final = 5.0  # seconds since the first byte, from which on the rate of all transfers counts
BORNE: Final = 15.0  # seconds more, once, for a fetcher that is slow and gives all it has
NEARLY: Final = 256 << 10  # bytes that are on their way to one to whom all is given
TOLD: Final = 20.0  # seconds for which a home's word on a slow fetcher is of use
LIVELY: Final = 16 << 10  # bytes that put a claim's deadline off by a second, for a large zip may take its time, …
AHEAD: Final = 60.0  # … to so many seconds from now at most,
FURTHEST: Final = 3600.0  # and to so many after the first one


class Verdict(Enum):
    """What to do about a transfer."""

    WAIT = auto()
    ASK = auto()  # another home
    GIVE_UP = auto()


class Patience:
    """With one source, since it was named. `got`: bytes that came of the zip before."""

    def __init__(self, inflow: Inflow, *, got: int = 0, now: float) -> None:
        self._limited_at = -math.inf  # when a home said so
        self.got = got  # bytes, from this source too
        self._complete = False
        self._inflow = inflow
        self._since = now
        self._first: float | None = None
        self._last = now
        self._confirmed: float | None = None
        self._slow_at = -math.inf  # when a home had its say on that
        self._borne_until = -math.inf  # though it is slow

    @property
    def has_begun(self) -> bool:
        """Whether bytes came since the source was named: it is one."""
        return self._first is not None

    def received(self, count: int, *, now: float) -> None:
        """`count` bytes of this transfer came."""
        self._last = now
        self.got += count
        if self._first is None:
            self._first = now

    def complete(self, *, now: float) -> None:
        """No more bytes are to come: what did is being verified, which is no silence."""
        self._complete = True
        self._last = now

    def limit(self, has: int, *, limited: bool, now: float) -> None:
        """A home says whether the line to the upstream is why the fetcher, which has `has` bytes, is slow.

        That is not believed of one that gave nothing of what it has, and of nobody for longer than a minute.
        """
        self._limited_at = now if limited and (self.has_begun or has <= self.got) else -math.inf

    def is_limited(self, *, now: float) -> bool:
        """Whether a home said so lately, and was believed."""
        return now < self._limited_at + LIMITED_STILL

    def confirm(self, has: int, *, now: float) -> None:
        """Another home says that the fetcher is at it, and has `has` bytes."""
        self._confirmed = now
        if self._is_slow(now):
            self._slow_at = now
            if self._borne_until == -math.inf and has <= self.got + NEARLY:
                self._borne_until = now + BORNE  # another one would be no better, unless it lasts

    def verdict(self, *, now: float) -> Verdict:
        """Whether to go on waiting."""
        if self.is_limited(now=now):
            return Verdict.GIVE_UP if now >= self._last + LIMITED_STILL else Verdict.WAIT
        if now >= self._last + STILL:
            return Verdict.GIVE_UP
        if self._is_slow(now) and now >= self._borne_until:
            return Verdict.GIVE_UP if now < self._slow_at + TOLD else Verdict.ASK
        if self._complete or now < self._silent_at():
            return Verdict.WAIT
        return Verdict.ASK if self._confirmed is None or self._broken() else Verdict.GIVE_UP

    def next_timer(self, *, now: float) -> float:
        """When the verdict may be another one."""
        if self.is_limited(now=now):
            return min(self._last, self._limited_at) + LIMITED_STILL
        if self._complete:
            return self._last + STILL
        slow = math.inf if self._first is None else max(self._first + SETTLED, now + 1)
        return min(self._last + STILL, self._silent_at(), slow)

    def _silent_at(self) -> float:
        if self._confirmed is not None and not self._broken():
            return self._confirmed + CONFIRMED
        return max(self._since, self._inflow.last) + SILENCE

    def _broken(self) -> bool:
        """Whether the silence ended after the lease was confirmed."""
        return self._confirmed is not None and self._inflow.last > self._confirmed

    def _is_slow(self, now: float) -> bool:
        settled = self._first is not None and now >= self._first + SETTLED
        return settled and not self._complete and self._inflow.is_slow(now=now)


class Deadline:
    """When a claim goes upstream by itself: `at`. Only bytes put it off."""

    def __init__(self, at: float) -> None:
        self.at = at
        self._furthest = at + FURTHEST

    def put_off(self, count: int, *, now: float) -> None:
        """`count` bytes more have come from peers."""
        self.at = max(self.at, min(self.at + count / LIVELY, now + AHEAD, self._furthest))
