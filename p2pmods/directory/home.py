"""A home's side of the leases: of all who claim a key at the same time one fetches, and the others are sent to it.

`LeaseHome` is told what arrives and says what to do. It asks the other homes of a key before it grants, passes a
claim on when it knows a better home, and remembers what the other homes intend, so that it can stand in for them.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import attrs

from p2pmods.directory.actions import Ask, HomeAction, Refuse, Reply
from p2pmods.directory.case import MAX_PARKED, Case, Cases, Pending
from p2pmods.directory.granting import Granting
from p2pmods.directory.messages import (
    MAX_DELAY,
    MAX_FOUND,
    MAX_FOUND_RECORDS,
    MAX_HOLDERS,
    Alone,
    Claim,
    Found,
    Grant,
    Location,
    Providers,
    Wait,
)
from p2pmods.directory.tenancies import Tenancies
from p2pmods.errors import P2pmodsError

if TYPE_CHECKING:
    from collections.abc import Callable

    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    from p2pmods.directory.holdings import Holdings
    from p2pmods.directory.lease import Lease
    from p2pmods.directory.messages import Intend, Lookup, Release, Renew
    from p2pmods.directory.rendezvous import Rendezvous
    from p2pmods.wire.entropy import Entropy

PASS_ON_FOR: Final = 0.5  # seconds for a better home's answer; the claimant waits for at least one
PATIENCE: Final = 0.5  # seconds in which complaints about one fetcher are collected
MAX_PASSED_ON: Final = 4096
_ENOUGH_FAILED: Final = 2  # fetchers of one key, after which everybody is on their own …
_ALONE_FOR: Final = 10.0  # … for so many seconds since the last of them: who comes later may find the line mended
_ANSWERS: Final = (Providers, Wait, Grant, Alone)


@dataclass(frozen=True, slots=True)
class HomeStatistics:
    """Of this moment; `forged` renewals since the start."""

    cases: int
    passed_on: int
    forged: int


class LeaseHome:
    """The leases of the keys that `node` is a home of. `key_of` gives the key of a path@version, or raises.

    `is_line_slow(now=…)` says whether the node knows its own line to the upstream as slow.
    """

    def __init__(
        self,
        node: str,
        signer: Ed25519PrivateKey,
        rendezvous: Rendezvous,
        holdings: Holdings,
        entropy: Entropy,
        key_of: Callable[[str], bytes],
        is_line_slow: Callable[..., bool],
    ) -> None:
        self._node = node
        self._rendezvous = rendezvous
        self._holdings = holdings
        self._entropy = entropy
        self._key_of = key_of
        self._is_line_slow = is_line_slow
        self._numbers = itertools.count(1)
        self._cases = Cases(lambda key, home: node in {home, *rendezvous.homes(key)})
        self._granting = Granting(node, signer, rendezvous, self._cases, holdings, entropy, self._numbers)
        self._tenancies = Tenancies(node, rendezvous, self._cases, self._granting, holdings)
        self._passed_on: dict[int, Pending] = {}

    def claim(self, call: int, peer: str, claim: Claim, *, now: float) -> list[HomeAction]:
        """`peer` wants a zip; another home's word is needed when it claims for somebody else."""
        try:
            key = self._key_of(claim.module)
            self._holdings.book.note(claim.claimant or peer, claim.record)
        except P2pmodsError as error:
            return [Refuse(call, str(error))]
        if claim.claimant is not None and peer not in self._rendezvous.directors:
            return [Refuse(call, "only a home claims for others")]
        is_its_own = claim.claimant is None or peer in self._rendezvous.homes(key)
        pending = Pending(call, claim.claimant or peer, claim, is_its_own)
        best = self._rendezvous.homes(key, frozenset(claim.avoid))[:1]
        if claim.claimant is None and best and best[0] != self._node and len(self._passed_on) < MAX_PASSED_ON:
            ask = next(self._numbers)
            self._passed_on[ask] = pending
            passed: Claim = attrs.evolve(claim, claimant=peer)  # type: ignore[misc] # mypy sees no attrs class behind @message
            return [Ask(ask, best[0], passed, PASS_ON_FOR)]
        return self._take(key, pending, now)

    def intend(self, call: int, peer: str, intend: Intend, *, now: float) -> list[HomeAction]:
        """The home `peer` is about to grant a lease."""
        try:
            case, word = self._granting.intended(peer, intend, now=now)
        except P2pmodsError as error:
            return [Refuse(call, str(error))]
        return [Reply(call, word), *self._unpark(case, now)]

    def renew(self, peer: str, renew: Renew, *, now: float) -> list[HomeAction]:
        """The fetcher `peer` is at it. Raises MalformedData for another node's record."""
        case, actions = self._tenancies.renew(peer, renew, now=now)
        return actions + self._unpark(case, now)

    def release(self, peer: str, release: Release, *, now: float) -> list[HomeAction]:
        """The lease of `peer` is over."""
        case = self._tenancies.release(peer, release, now=now)
        if case is None:
            return []
        complaining, case.complaining = case.complaining, []
        return [action for pending in complaining for action in self._decide(case, pending, now)]

    def lookup(self, call: int, lookup: Lookup, *, now: float) -> list[HomeAction]:
        """Somebody asks where zips are."""
        try:
            keys = [self._key_of(module) for module in lookup.modules]
        except P2pmodsError as error:
            return [Refuse(call, str(error))]
        locations = tuple([self._location(key, now) for key in keys])
        nodes = [holder.node for location in locations for holder in location.holders]
        nodes += [location.growing.fetcher for location in locations if location.growing is not None]
        return [Reply(call, Found(locations, self._holdings.book.records_of(nodes, MAX_FOUND_RECORDS)))]

    def answered(self, ask: int, answer: object, *, now: float) -> list[HomeAction]:
        """Another home answered."""
        pending = self._passed_on.pop(ask, None)
        if pending is not None:
            if isinstance(answer, _ANSWERS):
                return [Reply(pending.call, answer)]
            # The better home is still heeded: it may have granted a lease, and be slow to say so.
            return self._take(self._key_of(pending.claim.module), pending, now)
        case, actions = self._granting.answered(ask, answer, now=now)
        return actions + self._unpark(case, now)

    def unanswered(self, ask: int, *, now: float) -> list[HomeAction]:
        """Another home did not answer."""
        return self.answered(ask, None, now=now)

    def next_timer(self) -> float:
        """When to call `handle_timer`; math.inf when nothing is under way."""
        return self._cases.timers.next()

    def handle_timer(self, *, now: float) -> list[HomeAction]:
        """Grant what nobody objected to, end what was not renewed, answer who complained in vain."""
        actions: list[HomeAction] = []
        for key in self._cases.timers.due(now):
            case = self._cases.find(key)
            if case is None:
                continue
            if case.round is not None and case.round.ends <= now:
                actions += self._granting.time_is_up(case, now=now)
            self._cases.lapse(case, now=now)
            actions += self._unpark(case, now)
            if case.patience <= now:
                actions += self._lose_patience(case, now)
            self._cases.close_if_idle(case, now=now)
        return actions

    def pardon(self, node: str, *, now: float) -> None:
        """It was out of reach, and is back."""
        self._cases.pardon(node, now=now)

    def pardon_all(self) -> None:
        """What fetchers failed for has passed: their network's fault, or an upstream's."""
        self._cases.pardon_all()

    def wake(self) -> list[HomeAction]:
        """The node slept: it is home to nothing until it is told anew."""
        waiting = [*self._passed_on.values(), *self._cases.clear()]
        self._passed_on.clear()
        self._granting.clear()
        self._holdings.clear()
        return [Refuse(pending.call, "slept") for pending in waiting]

    def lease_of(self, key: bytes) -> Lease | None:
        """The lease of `key` as it is known here, run out or not."""
        case = self._cases.find(key)
        return None if case is None else case.lease

    def statistics(self) -> HomeStatistics:
        """Of this moment."""
        return HomeStatistics(len(self._cases), len(self._passed_on), self._tenancies.forged)

    def _location(self, key: bytes, now: float) -> Location:
        lease = self.lease_of(key)
        growing = lease.growing if lease is not None and lease.is_firm and lease.expires > now else None
        return Location(self._holdings.table.holders(key, MAX_FOUND, now=now), growing)

    def _take(self, key: bytes, pending: Pending, now: float) -> list[HomeAction]:
        case = self._cases.obtain(key, now=now)
        if case is None:
            return [Reply(pending.call, Alone(0))]
        return self._decide(case, pending, now)

    def _decide(self, case: Case, pending: Pending, now: float, instead_of: bytes | None = None) -> list[HomeAction]:
        claim = pending.claim
        without = frozenset([pending.claimant, *claim.avoid])
        holders = self._holdings.table.holders(case.key, MAX_HOLDERS, now=now, without=without)
        if holders:
            return [Reply(pending.call, Providers(holders, self._holdings.records(holders)))]
        if case.round is not None:
            return self._park(case, pending)
        lease = case.lease
        if lease is None:
            return self._grant(case, pending, instead_of, now)
        if lease.terms.fetcher == pending.claimant:
            if claim.stalled != lease.terms.token or not pending.is_its_own:
                return [Reply(pending.call, Grant(lease.terms))]
            self._cases.release(case)  # the release did not arrive here
            return self._decide(case, pending, now, instead_of=lease.terms.token)
        if claim.stalled == lease.terms.token:
            return self._complain(case, lease, pending, now)
        return [self._send_to(lease, pending)]

    def _park(self, case: Case, pending: Pending) -> list[HomeAction]:
        if len(case.parked) >= MAX_PARKED:
            return [Reply(pending.call, Alone(0))]
        case.parked.append(pending)
        return []

    def _grant(self, case: Case, pending: Pending, instead_of: bytes | None, now: float) -> list[HomeAction]:
        if case.failed.count(now=now) >= _ENOUGH_FAILED and case.failed.since_last(now=now) < _ALONE_FOR:
            return [Reply(pending.call, Alone(int(self._entropy.random() * MAX_DELAY)))]
        ability = pending.claim.ability
        # After an outage everybody has failed: one who tries for all, or all who try alone.
        is_able = ability.is_capable or ability.may_recover
        if is_able and self._cases.may_fetch(case, pending.claimant, now=now):
            homes = self._rendezvous.homes(case.key)
            if self._node not in homes and pending.avoids(homes):
                return self._granting.probe(case, pending, instead_of, now=now)
            return self._granting.begin(case, pending, instead_of, now=now)
        return [Reply(pending.call, Alone(0))]

    def _send_to(self, lease: Lease, pending: Pending, *, limited: bool = False) -> Reply:
        lease.wait(pending.claimant)
        record = self._holdings.book.record_of(lease.terms.fetcher)
        return Reply(pending.call, Wait(lease.growing, lease.limited or limited, record))

    def _complain(self, case: Case, lease: Lease, pending: Pending, now: float) -> list[HomeAction]:
        """`pending` got nothing from the fetcher: confirm the lease, or end it."""
        if lease.is_quiet(now):
            self._cases.fail(case, now=now)
            return self._decide(case, pending, now, instead_of=lease.terms.token)
        is_line_slow = lease.is_advancing(now) and (self._is_line_slow(now=now) or case.failed.count(now=now))
        if is_line_slow and not (pending.claim.urgent and lease.insists(pending.claimant)):
            return [self._send_to(lease, pending, limited=True)]  # another fetcher would be as slow, and begin anew
        if not pending.claim.urgent or len(case.complaining) >= MAX_PARKED:
            return [self._send_to(lease, pending)]
        case.complaining.append(pending)
        case.patience = min(case.patience, now + PATIENCE)
        self._cases.schedule(case)
        if not lease.complain(pending.claimant):
            return []
        self._cases.fail(case, now=now)
        return self._lose_patience(case, now, instead_of=lease.terms.token)

    def _lose_patience(self, case: Case, now: float, instead_of: bytes | None = None) -> list[HomeAction]:
        """Answer those who complained, the ablest first: when the lease ended it is the one to fetch."""
        complaining, case.complaining, case.patience = case.complaining, [], math.inf
        complaining.sort(key=_ableness, reverse=True)
        actions: list[HomeAction] = []
        for pending in complaining:
            if case.lease is not None and case.round is None:
                actions.append(self._send_to(case.lease, pending))
            else:
                actions += self._decide(case, pending, now, instead_of)
        return actions

    def _unpark(self, case: Case | None, now: float) -> list[HomeAction]:
        """Decide again about those who waited for a round that is over."""
        if case is None or case.round is not None or not case.parked:
            return []
        parked, case.parked = case.parked, []
        return [action for pending in parked for action in self._decide(case, pending, now)]


def _ableness(pending: Pending) -> tuple[bool, tuple[int, int]]:
    return pending.claim.ability.is_capable, pending.claim.ability.rank
