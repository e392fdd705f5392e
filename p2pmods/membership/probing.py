"""Probes of members: directly, then by others and by the link, all within one interval (SWIM, section 3.1)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from p2pmods.identity.key import id_of_public
from p2pmods.membership import timing
from p2pmods.membership.actions import ProbeByLink
from p2pmods.membership.chance import jitter, sample
from p2pmods.membership.core import Timer
from p2pmods.membership.messages import NONCE_SIZE, Ack, Ping, ProbeReport, ProbeRequest
from p2pmods.membership.roundtrips import RoundTrips

if TYPE_CHECKING:
    from p2pmods.membership.actions import Address
    from p2pmods.membership.awareness import Awareness
    from p2pmods.membership.core import Core
    from p2pmods.membership.order import ProbeOrder
    from p2pmods.membership.speaking import Speaker

MAX_RELAYED: Final = 64  # probes for others under way


@dataclass(slots=True)
class Probe:
    """One under way. `asked` holds the nonces of those relays that have not reported yet."""

    target: bytes
    ping: Ping
    began: float
    goes_round: bool = False
    asked: set[bytes] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class Relayed:
    """A probe for another."""

    target: bytes
    asker: Address
    nonce: bytes


class Prober:
    """One probe of our own at a time, and those that others ask for."""

    def __init__(self, core: Core, speaker: Speaker, order: ProbeOrder, awareness: Awareness) -> None:
        self._core = core
        self._speaker = speaker
        self._order = order
        self._awareness = awareness
        self._round_trips = RoundTrips()
        self._probe: Probe | None = None
        self._relayed: dict[bytes, Relayed] = {}

    @property
    def timeout(self) -> float:
        """Seconds that a healthy node waits for a direct answer."""
        return timing.probe_timeout(self._round_trips.p99())

    @property
    def slowest_round_trip(self) -> float:
        return self._round_trips.p99()

    def begin(self, now: float) -> None:
        """The next probe, and when the one after it is due."""
        core, multiplier = self._core, self._awareness.multiplier
        deadline = timing.probe_deadline(self.timeout)
        if self._probe is not None:
            core.timers.set(Timer.PROBE, core.timers.when(Timer.END))  # which a stall has moved, if there was one
            return
        idle = now >= core.active_until
        interval = timing.IDLE_INTERVAL if idle else deadline
        core.timers.set(Timer.PROBE, now + jitter(core.entropy, max(interval, deadline) * multiplier))
        if (target := self._order.next(core.table.members)) is None:
            return
        address = core.table.members[target].address()
        ping = self._speaker.ping(target, rumours=core.may_gossip_to(address, now))
        self._probe = Probe(target, ping, now)
        core.counters.probes += 1
        self._speaker.send(ping, address)
        core.timers.set(Timer.DIRECT, now + self.timeout * multiplier)
        core.timers.set(Timer.END, now + deadline * multiplier)

    def go_round(self, now: float) -> None:
        """No direct answer: another address of it, three others, and the link."""
        core, probe = self._core, self._probe
        if probe is None or (member := core.table.members.get(probe.target)) is None:
            return
        probe.goes_round = True
        if len(member.record.record.endpoints) > 1:
            member.way += 1
            self._speaker.send(probe.ping, member.address())
        others = [m for node, m in core.table.members.items() if node != probe.target and m.suspicion is None]
        for relay in sample(core.entropy, others, timing.INDIRECT_PROBES):
            nonce = core.entropy.randbytes(NONCE_SIZE)
            probe.asked.add(nonce)
            self._speaker.send(ProbeRequest(nonce, probe.target), relay.address())
        core.actions.append(ProbeByLink(id_of_public(probe.target), probe.ping))

    def end(self) -> bytes | None:
        """Who did not answer in time, if the probe is still open. Relays that kept silent speak against ourselves."""
        probe = self._close()
        if probe is None or probe.target not in self._core.table.members:
            return None
        self._core.counters.failed_probes += 1
        self._awareness.worse(len(probe.asked) if len(self._core.table.members) > 1 else 1)
        return probe.target

    def acked(self, ack: Ack, sender: Address, now: float) -> bytes | None:
        """Whose probe the ack answers, ours or another's; None when it answers none."""
        probe = self._probe
        if probe is not None and (ack.nonce, ack.sender) == (probe.ping.nonce, probe.target):
            if not probe.goes_round:
                self._round_trips.add(now - probe.began)
            self._succeed()
            return ack.sender
        relayed = self._relayed.get(ack.nonce)
        if relayed is not None and relayed.target == ack.sender:
            self._report(ack.nonce, answered=True)
            return ack.sender
        return None

    def reported(self, report: ProbeReport) -> None:
        """A relay got an answer for us, or got none."""
        if self._probe is None or report.nonce not in self._probe.asked:
            return
        self._probe.asked.discard(report.nonce)
        if report.answered:
            self._succeed()

    def linked(self, node: bytes) -> None:
        """The link got through."""
        if self._probe is not None and self._probe.target == node:
            self._succeed()

    def relay(self, request: ProbeRequest, sender: Address, now: float) -> None:
        """Probe a member for someone else, at the address that we know, and with nothing but the question."""
        member = self._core.table.members.get(request.target)
        if member is None or len(self._relayed) >= MAX_RELAYED:
            self._speaker.send(ProbeReport(request.nonce, answered=False), sender)
            return
        ping = self._speaker.ping(request.target, rumours=False)
        self._relayed[ping.nonce] = Relayed(request.target, sender, request.nonce)
        # In time for the asker, who would otherwise take our silence for its own ill health (Lifeguard's nack).
        self._core.timers.set(("relay", ping.nonce), now + 0.8 * timing.LEAST_TIMEOUT)
        self._speaker.send(ping, member.address())

    def relay_failed(self, nonce: bytes) -> None:
        if nonce in self._relayed:
            self._report(nonce, answered=False)

    def drop(self) -> None:
        """Forget what is under way."""
        self._close()
        for nonce in self._relayed:
            self._core.timers.cancel(("relay", nonce))
        self._relayed.clear()

    def _report(self, nonce: bytes, *, answered: bool) -> None:
        relayed = self._relayed.pop(nonce)
        self._core.timers.cancel(("relay", nonce))
        self._speaker.send(ProbeReport(relayed.nonce, answered=answered), relayed.asker)

    def _succeed(self) -> None:
        self._close()
        self._awareness.better()

    def _close(self) -> Probe | None:
        probe, self._probe = self._probe, None
        self._core.timers.cancel(Timer.DIRECT)
        self._core.timers.cancel(Timer.END)
        return probe
