"""What is kept for each upstream host: places for requests under way, and figures."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import trio

if TYPE_CHECKING:
    from p2pmods.upstream.limits import Limits


@dataclass(frozen=True, slots=True)
class HostStatistics:
    """What one host (`host:port`) was asked for and answered: files, bytes, and attempts beyond the first.

    `last_success` is Unix time.
    """

    host: str
    requests: int
    received: int
    failures: int
    retries: int
    last_failure: str | None
    last_success: float | None


class Places:
    """So many at once (`async with`). Unlike trio's limiter it lets other tasks run only when there is no place."""

    def __init__(self, total: int) -> None:
        self._limiter = trio.CapacityLimiter(total)

    async def __aenter__(self) -> None:
        try:
            self._limiter.acquire_nowait()
        except trio.WouldBlock:
            await self._limiter.acquire()

    async def __aexit__(self, *_: object) -> None:
        self._limiter.release()


class Host:
    """One host, `authority` being its `host:port`."""

    def __init__(self, authority: str, limits: Limits) -> None:
        self.small = Places(limits.small_at_once)
        self.zips = Places(limits.zips_at_once)
        self.received = 0
        self.retries = 0
        self._authority = authority
        self._successes = 0
        self._failures = 0
        self._last_failure: str | None = None
        self._last_success: float | None = None

    def succeeded(self, *, at: float) -> None:
        """A file was delivered at Unix time `at`."""
        self._successes += 1
        self._last_success = at

    def failed(self, reason: str) -> None:
        """A file was not delivered."""
        self._failures += 1
        self._last_failure = reason

    def statistics(self) -> HostStatistics:
        """Frozen figures."""
        return HostStatistics(
            self._authority,
            self._successes + self._failures,
            self.received,
            self._failures,
            self.retries,
            self._last_failure,
            self._last_success,
        )
