"""Between homes: before one grants a lease it asks the other two, and they remember what it intends.

Two homes that intend different leases at once agree without another word: the one that ranks first for the key goes
ahead, in both their eyes and in the third's, and the other sends its claimants to that fetcher.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from p2pmods.directory.actions import Ask, HomeAction, Reply
from p2pmods.directory.case import Round
from p2pmods.directory.lease import Lease
from p2pmods.directory.messages import MAX_HOLDERS, TOKEN_SIZE, Alone, Grant, Intend, Intended, Lookup, Providers
from p2pmods.directory.proof import grant_terms, is_genuine
from p2pmods.directory.rendezvous import score
from p2pmods.errors import MalformedData

if TYPE_CHECKING:
    import itertools

    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    from p2pmods.directory.case import Case, Cases, Pending
    from p2pmods.directory.holdings import Holdings
    from p2pmods.directory.messages import Holder, Terms
    from p2pmods.directory.rendezvous import Rendezvous
    from p2pmods.wire.entropy import Entropy

ASK_FOR: Final = 0.25  # seconds for the other homes' word; TCP sends a lost segment again after 0.2 s
LATE: Final = 0.05  # seconds after which a home that looks at its clock was busy itself


class Granting:
    """The rounds of this home, `node`, whose key is `signer`, and its word on those of others."""

    def __init__(
        self,
        node: str,
        signer: Ed25519PrivateKey,
        rendezvous: Rendezvous,
        cases: Cases,
        holdings: Holdings,
        entropy: Entropy,
        numbers: itertools.count[int],
    ) -> None:
        self._node = node
        self._signer = signer
        self._rendezvous = rendezvous
        self._cases = cases
        self._holdings = holdings
        self._entropy = entropy
        self._numbers = numbers
        self._keys: dict[int, bytes] = {}  # of the asks under way

    def begin(self, case: Case, grantee: Pending, instead_of: bytes | None, *, now: float) -> list[HomeAction]:
        """Intend a lease for `grantee`, and ask the other homes; grant at once when there are none."""
        terms = grant_terms(self._signer, case.key, grantee.claimant, self._entropy.randbytes(TOKEN_SIZE))
        case.lease = Lease(terms, now)
        case.round = Round(grantee, now + ASK_FOR)
        intend = Intend(case.key, terms, grantee.claim.record, instead_of)
        actions = [self._ask(case, home, intend) for home in self._others(case.key)]
        self._cases.schedule(case)
        return [*actions] or self.conclude(case, now=now)

    def probe(self, case: Case, grantee: Pending, instead_of: bytes | None, *, now: float) -> list[HomeAction]:
        """`grantee` heeds no home of the key. It is alone if one is reached from here; else here is as good."""
        case.round = Round(grantee, now + ASK_FOR, is_probe=True, instead_of=instead_of)
        actions = [self._ask(case, home, Lookup((grantee.claim.module,))) for home in self._others(case.key)]
        self._cases.schedule(case)
        return [*actions]

    def time_is_up(self, case: Case, *, now: float) -> list[HomeAction]:
        """Not all homes have answered. When this one was busy their answers may lie there unread: it waits again."""
        assert case.round is not None
        if now - case.round.ends < LATE or case.round.is_extended:
            return self._nobody_there(case, now) if case.round.is_probe else self.conclude(case, now=now)
        case.round.ends, case.round.is_extended = now + ASK_FOR, True
        return []

    def conclude(self, case: Case, *, now: float) -> list[HomeAction]:
        """Nobody objects: the lease is granted."""
        grantee = self._end(case)
        assert case.lease is not None
        case.lease.heard, case.lease.is_granted = now, True
        return [Reply(grantee.call, Grant(case.lease.terms))]

    def overtake(self, case: Case, lease: Lease) -> None:
        """Another lease stands; a claimant that was about to get one is parked like the others."""
        if case.round is not None:
            case.parked.insert(0, self._end(case))
        case.lease, case.rival = lease, None

    def answered(self, ask: int, answer: object, *, now: float) -> tuple[Case | None, list[HomeAction]]:
        """What another home said to an intention, None when it said nothing; the case that it was about."""
        case = self._cases.find(self._keys.pop(ask, b""))
        if case is None or case.round is None or ask not in case.round.asks:
            return None, []
        home = case.round.asks.pop(ask)
        if case.round.is_probe:
            return case, self._probed(case, is_reached=answer is not None, now=now)
        actions: list[HomeAction] = []
        if isinstance(answer, Intended) and home not in case.round.grantee.claim.avoid:
            if answer.terms is not None and self._stands(case, answer.terms, now):
                self._holdings.note(answer.terms.fetcher, answer.records)
                self.overtake(case, Lease(answer.terms, now))
            elif answer.holders:
                actions = self._pass_on(case, answer)
        if self._nobody_objects(case):
            actions += self.conclude(case, now=now)
        return case, actions

    def intended(self, peer: str, intend: Intend, *, now: float) -> tuple[Case | None, Intended]:
        """This home's word on what `peer` intends. Raises MalformedData when it may not intend that."""
        if intend.terms.home != peer or not self.is_believed(intend.terms, intend.key):
            raise MalformedData("intention", "not by a home that may grant")
        case = self._cases.obtain(intend.key, now=now)
        if case is None:
            return None, Intended(None, (), ())
        self._holdings.book.note(intend.terms.fetcher, intend.record)
        self._give_way(case, peer, intend, now)
        lease = case.lease
        if lease is not None and lease.terms.token != intend.terms.token and self._is_before(lease, peer, case.key):
            records = self._holdings.book.records_of([lease.terms.fetcher], 1)
            return case, Intended(lease.terms, (), records)
        if lease is None or lease.terms.token != intend.terms.token:
            self.overtake(case, Lease(intend.terms, now))
            self._cases.schedule(case)
        holders = self._holdings.table.holders(
            case.key, MAX_HOLDERS, now=now, without=frozenset([intend.terms.fetcher])
        )
        return case, Intended(None, holders, self._holdings.records(holders))

    def is_believed(self, terms: Terms, key: bytes) -> bool:
        """Whether a director granted these terms for `key`."""
        return terms.home in self._rendezvous.directors and is_genuine(terms, key)

    def clear(self) -> None:
        """Nothing is under way."""
        self._keys.clear()

    def _ask(self, case: Case, home: str, question: Intend | Lookup) -> Ask:
        assert case.round is not None
        ask = next(self._numbers)
        case.round.asks[ask] = home
        self._keys[ask] = case.key
        return Ask(ask, home, question, ASK_FOR)

    def _probed(self, case: Case, *, is_reached: bool, now: float) -> list[HomeAction]:
        if is_reached:
            homes = self._rendezvous.homes(case.key)
            asked = [self._end(case), *case.parked]
            case.parked = [pending for pending in asked if not pending.avoids(homes)]
            return [Reply(pending.call, Alone(0)) for pending in asked if pending.avoids(homes)]
        assert case.round is not None
        return [] if case.round.asks else self._nobody_there(case, now)

    def _nobody_there(self, case: Case, now: float) -> list[HomeAction]:
        assert case.round is not None
        instead_of = case.round.instead_of
        return self.begin(case, self._end(case), instead_of, now=now)

    def _others(self, key: bytes) -> list[str]:
        return [home for home in self._rendezvous.homes(key) if home != self._node]

    def _nobody_objects(self, case: Case) -> bool:
        return case.round is not None and not case.round.asks

    def _end(self, case: Case) -> Pending:
        assert case.round is not None
        for ask in case.round.asks:
            self._keys.pop(ask, None)
        grantee, case.round = case.round.grantee, None
        return grantee

    def _stands(self, case: Case, terms: Terms, now: float) -> bool:
        """Whether a lease that another home knows of is a reason not to grant one."""
        disbelieved = case.disbelieved.excludes(terms.token.hex(), now=now)
        is_over = disbelieved or terms.token == case.ended  # which a home that was not told yet does not know
        believed = not is_over and self.is_believed(terms, case.key)
        return believed and self._cases.may_fetch(case, terms.fetcher, now=now)

    def _give_way(self, case: Case, peer: str, intend: Intend, now: float) -> None:
        """A home that saw a lease fail, or given up, is believed."""
        over = case.lease if case.lease is not None and case.lease.terms.token == intend.instead_of else None
        if over is None or case.round is not None or peer not in self._rendezvous.homes(case.key):
            return
        if over.terms.fetcher == intend.terms.fetcher:
            self._cases.release(case)
        else:
            self._cases.fail(case, now=now)

    def _is_before(self, lease: Lease, peer: str, key: bytes) -> bool:
        return lease.is_firm or lease.is_granted or score(key, lease.terms.home) < score(key, peer)

    def _pass_on(self, case: Case, answer: Intended) -> list[HomeAction]:
        """Another home knows who holds it: those claimants who can use that have their answer."""
        assert case.round is not None
        if not _useful(answer.holders, case.round.grantee):
            return []
        waiting = [self._end(case), *case.parked]
        case.lease = None
        case.parked = [pending for pending in waiting if not _useful(answer.holders, pending)]
        return [
            Reply(pending.call, Providers(useful, answer.records))
            for pending in waiting
            if (useful := _useful(answer.holders, pending))
        ]


def _useful(holders: tuple[Holder, ...], pending: Pending) -> tuple[Holder, ...]:
    without = {pending.claimant, *pending.claim.avoid}
    return tuple([holder for holder in holders if holder.node not in without])
