"""Where this node stands in its swarm: its own record, the directors that it knows, and where they are found."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

import structlog
import trio

from p2pmods.errors import MalformedData
from p2pmods.identity.records import DIRECTOR, MAX_ENDPOINTS, SEED, open_record
from p2pmods.membership.actions import Changed, ClonedIdentity, Died, Joined, Left

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from p2pmods.directory.addresses import AddressBook
    from p2pmods.identity.records import Endpoint, SignedRecord
    from p2pmods.membership.actions import Event
    from p2pmods.membership.machine import Membership

MEET_AGAIN: Final = 600.0  # seconds until a node that one has a new link to counts as met anew
MAX_MET: Final = 1024
MAX_NAMED: Final = 256  # four times as many directors as a swarm wants
MAX_SEEDS: Final = 64
NAMED_FOR: Final = 90.0  # seconds that a leaf believes in a director that nobody names again

log = structlog.get_logger()


class Standing:
    """Directors know each other by membership; a leaf knows those that were named to it.

    `publish(endpoints, flags)` makes the node's own record anew. `on_directors` is told whenever the known directors
    may be others, `on_joined` and `on_gone` of each that comes and goes, `on_alive` of each that says something new
    of itself, `on_cloned` when another one has this node's key.
    """

    def __init__(
        self,
        node: str,
        machine: Membership,
        book: AddressBook,
        *,
        publish: Callable[[tuple[Endpoint, ...], int], SignedRecord],
        on_directors: Callable[[Iterable[str]], None],
        on_joined: Callable[[str, SignedRecord], None],
        on_alive: Callable[[str], None],
        on_gone: Callable[[str], None],
        on_cloned: Callable[[], None],
    ) -> None:
        self._node = node
        self._machine = machine
        self._book = book
        self._publish = publish
        self._on_directors = on_directors
        self._on_joined = on_joined
        self._on_alive = on_alive
        self._on_gone = on_gone
        self._on_cloned = on_cloned
        self._met: dict[str, float] = {}  # when there was a new link to a node, the latest last
        self._named: dict[str, float] = {}  # directors that others named, and when
        self._endpoints: tuple[Endpoint, ...] = ()
        self._flags = 0
        self.is_director = False
        self._seeds: dict[str, None] = {}  # whose record was noted last is last
        self.record: SignedRecord

    def stand(self, endpoints: tuple[Endpoint, ...], flags: int) -> None:
        """The node is at these endpoints now, and nobody has dialled it back there."""
        self._endpoints, self._flags = endpoints, flags
        self.is_director = False
        self._named.clear()
        self._met.clear()  # whoever is met there is asked anew for its view, and for a dial back
        self.record = self._publish(endpoints, flags)
        self.changed()

    def promote(self, endpoint: Endpoint) -> None:
        """Another node dialled us back: we are a director."""
        endpoints = tuple(dict.fromkeys([endpoint, *self._endpoints]))[:MAX_ENDPOINTS]
        self.is_director = True
        self.record = self._publish(endpoints, self._flags | DIRECTOR)
        log.debug("this node is a director", address=str(endpoint))
        self.changed()

    @property
    def seeds(self) -> frozenset[str]:
        """Nodes that say in their records that they are, as far as they are remembered."""
        return frozenset(self._seeds)

    def is_news(self, node: str) -> bool:
        """There is a new link to `node`: whether it counts as meeting somebody."""
        now = trio.current_time()
        last = self._met.pop(node, -math.inf)
        self._met[node] = now
        if len(self._met) > MAX_MET:
            del self._met[next(iter(self._met))]
        return now - last >= MEET_AGAIN

    def heard(self, event: Event) -> None:
        """What membership says."""
        match event:
            case Joined(node, record):
                self.know(record)
                self._on_alive(node)
                self._on_joined(node, record)
            case Changed(node, record):  # one that was suspected, perhaps
                self.know(record)
                self._on_alive(node)
            case Died(node) | Left(node):
                self._on_gone(node)
            case ClonedIdentity():
                self._on_cloned()
        self.changed()

    def name(self, record: SignedRecord) -> None:
        """Somebody says that this is a director."""
        self.know(record)
        if record.record.is_director and record.record.node_id != self._node:
            self._named.pop(record.record.node_id, None)
            self._named[record.record.node_id] = trio.current_time()
            if len(self._named) > MAX_NAMED:
                del self._named[next(iter(self._named))]

    def know(self, record: SignedRecord) -> None:
        """Where a node is, in its own words; what it said before its latest is not news, whoever passes it on."""
        node = record.record.node_id
        known = self._book.record_of(node)
        if known is None or open_record(known).record.incarnation <= record.record.incarnation:
            self._book.note(node, record.raw)
            self._seeds.pop(node, None)
            if record.record.flags & SEED:
                self._seeds[node] = None
                if len(self._seeds) > MAX_SEEDS:
                    del self._seeds[next(iter(self._seeds))]

    def changed(self) -> None:
        """Tell who the directors are."""
        if self.is_director:
            self._on_directors(self._machine.members())
            return
        recent = trio.current_time() - NAMED_FOR
        self._named = {node: at for node, at in self._named.items() if at >= recent}
        self._on_directors(self._named)

    def addresses(self, node: str) -> list[Endpoint]:
        """Where a node may be found."""
        member = self._machine.members().get(node)
        if member is not None:
            return list(member.record.endpoints)
        raw = self._book.record_of(node)
        try:
            return list(open_record(raw).record.endpoints) if raw is not None else []
        except MalformedData:
            return []
