"""What a home has under way for its keys."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from p2pmods.directory.exclusions import EXCLUDED_FOR, Exclusions
from p2pmods.directory.timers import Timers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from p2pmods.directory.lease import Lease
    from p2pmods.directory.messages import Claim

MAX_CASES: Final = 4096  # keys; for one more, everybody is on their own
MAX_PARKED: Final = 1024  # claims of one key that wait for an answer


@dataclass(frozen=True, slots=True)
class Pending:
    """A claim that is not answered yet: the request `call` by or for `claimant`. `is_its_own`: it says so itself, or
    a home of the key, and not just any director."""

    call: int
    claimant: str
    claim: Claim
    is_its_own: bool = True

    def avoids(self, homes: Iterable[str]) -> bool:
        """Whether its claimant heeds none of these."""
        return set(homes) <= set(self.claim.avoid)


@dataclass(slots=True)
class Round:
    """This home is about to grant a lease and asks the others; `asks` are those not answered, with whom.

    `is_probe`: it asks only whether a home of the key is reached. `instead_of` is the token of a lease that failed.
    """

    grantee: Pending
    ends: float
    asks: dict[int, str] = field(default_factory=dict)
    is_extended: bool = False
    is_probe: bool = False
    instead_of: bytes | None = None


@dataclass(slots=True)
class Case:
    """`lease` may be one that is only intended, here while `round` is on, or by another home."""

    key: bytes
    lease: Lease | None = None
    rival: Lease | None = None  # a second fetcher, to be stopped when the first is next heard of
    round: Round | None = None
    parked: list[Pending] = field(default_factory=list)  # until the round is over
    complaining: list[Pending] = field(default_factory=list)  # until enough complain, or `patience` ends
    patience: float = math.inf
    failed: Exclusions = field(default_factory=Exclusions)  # fetchers of this key
    ended: bytes = b""  # the token of the lease that was released last
    disbelieved: Exclusions = field(default_factory=Exclusions)  # leases that nobody took up: tokens in hex

    def is_idle(self, now: float) -> bool:
        """Whether there is nothing left to remember."""
        under_way = self.lease or self.round or self.parked or self.complaining
        return not under_way and not self.failed.count(now=now) and not self.disbelieved.count(now=now)


class Cases:
    """The cases by key, and the fetchers that failed with any of them. `is_told(key, home)`: renewals of a lease that
    `home` granted are sent here."""

    def __init__(self, is_told: Callable[[bytes, str], bool]) -> None:
        self._is_told = is_told
        self.excluded = Exclusions()
        self.timers = Timers()
        self._cases: dict[bytes, Case] = {}

    def __len__(self) -> int:
        return len(self._cases)

    def find(self, key: bytes) -> Case | None:
        """The case of `key`, if there is one."""
        return self._cases.get(key)

    def obtain(self, key: bytes, *, now: float) -> Case | None:
        """The case of `key`, a new one if need be, without a lease that has run out. None when there are too many."""
        case = self._cases.get(key)
        if case is None:
            if len(self._cases) >= MAX_CASES:
                return None
            case = self._cases[key] = Case(key)
        self.lapse(case, now=now)
        self.timers.ring(key, now + EXCLUDED_FOR)
        return case

    def lapse(self, case: Case, *, now: float) -> None:
        """End the case's lease if its time is over."""
        lease = case.lease
        if lease is None or case.round is not None or lease.expires > now:
            return
        if not lease.is_firm:
            case.disbelieved.exclude(lease.terms.token.hex(), now=now)
        self.fail(case, now=now)

    def fail(self, case: Case, *, now: float) -> None:
        """The case's lease is over without result; a fetcher that had taken it up gets no other for a minute, and of
        other keys neither, unless it was only slow. Its rival goes on, if there is one.
        """
        lease, case.lease, case.rival = case.lease, case.rival, None
        if lease is None or not lease.is_firm:
            return
        if self._is_told(case.key, lease.terms.home):  # else its renewals go elsewhere, and it may be at it
            case.failed.exclude(lease.terms.fetcher, now=now)
            if not lease.is_advancing(now):
                self.excluded.exclude(lease.terms.fetcher, now=now)

    def release(self, case: Case) -> None:
        """The case's lease was ended by its fetcher, which is held against nobody here. Its rival goes on."""
        if case.lease is not None:
            case.ended = case.lease.terms.token
        if case.round is None:
            case.lease, case.rival = case.rival, None

    def schedule(self, case: Case) -> None:
        """Ring when something about the case ends by itself."""
        ends = case.round.ends if case.round else math.inf
        expires = case.lease.expires if case.lease and not case.round else math.inf
        soonest = min(ends, expires, case.patience)
        if soonest < math.inf:
            self.timers.ring(case.key, soonest)

    def close_if_idle(self, case: Case, *, now: float) -> None:
        """Forget it when there is nothing left to remember; look again later otherwise."""
        if case.is_idle(now):
            self._cases.pop(case.key, None)
        else:
            self.schedule(case)
            self.timers.ring(case.key, now + EXCLUDED_FOR)

    def may_fetch(self, case: Case, node: str, *, now: float) -> bool:
        """Whether `node` did not fail lately, with this key or another."""
        return not (case.failed.excludes(node, now=now) or self.excluded.excludes(node, now=now))

    def pardon(self, node: str, *, now: float) -> None:
        """It was out of reach: with other keys than those that it failed with it may fetch again."""
        self.excluded.pardon(node, now=now)

    def pardon_all(self) -> None:
        """Who failed may fetch again."""
        self.excluded.clear()
        for case in self._cases.values():
            case.failed.clear()

    def clear(self) -> list[Pending]:
        """Forget all; those who wait for an answer."""
        waiting = []
        for case in self._cases.values():
            waiting += case.parked + case.complaining + ([case.round.grantee] if case.round else [])
        self._cases.clear()
        self.timers.clear()
        self.excluded.clear()
        return waiting
