"""Noticing that there is no network, failing fast while there is none, and forgetting it by itself.

Each host has an outage machine: after a failure to reach it, it is left alone for a short period that grows from
failure to failure; then one single request may try again, and the others go on failing fast until that one is
answered. Whoever looks after a host meanwhile ends its outage for all. The node is offline while every host that it
talked to is in an outage. `now` is any monotonic clock.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

FIRST_PERIOD: Final = 2.0
LONGEST_PERIOD: Final = 60.0
PORTAL_FOR: Final = 300.0  # seconds that a portal's page is remembered when nothing else comes
WANTED_FOR: Final = 120.0  # seconds since somebody wanted something of a host, in which it is looked after
PROBE_PATIENCE: Final = 20.0  # a probe that never reports back does not block the next one for longer


@dataclass(frozen=True, slots=True)
class Outage:
    """A host that cannot be reached: not to be tried before `until`, or while the `probe` begun then is under way."""

    until: float
    period: float
    probe: float | None = None


class OfflineState:
    """What is known of the reachability of each host (`host:port`)."""

    def __init__(
        self, *, forced: bool = False, first_period: float = FIRST_PERIOD, longest_period: float = LONGEST_PERIOD
    ) -> None:
        self.forced = forced
        self._first_period = first_period
        self._longest_period = longest_period
        self._outages: dict[str, Outage | None] = {}
        self._answered: dict[str, float] = {}
        self._portal_at = -math.inf
        self._wanted: dict[str, float] = {}  # when something of a host was last wanted in vain
        self._looked: dict[str, float] = {}  # when it was last looked after
        self.on_back: Callable[[], None] = lambda: None  # told when nothing was in reach, and something is again

    @property
    def offline(self) -> bool:
        """Whether the setting says so, or every host that was tried is out of reach."""
        return self.forced or (bool(self._outages) and all(self._outages.values()))

    def wait(self, host: str, *, now: float) -> float:
        """0.0: ask the host now, and tell `failed` or `succeeded`; else the seconds until it may be tried again."""
        outage = self._outages.get(host)
        if outage is None:
            return 0.0
        self._wanted[host] = now
        if now < outage.until:
            return outage.until - now
        # This caller is the probe; whoever comes after it waits for what it finds.
        self._outages[host] = replace(outage, until=now + PROBE_PATIENCE, probe=now)
        return 0.0

    def failed(self, host: str, *, started: float, now: float) -> None:
        """A request begun at `started` could not reach the host. Many that fail together count once."""
        if self._answered.get(host, -1.0) > started:
            return  # somebody got through after this one began, so the host is there
        outage = self._outages.get(host)
        self._wanted[host] = now
        if outage is None:
            self._outages[host] = Outage(now + self._first_period, self._first_period)
        elif outage.probe is not None and started >= outage.probe:
            period = min(outage.period * 2, self._longest_period)
            self._outages[host] = Outage(now + period, period)

    def succeeded(self, host: str, *, now: float) -> None:
        """The host answered. When all were out of reach the network is back, and all may be tried."""
        is_back = self.offline and self._outages.get(host) is not None
        if is_back:
            self._forget_outages()
        self._outages[host] = None
        self._answered[host] = now
        if is_back:
            self.on_back()

    def host_to_look_after(self, known: Collection[str], *, now: float) -> str | None:
        """Of those of `known` that are out of reach and were wanted lately the one not looked after for longest.

        None when there is no such host, and while a portal answers for all of them. Tell `succeeded` when it answers.
        """
        if self.forced or self.is_captive(now=now):
            return None
        out = [host for host in known if self._outages.get(host) and now - self._wanted[host] < WANTED_FOR]
        host = min(out, key=lambda one: self._looked.get(one, -math.inf), default=None)
        if host is not None:
            self._looked[host] = now
        return host

    def met_portal(self, *, now: float) -> None:
        """A login page came instead of a file."""
        self._portal_at = now

    def delivered(self) -> None:
        """A file came: no portal is in the way."""
        self._portal_at = -math.inf

    def is_captive(self, *, now: float) -> bool:
        """Whether a login page came lately, and no file since."""
        return now - self._portal_at < PORTAL_FOR

    def network_changed(self) -> None:
        """An interface or address of this machine changed: forget every outage, and the portal."""
        self._portal_at = -math.inf
        self._forget_outages()

    def _forget_outages(self) -> None:
        self._outages = dict.fromkeys(self._outages)
