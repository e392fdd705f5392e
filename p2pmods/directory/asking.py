"""Whom a claimant asks, in which order, and how long it waits for the answer."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from p2pmods.directory.actions import Ask
from p2pmods.directory.messages import MAX_AVOIDED, Claim

if TYPE_CHECKING:
    from collections.abc import Callable

    from p2pmods.directory.ability import Ability
    from p2pmods.directory.coldstart import ColdStart
    from p2pmods.directory.inflow import Inflow
    from p2pmods.directory.rendezvous import Rendezvous
    from p2pmods.directory.strikes import Strikes

LEAST_TIMEOUT: Final = 1.0  # seconds since the link was up
ROUND_TRIPS: Final = 4
LINK_UP: Final = 1.0  # seconds that a link may take


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What all claims of a node share. `round_trip` gives the seconds to a node, 0 when they are not known."""

    node: str
    rendezvous: Rendezvous
    strikes: Strikes  # against homes
    silent: Strikes  # against fetchers; a node may be a poor home and a good fetcher
    inflow: Inflow
    cold_start: ColdStart
    round_trip: Callable[[str], float]


@dataclass(frozen=True, slots=True)
class Wanted:
    """A zip: its key, its path@version, what this node could do for others, and its signed record."""

    key: bytes
    module: str
    ability: Ability
    record: bytes


class Asking:
    """One question at a time; `home` is whom it goes, or last went, to."""

    def __init__(self, wanted: Wanted, surroundings: Surroundings) -> None:
        self.home = ""
        self.urgent = False
        self._wanted = wanted
        self._around = surroundings
        self._tried: list[str] = []
        self._useless: list[str] = []  # providers that did not deliver
        self._stalled: bytes | None = None
        self._numbers = itertools.count(1)
        self._ask: int | None = None
        self._until = math.inf

    def is_current(self, ask: int) -> bool:
        """Whether this is the question that an answer is still wanted to. It is then no more."""
        if ask != self._ask:
            return False
        self.drop()
        return True

    def drop(self) -> None:
        """No answer is wanted."""
        self._ask, self._until = None, math.inf

    @property
    def ask(self) -> int | None:
        """The question under way."""
        return self._ask

    @property
    def until(self) -> float:
        """When the question under way counts as unanswered; math.inf when there is none."""
        return self._until

    @property
    def stalled(self) -> bytes | None:
        """The token that the last question complained about."""
        return self._stalled

    def useless(self, nodes: list[str]) -> None:
        """These providers did not deliver."""
        self._useless += nodes

    def not_reached(self) -> None:
        """The home that was asked last has not heard it: another one, which reaches it, may pass the question on."""
        if self.home in self._tried:
            self._tried.remove(self.home)

    def afresh(self) -> None:
        """Whoever was asked may be asked again."""
        self._tried.clear()
        self._useless.clear()

    def next(self, stalled: bytes | None = None, *, urgent: bool = False, now: float) -> list[Ask]:
        """The best home not asked yet; nobody when there is none. `stalled`, `urgent`: as Claim has them."""
        struck = self._around.strikes.struck(now=now)
        homes = self._around.rendezvous.homes(self._wanted.key, struck)
        fresh = [home for home in homes if home not in self._tried]
        if not fresh:
            return []
        self.home = fresh[0]
        return self._question(stalled, urgent, now)

    def best(self, stalled: bytes | None, *, now: float) -> list[Ask]:
        """The best home, whoever was asked before: all who have written off the same source meet there."""
        self._tried.clear()
        return self.next(stalled, urgent=True, now=now)

    def same(self, stalled: bytes | None, *, urgent: bool, now: float) -> list[Ask]:
        """The home that was asked last, once more."""
        if self.home in self._tried:
            self._tried.remove(self.home)
        return self._question(stalled, urgent, now)

    def repeat(self, *, now: float) -> list[Ask]:
        """What was asked last, of the next home."""
        return self.next(self._stalled, urgent=self.urgent, now=now)

    def _question(self, stalled: bytes | None, urgent: bool, now: float) -> list[Ask]:
        self._stalled, self.urgent = stalled, urgent
        timeout = max(LEAST_TIMEOUT, ROUND_TRIPS * self._around.round_trip(self.home))
        self._ask, self._until = next(self._numbers), now + LINK_UP + timeout
        wanted = self._wanted
        claim = Claim(wanted.module, wanted.ability, wanted.record, self._avoid(now), stalled, urgent)
        self._tried.append(self.home)
        return [Ask(self._ask, self.home, claim, timeout)]

    def _avoid(self, now: float) -> tuple[str, ...]:
        blamed = self._around.strikes.blamed(now=now)
        homes = [home for home in self._around.rendezvous.homes(self._wanted.key) if home in blamed]
        avoid = dict.fromkeys([*self._tried, *homes, *self._useless])
        return tuple([node for node in avoid if node != self.home][:MAX_AVOIDED])
