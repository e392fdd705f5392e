"""The members of the swarm as this node knows them, and those that are gone, each table with a cap."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from enum import Enum, auto
from typing import TYPE_CHECKING, Final

from p2pmods.membership.messages import BUCKETS, DIGEST_SIZE

if TYPE_CHECKING:
    from p2pmods.identity.records import SignedRecord
    from p2pmods.membership.actions import Address
    from p2pmods.membership.messages import Accusation
    from p2pmods.membership.suspicion import Suspicion

MAX_MEMBERS: Final = 512
MAX_GONE: Final = 512
MAX_PER_HOST: Final = 32  # members with one first address, on a swarm of strangers


class State(Enum):
    """What one node holds of another."""

    ALIVE = auto()
    SUSPECT = auto()
    DEAD = auto()
    LEFT = auto()


class Offer(Enum):
    """What became of a record."""

    IGNORED = auto()  # not newer, or not of a director that is known or could be pinged
    REFUSED = auto()  # no room
    JOINED = auto()
    CHANGED = auto()
    LEFT = auto()


@dataclass(slots=True)
class Member:
    """`way` is which of its endpoints to use."""

    record: SignedRecord
    suspicion: Suspicion | None = None
    way: int = 0

    def address(self) -> Address:
        endpoints = self.record.record.endpoints
        endpoint = endpoints[self.way % len(endpoints)]
        return (endpoint.host, endpoint.port)


@dataclass(frozen=True, slots=True)
class Gone:
    """Dead for its accusers, or gone by its own word, which is then the record."""

    record: SignedRecord
    accusations: tuple[Accusation, ...] = ()

    @property
    def is_dead(self) -> bool:
        return self.record.record.is_director


def supersedes(new: SignedRecord, old: SignedRecord) -> bool:
    """Whether `new` is believed over `old`, of the same node.

    The incarnation decides across sessions too: a node that starts again and sees what its former session left
    behind goes beyond it, so no clock has to be right. The rest only makes everyone choose alike.
    """
    a, b = new.record, old.record
    return (a.incarnation, a.session, new.raw) > (b.incarnation, b.session, old.raw)


class Table:
    """By public key. `own` is this node's record while it is a director; it is in the digests, not in `members`."""

    def __init__(self, *, per_host: int | None) -> None:
        self.own: SignedRecord | None = None
        self.members: dict[bytes, Member] = {}
        self.gone: dict[bytes, Gone] = {}
        self._per_host = per_host
        self._sums = [0] * BUCKETS
        self._raws: set[bytes] = set()
        self._digest: bytes | None = None

    def __len__(self) -> int:
        """Live directors, this node included."""
        return len(self.members) + (self.own is not None)

    def holds(self, raw: bytes) -> bool:
        """Whether exactly this record is held: it needs no second look."""
        return raw in self._raws

    def held(self, node: bytes) -> SignedRecord | None:
        """What is known of another node, live or gone."""
        found = self.members.get(node) or self.gone.get(node)
        return found.record if found else None

    def state_of(self, node: bytes) -> State | None:
        """Of another node; None when nothing is known of it."""
        if (member := self.members.get(node)) is not None:
            return State.ALIVE if member.suspicion is None else State.SUSPECT
        if (gone := self.gone.get(node)) is not None:
            return State.DEAD if gone.is_dead else State.LEFT
        return None

    def set_own(self, record: SignedRecord | None) -> None:
        if self.own is not None:
            self._toggle(self.own)
        self.own = record
        if record is not None:
            self._toggle(record)

    def offer(self, record: SignedRecord) -> Offer:
        """A record of another node, whose signature was checked."""
        node = record.record.public_key
        held = self.held(node)
        if held is not None and not supersedes(record, held):
            return Offer.IGNORED
        member = self.members.get(node)
        if not record.record.is_director:
            if member is None:
                return Offer.IGNORED
            self.bury(node, Gone(record))
            return Offer.LEFT
        if not record.record.endpoints:
            return Offer.IGNORED
        if not self._has_room(record, member):
            return Offer.REFUSED
        if member is not None:
            self._toggle(member.record)
            member.record, member.suspicion, member.way = record, None, 0
            self._toggle(record)
            return Offer.CHANGED
        self._drop_gone(node)
        self.members[node] = Member(record)
        self._toggle(record)
        return Offer.JOINED

    def bury(self, node: bytes, gone: Gone) -> None:
        """The member is gone. The one that is gone longest makes room."""
        self._toggle(self.members.pop(node).record)
        if len(self.gone) >= MAX_GONE:
            self._drop_gone(next(iter(self.gone)))
        self.gone[node] = gone
        self._raws.add(gone.record.raw)

    def digest(self) -> bytes:
        """Of all live records, suspects included: whether another holds the same."""
        if self._digest is None:
            self._digest = hashlib.blake2b(self.bucket_digests(), digest_size=DIGEST_SIZE).digest()
        return self._digest

    def bucket_digests(self) -> bytes:
        """One digest per bucket, all in a row."""
        return b"".join([total.to_bytes(DIGEST_SIZE) for total in self._sums])

    def bucket(self, number: int) -> tuple[list[bytes], list[Accusation]]:
        """What to say about a bucket: live records and last words; why each dead one is held dead."""
        own = [self.own] if self.own is not None and bucket_of(self.own.record.public_key) == number else []
        live = [member.record for node, member in self.members.items() if bucket_of(node) == number]
        gone = [gone for node, gone in self.gone.items() if bucket_of(node) == number]
        records = [record.raw for record in (*own, *live, *(g.record for g in gone if not g.is_dead))]
        return records, [accusation for g in gone for accusation in g.accusations[:1]]

    def _has_room(self, record: SignedRecord, member: Member | None) -> bool:
        if member is None and len(self.members) >= MAX_MEMBERS:
            return False
        host = _host(record)
        if self._per_host is None or (member is not None and _host(member.record) == host):
            return True
        return sum(_host(other.record) == host for other in self.members.values()) < self._per_host

    def _drop_gone(self, node: bytes) -> None:
        if (gone := self.gone.pop(node, None)) is not None:
            self._raws.discard(gone.record.raw)

    def _toggle(self, record: SignedRecord) -> None:
        """Take a live record in, or out again."""
        mark = int.from_bytes(hashlib.blake2b(record.raw, digest_size=DIGEST_SIZE).digest())
        self._sums[bucket_of(record.record.public_key)] ^= mark
        self._raws ^= {record.raw}
        self._digest = None


def _host(record: SignedRecord) -> str:
    return record.record.endpoints[0].host


def bucket_of(node: bytes) -> int:
    return node[0] % BUCKETS
