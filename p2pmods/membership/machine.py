"""Membership among the directors of a swarm: SWIM with Lifeguard, as one machine without I/O.

A driver hands it datagrams, link messages and the time, and carries out what comes back. A node that is no director
has the machine too, silent until `set_own_record` says that it is one.

Nothing that is said about a third is taken for a death. A suspicion travels, signed by its accuser; whoever hears it
waits for the suspect to refute it, and concludes for itself. So no message can kill, and the dead are asked again
from time to time: a node that lives and can be reached comes back.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from p2pmods.identity.key import id_of_public, public_of_id
from p2pmods.identity.records import SESSION_SIZE
from p2pmods.membership import timing
from p2pmods.membership.core import Core, Timer
from p2pmods.membership.messages import Missing, Ping, TableDigests
from p2pmods.membership.own import Own
from p2pmods.membership.sources import Sources
from p2pmods.membership.swim import Swim
from p2pmods.wire.seal import MAX_PLAIN

if TYPE_CHECKING:
    from collections.abc import Iterable

    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    from p2pmods.identity.records import Endpoint, SignedRecord
    from p2pmods.membership.actions import Action, Address, Datagram, Event
    from p2pmods.membership.messages import Ack, BucketContents
    from p2pmods.membership.table import State
    from p2pmods.wire.entropy import Entropy

_STALLED: Final = 1.0  # seconds late, or back in time: the time between was not ours to judge others by
_CATCH_UP: Final = 0.3  # seconds to read what arrived meanwhile


@dataclass(frozen=True, slots=True)
class Statistics:
    """`members` counts live directors, this node included; the counters are those of `core.Counters`."""

    members: int
    suspects: int
    gone: int
    rumours: int
    health: int
    slowest_round_trip: float
    datagrams_out: int
    datagrams_in: int
    over_rate: int
    malformed: int
    probes: int
    failed_probes: int
    refutations: int
    differences: int
    no_room: int


class Membership:
    """One node's view of the directors of one swarm. `now` is monotonic seconds, of whatever origin.

    `incarnation` is where this session's records begin: see `Own`. `hearsay_only` is for swarms whose secret
    everyone knows.
    """

    def __init__(
        self,
        key: Ed25519PrivateKey,
        datagram_key: bytes,
        entropy: Entropy,
        *,
        now: float,
        incarnation: int = 0,
        hearsay_only: bool,
    ) -> None:
        own = Own(key, entropy.randbytes(SESSION_SIZE), incarnation)
        self._core = Core(own, datagram_key, entropy, hearsay_only, Sources(now))
        self._swim = Swim(self._core, now)
        self._last = now

    # This node.

    def set_own_record(self, endpoints: tuple[Endpoint, ...], flags: int, *, now: float) -> SignedRecord:
        """What is true of this node from now on. Without the DIRECTOR flag it leaves, if it was a member."""
        self._tick(now)
        was_director = self._core.is_director
        record = self._core.own.publish(endpoints, flags)
        if record.record.is_director:
            self._swim.hearing.publish(record, now)
            self._core.timers.set_no_later(Timer.REVIVE, now + timing.ALONE_REVIVE_INTERVAL)
        elif was_director:
            self._swim.hearing.publish(record, now)
            self._swim.depart(now)
        return record

    def leave(self, *, now: float) -> None:
        """Say so to a dozen others, and fall silent."""
        if self._core.is_director:
            self.set_own_record((), 0, now=now)

    def join(self, endpoints: Iterable[Endpoint], *, now: float) -> None:
        """First contact with addresses that may be directors; ignored until this node is one itself."""
        self._tick(now)
        if self._core.is_director:
            self._swim.contacts.join(endpoints, now)

    def met(self, node_id: str, *, now: float) -> None:
        """A link to a node that may be a director is up. Raises MalformedData when that is no node id."""
        self._tick(now)
        node = public_of_id(node_id)
        if self._core.is_director and node not in self._core.table.members:
            self._swim.contacts.met(node)

    def wake(self, *, now: float) -> None:
        """The node slept: what it holds against others is void, and it has to be seen again."""
        self._last = now
        if not self._core.is_director:
            return
        self._swim.prober.drop()
        self._swim.differences.drop()
        self._swim.hearing.forgive()
        # Others may hold us dead by now, which a new incarnation refutes before we are told.
        self._swim.hearing.publish(self._core.own.refute(), now)
        self._swim.contacts.rejoin()
        self._core.timers.set(Timer.PROBE, now + timing.PROBE_INTERVAL)
        self._core.timers.set(Timer.REVIVE, now + timing.ALONE_REVIVE_INTERVAL)

    # Datagrams.

    def receive_datagram(self, data: bytes, sender: Address, *, now: float) -> None:
        """Anything at all, from anywhere."""
        self._tick(now)
        if self._core.is_director:
            self._swim.datagram(data, sender, now)

    def datagrams_to_send(self, *, now: float) -> list[Datagram]:
        """Each once, in order."""
        self._tick(now)
        out, self._core.datagrams = self._core.datagrams, []
        return out

    # Links.

    def receive_request(self, node_id: str, message: object, *, now: float) -> Ack | BucketContents | None:
        """The answer to a message that the node asked over its link; None refuses it."""
        self._tick(now)
        if not self._core.is_director:
            return None
        if isinstance(message, TableDigests):
            return self._swim.differences.answer(node_id, message, now)
        if not isinstance(message, Ping) or id_of_public(message.sender) != node_id:
            return None
        if not self._swim.is_for_us(message):
            return None
        return self._swim.ack(message, MAX_PLAIN, now)

    def receive_notice(self, node_id: str, message: object, *, now: float) -> None:
        """A message that the node tells over its link."""
        self._tick(now)
        if self._core.is_director and isinstance(message, Missing):
            self._swim.differences.told(node_id, message, now)

    def link_probe_succeeded(self, node_id: str, ack: Ack, *, now: float) -> None:
        """What the node answered to the ping of a ProbeByLink."""
        self._tick(now)
        if not self._core.is_director or id_of_public(ack.sender) != node_id:
            return
        self._swim.prober.linked(ack.sender)
        self._swim.heard(ack, now, at_once=ack.sender not in self._core.table.members)

    def link_probe_failed(self, node_id: str, *, now: float) -> None:
        """The ping of a ProbeByLink got no answer: the probe's own deadline says what follows."""
        self._tick(now)

    def link_answered(self, node_id: str, contents: BucketContents, *, now: float) -> None:
        """What the node answered to an AskByLink."""
        self._tick(now)
        if self._core.is_director:
            self._swim.differences.answered(node_id, contents, now)

    def link_failed(self, node_id: str, *, now: float) -> None:
        """An AskByLink got no answer."""
        self._tick(now)
        self._swim.differences.failed(node_id, now)

    def actions(self) -> list[Action]:
        """What to do over links, each once, in order."""
        out, self._core.actions = self._core.actions, []
        return out

    # Time.

    def next_timer(self) -> float:
        """When to call `handle_timer`; math.inf for never."""
        return self._core.timers.next()

    def handle_timer(self, *, now: float) -> None:
        """Everything that is due."""
        self._tick(now)
        while (name := self._core.timers.pop_due(now)) is not None:
            self._swim.due(name, now)

    # What is known.

    def events(self) -> list[Event]:
        """Each once, in order."""
        out, self._core.events = self._core.events, []
        return out

    def members(self) -> dict[str, SignedRecord]:
        """The live directors by node id, suspects and this node included."""
        table = self._core.table
        records = [member.record for member in table.members.values()]
        if table.own is not None:
            records.append(table.own)
        return {record.record.node_id: record for record in records}

    def state_of(self, node_id: str) -> State | None:
        """Of another node; None when nothing is known of it."""
        return self._core.table.state_of(public_of_id(node_id))

    def statistics(self) -> Statistics:
        """Now."""
        core = self._core
        suspects = sum(member.suspicion is not None for member in core.table.members.values())
        counters = core.counters
        return Statistics(
            members=len(core.table),
            suspects=suspects,
            gone=len(core.table.gone),
            rumours=len(core.rumours),
            health=self._swim.awareness.multiplier,
            slowest_round_trip=self._swim.prober.slowest_round_trip,
            **{name: getattr(counters, name) for name in counters.__slots__},
        )

    def _tick(self, now: float) -> None:
        """See whether we were asleep at the wheel: then nobody is to be blamed for what we have not heard."""
        late = now - self._core.timers.next()
        if late > _STALLED:
            self._shift(late + _CATCH_UP)
            self._swim.awareness.worse()
        elif now < self._last:
            self._shift(now - self._last)
        self._last = now

    def _shift(self, seconds: float) -> None:
        self._core.timers.shift(seconds)
        self._swim.hearing.shift(seconds)
