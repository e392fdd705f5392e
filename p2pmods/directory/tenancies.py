"""What fetchers tell a home: that they are at it, and how it ended. Of two with one key, one is stopped here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from p2pmods.directory.actions import HomeAction, Tell
from p2pmods.directory.lease import Lease
from p2pmods.directory.messages import DONE, FAILED, Release, Renew, Stop

if TYPE_CHECKING:
    from p2pmods.directory.case import Case, Cases
    from p2pmods.directory.granting import Granting
    from p2pmods.directory.holdings import Holdings
    from p2pmods.directory.rendezvous import Rendezvous


class Tenancies:
    """The leases that were taken up, as the home `node` hears of them."""

    def __init__(
        self, node: str, rendezvous: Rendezvous, cases: Cases, granting: Granting, holdings: Holdings
    ) -> None:
        self.forged = 0  # renewals under terms that no director granted to their sender
        self._node = node
        self._rendezvous = rendezvous
        self._cases = cases
        self._granting = granting
        self._holdings = holdings

    def renew(self, peer: str, renew: Renew, *, now: float) -> tuple[Case | None, list[HomeAction]]:
        """`peer` is at it, and this is what it has. Raises MalformedData for another node's record.

        A lease that this home does not know is adopted: its fetcher shows the signed terms. So a new home takes over.
        """
        case = self._cases.obtain(renew.key, now=now)
        if case is None:
            return None, []
        known = case.lease is not None and case.lease.terms == renew.terms
        if renew.terms.fetcher != peer or not (known or self._granting.is_believed(renew.terms, renew.key)):
            self.forged += 1
            return case, []
        self._holdings.book.note(peer, renew.record)
        if renew.terms.token == case.ended:
            return case, []  # said before the release, and late
        told = Lease(renew.terms, now)
        told.renew(renew.received, limited=renew.limited, now=now)
        actions = self._reconcile(case, told, now)
        self._cases.schedule(case)
        return case, actions

    def release(self, peer: str, release: Release, *, now: float) -> Case | None:
        """The lease of `peer` is over. Whoever waited finds out by the fetcher's silence, and claims again."""
        case = self._cases.obtain(release.key, now=now)
        if case is None:
            return None
        if _is_of(case.rival, peer, release):
            case.rival = None
        if not _is_of(case.lease, peer, release):
            return None
        if release.how == DONE and release.holding is not None and release.holding.key == release.key:
            self._holdings.table.add(peer, release.holding, now=now)
        if release.how == FAILED:
            case.failed.exclude(peer, now=now)
        self._cases.release(case)
        return case

    def _reconcile(self, case: Case, told: Lease, now: float) -> list[HomeAction]:
        """Bring what was told together with what is known."""
        lease, fetcher = case.lease, told.terms.fetcher
        if lease is not None and lease.terms.token == told.terms.token:
            if case.round is not None:  # granted by another home already, or its own answer took long
                self._granting.overtake(case, lease)
            lease.renew(told.received, limited=told.limited, now=now)
            return self._stop(case, case.rival, lease) if case.rival is not None else []
        if not self._cases.may_fetch(case, fetcher, now=now):
            return [Tell(fetcher, Stop(case.key, told.terms.token, None, None))]
        if lease is None or not lease.is_firm or lease.is_quiet(now) or lease.terms.fetcher == fetcher:
            self._granting.overtake(case, told)
            return []
        return self._choose(case, lease, told, now)

    def _choose(self, case: Case, known: Lease, told: Lease, now: float) -> list[HomeAction]:
        """The one with fewer bytes is stopped, or else the higher id: but only for one that was heard of just now.

        The best home alone decides, or both might be stopped.
        """
        if self._rendezvous.homes(case.key)[:1] != (self._node,):
            return []
        if (-told.received, told.terms.fetcher) < (-known.received, known.terms.fetcher):
            told.waiters |= known.waiters
            return self._stop(case, known, told)
        if known.is_fresh(now):
            return self._stop(case, told, known)
        case.rival = told
        return []

    def _stop(self, case: Case, loser: Lease, winner: Lease) -> list[HomeAction]:
        case.lease, case.rival = winner, None
        record = self._holdings.book.record_of(winner.terms.fetcher)
        return [Tell(loser.terms.fetcher, Stop(case.key, loser.terms.token, winner.growing, record))]


def _is_of(lease: Lease | None, peer: str, release: Release) -> bool:
    return lease is not None and (lease.terms.fetcher, lease.terms.token) == (peer, release.token)
