"""The protocol itself: what follows from a message, and from a timer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from p2pmods.membership import timing
from p2pmods.membership.awareness import Awareness
from p2pmods.membership.contacts import Contacts
from p2pmods.membership.core import Timer
from p2pmods.membership.differences import Differences
from p2pmods.membership.hearing import Hearing
from p2pmods.membership.messages import Ack, Gossip, Ping, ProbeReport, ProbeRequest
from p2pmods.membership.order import ProbeOrder
from p2pmods.membership.probing import Prober
from p2pmods.membership.speaking import Speaker
from p2pmods.wire.codec import encode
from p2pmods.wire.seal import MAX_PLAIN, OVERHEAD

if TYPE_CHECKING:
    from p2pmods.membership.actions import Address
    from p2pmods.membership.core import Core


class Swim:
    """The parts of a machine, and how they hang together."""

    def __init__(self, core: Core, now: float) -> None:
        order = ProbeOrder(core.entropy)
        self._core = core
        self.awareness = Awareness()
        self.speaker = Speaker(core)
        self.hearing = Hearing(core, order, self.awareness, now)
        self.prober = Prober(core, self.speaker, order, self.awareness)
        self.contacts = Contacts(core, self.speaker)
        self.differences = Differences(core, self.hearing, now)

    def datagram(self, data: bytes, sender: Address, now: float) -> None:
        """Anything at all, from anywhere."""
        core = self._core
        if not core.sources.admit(sender, now):
            core.counters.over_rate += 1
            return
        core.counters.datagrams_in += 1
        match core.unseal(data):
            case Ping() as ping:
                self._pinged(ping, sender, len(data) - OVERHEAD, now)
            case Ack() as ack:
                self._acked(ack, sender, now)
            case ProbeRequest() as request:
                self.prober.relay(request, sender, now)
            case ProbeReport() as report:
                self.prober.reported(report)
            case Gossip(news):
                self.hearing.hear(news.records, news.accusations, now)
            case _:
                pass

    def due(self, name: object, now: float) -> None:
        match name:
            case Timer.PROBE:
                self.prober.begin(now)
            case Timer.DIRECT:
                self.prober.go_round(now)
            case Timer.END:
                self._end(now)
            case Timer.GOSSIP:
                self._gossip(now)
            case Timer.REVIVE:
                self.contacts.revive(now)
            case Timer.JOIN:
                self.contacts.retry(now)
            case Timer.REFUTE:
                self.hearing.refute(now)
            case ("suspicion", bytes(node)):
                self.hearing.expire(node, now)
            case ("relay", bytes(nonce)):
                self.prober.relay_failed(nonce)

    def _end(self, now: float) -> None:
        if (failed := self.prober.end()) is not None:
            self.hearing.accuse(failed, now)

    def _gossip(self, now: float) -> None:
        core = self._core
        addresses = [member.address() for member in core.table.members.values()]
        self.speaker.gossip([address for address in addresses if core.may_gossip_to(address, now)])
        if len(core.rumours):
            core.timers.set(Timer.GOSSIP, now + timing.GOSSIP_INTERVAL)

    def depart(self, now: float) -> None:
        for _ in range(timing.transmissions(len(self._core.table))):
            self._gossip(now)
        self._core.timers.clear()
        self.prober.drop()
        self.contacts.clear()
        self.differences.drop()

    def is_for_us(self, ping: Ping) -> bool:
        return ping.target in (b"", self._core.own.public_key)

    def _pinged(self, ping: Ping, sender: Address, size: int, now: float) -> None:
        if not self.is_for_us(ping):
            return
        limit = MAX_PLAIN if self._core.sources.has_proved(sender, now) else size
        ack = self.ack(ping, limit, now)
        if len(encode(ack)) <= limit:
            self.speaker.send(ack, sender)

    def ack(self, ping: Ping, limit: int, now: float) -> Ack:
        """What the ping told is heard first: the answer may refute it."""
        core = self._core
        self.hearing.hear(ping.news.records, ping.news.accusations, now)
        first = []
        accused = any(accusation.subject == core.own.public_key for accusation in ping.news.accusations)
        if core.table.own is not None and (accused or ping.padding):
            first.append(core.table.own.raw)
        held = core.table.held(ping.sender)
        if held is not None and ping.padding and held.raw not in ping.news.records:
            first.append(held.raw)  # it introduced itself with a record that an earlier session of its outbids
        if (gone := core.table.gone.get(ping.sender)) is not None and gone.is_dead:
            self.contacts.seems_alive(ping.sender, now)
        return self.speaker.ack(ping, first, limit)

    def _acked(self, ack: Ack, sender: Address, now: float) -> None:
        contacted = self.contacts.acked(ack, sender)
        if not contacted and self.prober.acked(ack, sender, now) is None:
            return
        self._core.sources.prove(sender, now)
        self.heard(ack, now, at_once=contacted)

    def heard(self, ack: Ack, now: float, *, at_once: bool) -> None:
        """An answer to a question of ours."""
        self.hearing.hear(ack.news.records, ack.news.accusations, now)
        if ack.sender in self._core.table.members:
            self.differences.compare(ack.sender, ack.digest, now, at_once=at_once)
