"""What is made of news: members come, change, are suspected, die and leave."""

from __future__ import annotations

from typing import TYPE_CHECKING

from p2pmods.errors import MalformedData
from p2pmods.identity.records import open_record
from p2pmods.membership import accusations
from p2pmods.membership.actions import Changed, ClonedIdentity, Died, Joined, Left, Suspected
from p2pmods.membership.core import Timer
from p2pmods.membership.sources import Bucket
from p2pmods.membership.suspicion import Suspicion
from p2pmods.membership.table import Gone, Offer
from p2pmods.membership.timing import ALONE_REVIVE_INTERVAL

if TYPE_CHECKING:
    from collections.abc import Iterable

    from p2pmods.identity.records import SignedRecord
    from p2pmods.membership.awareness import Awareness
    from p2pmods.membership.core import Core
    from p2pmods.membership.messages import Accusation
    from p2pmods.membership.order import ProbeOrder
    from p2pmods.membership.table import Member

# A stranger may suspect us as often as it likes; each refutation is told to the whole swarm.
_REFUTE_RATE = 0.2
_REFUTE_BURST = 5.0
_REFUTE_LATER = 1.0


class Hearing:
    """Judges records and accusations, and keeps the suspicions."""

    def __init__(self, core: Core, order: ProbeOrder, awareness: Awareness, now: float) -> None:
        self._core = core
        self._order = order
        self._awareness = awareness
        self._refutations = Bucket(_REFUTE_RATE, _REFUTE_BURST, now)
        self._cloned = False

    def hear(self, records: Iterable[bytes], accused: Iterable[Accusation], now: float) -> None:
        """Records first: an accusation may speak of one of them."""
        for raw in records:
            if not self._core.table.holds(raw):
                self._record(raw, now)
        for accusation in accused:
            self._accusation(accusation, now)

    def accuse(self, node: bytes, now: float) -> None:
        """Our own probe of a member failed."""
        member = self._core.table.members.get(node)
        if member is None:
            return
        if member.suspicion is not None and self._core.own.public_key in member.suspicion.accusations:
            if self._core.hearsay_only:
                member.suspicion.repeat()
                self._time(node, member)
        else:
            self._suspect(node, member, accusations.accuse(member.record.record, self._core.own.key), now)
        if self._core.hearsay_only:
            self._order.urge(node)

    def expire(self, node: bytes, now: float) -> None:
        """The suspect has not refuted in time. It is not told on: others have heard the suspicion too."""
        member = self._core.table.members.get(node)
        if member is None or member.suspicion is None:
            return
        self._core.table.bury(node, Gone(member.record, tuple(member.suspicion.accusations.values())))
        self._core.rumours.forget(node)
        self._core.events.append(Died(member.record.record.node_id))
        if not self._core.table.members:
            self._core.timers.set_no_later(Timer.REVIVE, now + ALONE_REVIVE_INTERVAL)

    def forgive(self) -> None:
        """Every suspicion is forgotten."""
        for node, member in self._core.table.members.items():
            member.suspicion = None
            self._core.timers.cancel(("suspicion", node))

    def shift(self, seconds: float) -> None:
        """That much time did not count for the suspects."""
        for member in self._core.table.members.values():
            if member.suspicion is not None:
                member.suspicion.began += seconds

    def refute(self, now: float) -> None:
        """A new record of our own, now or when it is time for one."""
        if not self._core.is_director:
            return
        if not self._refutations.take(now):
            self._core.timers.set_no_later(Timer.REFUTE, now + _REFUTE_LATER)
            return
        self._core.counters.refutations += 1
        self.publish(self._core.own.refute(), now)

    def publish(self, record: SignedRecord, now: float) -> None:
        """Our own new record, to be told to everyone."""
        self._core.table.set_own(record if record.record.is_director else None)
        self._core.rumours.add_record(record)
        self._core.stir(now)

    def _record(self, raw: bytes, now: float) -> None:
        core = self._core
        try:
            record = open_record(raw)
        except MalformedData:
            core.counters.malformed += 1
            return
        node = record.record.public_key
        if node == core.own.public_key:
            self._own_record(record, now)
            return
        offer = core.table.offer(record)
        core.counters.no_room += offer is Offer.REFUSED
        if offer in (Offer.IGNORED, Offer.REFUSED):
            return
        if offer is Offer.JOINED:
            self._order.add(node)
        core.timers.cancel(("suspicion", node))
        core.events.append(_event(offer, record))
        core.rumours.add_record(record)
        core.stir(now)

    def _own_record(self, record: SignedRecord, now: float) -> None:
        core = self._core
        if core.own.outbids(record, now):
            self.refute(now)
        if core.own.is_cloned and not self._cloned:
            self._cloned = True
            core.events.append(ClonedIdentity(record.record.node_id))

    def _accusation(self, accusation: Accusation, now: float) -> None:
        core = self._core
        if accusation.subject == core.own.public_key:
            own = core.own.record
            if own is not None and accusations.is_about(accusation, own.record) and self._is_signed(accusation):
                self._awareness.worse()
                self.refute(now)
            return
        member = core.table.members.get(accusation.subject)
        # Whoever is no member has no say, and we know best whom we accuse.
        if member is None or accusation.accuser not in core.table.members:
            return
        if not accusations.is_about(accusation, member.record.record):
            return
        if core.hearsay_only:
            if self._is_signed(accusation):
                self._order.urge(accusation.subject)
                core.stir(now)
            return
        is_enough = member.suspicion is not None and member.suspicion.is_enough(accusation.accuser)
        if not is_enough and self._is_signed(accusation):
            self._suspect(accusation.subject, member, accusation, now)

    def _suspect(self, node: bytes, member: Member, accusation: Accusation, now: float) -> None:
        """The first suspicion, or one that confirms it."""
        core = self._core
        if member.suspicion is None:
            member.suspicion = Suspicion(accusation, now)
            core.events.append(Suspected(member.record.record.node_id))
        elif not member.suspicion.confirm(accusation):
            return
        self._time(node, member)
        core.rumours.add_accusation(accusation)
        core.stir(now)

    def _time(self, node: bytes, member: Member) -> None:
        if member.suspicion is not None:
            self._core.timers.set(("suspicion", node), member.suspicion.deadline(len(self._core.table)))

    def _is_signed(self, accusation: Accusation) -> bool:
        try:
            accusations.check(accusation)
        except MalformedData:
            self._core.counters.malformed += 1
            return False
        return True


def _event(offer: Offer, record: SignedRecord) -> Joined | Changed | Left:
    node_id = record.record.node_id
    if offer is Offer.LEFT:
        return Left(node_id)
    return Joined(node_id, record) if offer is Offer.JOINED else Changed(node_id, record)
