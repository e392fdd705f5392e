"""Which address to dial next: what is known of other nodes' addresses, ordered, paced, bounded. No clock, no socket.

All of it is hints. A wrong one costs a connection that fails, so every source has its own room, no host and no node
has more than a few places, and what keeps failing is forgotten.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

    from p2pmods.config.values import Address
    from p2pmods.wire.entropy import Entropy

MAX_DIALING: Final = 8
STAGGER: Final = 0.1  # seconds between the beginnings of two dials
HEAD_START: Final = 0.25  # seconds that one address of a node has before its next one is tried beside it (RFC 8305)
FIRST_RETRY: Final = 1.0  # seconds; doubles
LAST_RETRY: Final = 60.0
MAX_TRIES: Final = 8  # until LAST_RETRY is reached; then it is forgotten, unless it was configured
LOOK_AGAIN: Final = 10.0  # seconds after which a member is asked for whether it still is one
MAX_PER_HOST: Final = 32  # ports: hints shall not make port scanners of us
MAX_PER_NODE: Final = 8


class Origin(IntEnum):
    """Who named an address; the lower, the more it is worth."""

    CONFIGURED = 0
    MDNS = 1
    DNS = 2
    LEARNED = 3
    REMEMBERED = 4


_ROOM: Final = {
    Origin.CONFIGURED: 1000,
    Origin.MDNS: 512,
    Origin.DNS: 16,
    Origin.LEARNED: 512,
    Origin.REMEMBERED: 1024,
}


@dataclass(frozen=True, slots=True)
class Attempt:
    """Dial `address`; `expect` is the node that should be there, None for whoever is."""

    address: Address
    expect: str | None


@dataclass(slots=True)
class _Entry:
    """`node_id` is None until somebody answered where only an address was named. `due` is when it may be dialled."""

    address: Address
    origin: Origin
    node_id: str | None
    is_near: bool
    lot: float
    due: float
    failures: int = 0
    began: float | None = None

    def leads_where(self, other: _Entry) -> bool:
        """Whether the two lead to the same node."""
        return self.address == other.address or (self.node_id is not None and self.node_id == other.node_id)

    @property
    def rank(self) -> tuple[bool, bool, bool, Origin, float]:
        fresh = self.failures == 0
        return (self.origin is not Origin.CONFIGURED, not fresh, not self.is_near, self.origin, self.lot)


class Candidates:
    """The table. `now` is any monotonic clock, in seconds."""

    def __init__(self, node_id: str, *, is_member: Callable[[str], bool], entropy: Entropy) -> None:
        """`node_id` is our own. Who `is_member` already needs no dial."""
        self._own_id = node_id
        self._is_member = is_member
        self._entropy = entropy
        self._entries: dict[Attempt, _Entry] = {}
        self._own: set[Address] = set()
        self._is_near: Callable[[str], bool] = lambda _: False
        self._next_start = -math.inf
        self._count = 0

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def dialing(self) -> int:
        return sum(entry.began is not None for entry in self._entries.values())

    def add(self, address: Address, origin: Origin, node_id: str | None, *, now: float) -> None:
        """A hint that a node, `node_id` where that is known, listens at `address` (port 1 to 65535)."""
        if node_id == self._own_id or address in self._own:
            return
        # Two nodes at one address are two candidates: whoever lies about one does not replace the other.
        key = Attempt(address, None if origin is Origin.CONFIGURED else node_id)
        if key in self._entries:
            self._entries[key].origin = min(self._entries[key].origin, origin)
        elif self._make_room(address.host, origin, node_id):
            self._count += 1
            # Remembered ones come newest first. Of the others no one is better, and not all shall dial the same.
            lot = float(self._count) if origin is Origin.REMEMBERED else self._entropy.random()
            self._entries[key] = _Entry(address, origin, node_id, self._is_near(address.host), lot, now)

    def _make_room(self, host: str, origin: Origin, node_id: str | None) -> bool:
        """Whether one more may come in; one of the same origin that fails goes out for it."""
        if origin is Origin.CONFIGURED:
            return self._held(origin) < _ROOM[origin]
        others = [entry for entry in self._entries.values() if entry.origin is not Origin.CONFIGURED]
        if Counter(entry.address.host for entry in others)[host] >= MAX_PER_HOST:
            return False
        if sum(entry.node_id == node_id for entry in others) >= MAX_PER_NODE:
            return False
        if self._held(origin) < _ROOM[origin]:
            return True
        failing = [e for e in others if e.origin is origin and e.failures and e.began is None]
        if failing:
            worst = max(failing, key=lambda entry: entry.failures)
            del self._entries[Attempt(worst.address, worst.node_id)]
        return bool(failing)

    def _held(self, origin: Origin) -> int:
        return sum(entry.origin is origin for entry in self._entries.values())

    def move(self, own: frozenset[Address], is_near: Callable[[str], bool], *, now: float) -> None:
        """This machine is elsewhere, or awake again: its `own` addresses, what is near, and a new chance for all."""
        self._own = set(own)
        self._is_near = is_near
        for entry in self._entries.values():
            entry.is_near = is_near(entry.address.host)
            entry.failures = 0
            entry.due = min(entry.due, now)

    def next_attempt(self, *, now: float) -> Attempt | None:
        """What to dial now; None when nothing is due. Tell `failed` or `succeeded`."""
        if now < self._next_start or self.dialing >= MAX_DIALING:
            return None
        due = [(key, entry) for key, entry in self._entries.items() if entry.began is None and entry.due <= now]
        for key, entry in sorted(due, key=lambda one: one[1].rank):
            later = self._not_before(entry, now)
            if later > now:
                entry.due = later
                continue
            entry.began = now
            self._next_start = now + STAGGER
            return key
        return None

    def _not_before(self, entry: _Entry, now: float) -> float:
        if entry.address in self._own:
            return now + LOOK_AGAIN
        if entry.node_id is not None and self._is_member(entry.node_id):
            return now + LOOK_AGAIN
        began = [e.began for e in self._entries.values() if e.began is not None and e.leads_where(entry)]
        return max(began, default=-math.inf) + HEAD_START

    def next_time(self) -> float:
        """When to ask for the next attempt; infinity when only the end of a dial, or a hint, can bring one."""
        if self.dialing >= MAX_DIALING:
            return math.inf
        due = min((entry.due for entry in self._entries.values() if entry.began is None), default=math.inf)
        return max(due, self._next_start)

    def failed(self, attempt: Attempt, *, now: float) -> None:
        """Nobody was there, or somebody else."""
        entry = self._entries.get(attempt)
        if entry is None:
            return
        entry.began = None
        entry.failures += 1
        if entry.origin is not Origin.CONFIGURED and entry.failures >= MAX_TRIES:
            del self._entries[attempt]
            return
        pause = min(LAST_RETRY, FIRST_RETRY * 2 ** min(entry.failures - 1, 10))
        entry.due = now + pause * (0.75 + self._entropy.random() / 2)

    def succeeded(self, attempt: Attempt, node_id: str, *, now: float) -> None:
        """`node_id` proved to be there."""
        if node_id == self._own_id:
            self._own.add(attempt.address)
        entry = self._entries.get(attempt)
        if entry is not None:
            entry.began, entry.failures, entry.node_id = None, 0, node_id
            entry.due = now + LOOK_AGAIN
