"""What the parts of one membership machine share: its table, its timers, its chance, its post."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum, auto
from typing import TYPE_CHECKING

from p2pmods.errors import MalformedData
from p2pmods.membership.rumours import Rumours
from p2pmods.membership.table import MAX_PER_HOST, Table
from p2pmods.membership.timers import Timers
from p2pmods.membership.timing import IDLE_AFTER, PROBE_INTERVAL
from p2pmods.wire.codec import decode
from p2pmods.wire.seal import NONCE_SIZE, seal, unseal

if TYPE_CHECKING:
    from p2pmods.membership.actions import Action, Address, Datagram, Event
    from p2pmods.membership.own import Own
    from p2pmods.membership.sources import Sources
    from p2pmods.wire.entropy import Entropy


class Timer(Enum):
    """Those of which there is one; suspicions and relayed probes have one each."""

    PROBE = auto()
    DIRECT = auto()  # a probe has had no direct answer
    END = auto()  # a probe has failed
    GOSSIP = auto()
    REVIVE = auto()
    JOIN = auto()
    REFUTE = auto()


@dataclass(slots=True)
class Counters:
    """Since the machine was made."""

    datagrams_out: int = 0
    datagrams_in: int = 0
    over_rate: int = 0  # not looked at
    malformed: int = 0  # datagrams, records and accusations that were nothing, or not by whom they said
    probes: int = 0
    failed_probes: int = 0
    refutations: int = 0
    differences: int = 0  # diffs begun
    no_room: int = 0  # records of directors that the table could not take


@dataclass(slots=True)
class Core:
    """`hearsay_only`: on a swarm of strangers, what others say of a third makes us look for ourselves, no more."""

    own: Own
    datagram_key: bytes = field(repr=False)
    entropy: Entropy
    hearsay_only: bool
    sources: Sources
    table: Table = field(init=False)
    timers: Timers = field(default_factory=Timers)
    rumours: Rumours = field(default_factory=Rumours)
    counters: Counters = field(default_factory=Counters)
    datagrams: list[Datagram] = field(default_factory=list)
    actions: list[Action] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    active_until: float = 0.0

    def __post_init__(self) -> None:
        self.table = Table(per_host=MAX_PER_HOST if self.hearsay_only else None)

    @property
    def is_director(self) -> bool:
        return self.table.own is not None

    def seal(self, plain: bytes) -> bytes:
        self.counters.datagrams_out += 1
        return seal(self.datagram_key, plain, self.entropy.randbytes(NONCE_SIZE))

    def unseal(self, data: bytes) -> object | None:
        """The message in a datagram; None for anything else."""
        try:
            return decode(unseal(self.datagram_key, data))  # type: ignore[no-any-return]
        except MalformedData:
            self.counters.malformed += 1
            return None

    def stir(self, now: float) -> None:
        """There is news: no longer idle, and told at once."""
        if now >= self.active_until or not self.timers.is_set(Timer.PROBE):
            self.timers.set_no_later(Timer.PROBE, now + self.entropy.random() * PROBE_INTERVAL)
        self.active_until = now + IDLE_AFTER
        if len(self.rumours):
            self.timers.set_no_later(Timer.GOSSIP, now + self.entropy.random() * 0.05)

    def may_gossip_to(self, address: Address, now: float) -> bool:
        """Strangers may name another's address as theirs: it gets small pings from us until it answers one."""
        return not self.hearsay_only or self.sources.has_proved(address, now)
