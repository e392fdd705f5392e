"""Two nodes of which one can be dialled: a director that both have a link to asks the other one to dial.

A node that is not reached at any of its addresses has links to directors, and to which ones follows from its id (see
roles). They pass on that somebody wants to be dialled by it. Nobody can send a node anywhere but to who asks.
"""

from __future__ import annotations

import ipaddress
import math
from functools import partial
from typing import TYPE_CHECKING, Final

import attrs
import trio

from p2pmods.directory.rendezvous import homes
from p2pmods.errors import MalformedData, PeerError, PeerNotReached
from p2pmods.identity.key import NODE_ID_SIZE
from p2pmods.identity.records import MAX_ENDPOINTS, MAX_RECORD, Endpoint, open_record
from p2pmods.mesh.pace import Pace
from p2pmods.mesh.roles import MOST_TRIED
from p2pmods.upstream.dial import race
from p2pmods.wire.bounds import at_most, between, size
from p2pmods.wire.codec import message
from p2pmods.wire.events import FIRST_OWN_CODE

if TYPE_CHECKING:
    from collections.abc import Callable

    from p2pmods.identity.records import NodeRecord
    from p2pmods.mesh.call import Call
    from p2pmods.mesh.links import Links

# Outcomes of an introduction.
LINKED: Final = 0
NOT_HERE: Final = 1  # whoever was asked has no link to that node
UNREACHED: Final = 2  # that node dialled, and nobody answered

REFUSED: Final = FIRST_OWN_CODE  # what was asked is not allowed, or asked too often
DIAL_TIME: Final = 2.0  # seconds that a node dials for somebody else
PASS_ON_TIME: Final = 2.5  # seconds that a director waits for it
ASK_TIME: Final = 3.0  # seconds that who asks waits for the director
MOST_DIALLED: Final = 4  # addresses
APART_FOR: Final = 60.0  # seconds until a node that dialled in vain is looked for again, and
UNKNOWN_FOR: Final = 3.0  # one to which no director had a link: it may be about to make them
MAX_APART: Final = 1024  # nodes
EACH_RATE: Final = 2.0  # dials a second that one peer may ask for, and
EACH_BURST: Final = 64.0  # at once
ALL_RATE: Final = 16.0  # that all of them may: ids cost nothing
ALL_BURST: Final = 128.0
MAX_PACES: Final = 512  # peers


@message(14)
class Introduce:
    """Request to a director: have `node` dial me, whose signed record this is. Answered by Introduced."""

    node: str = attrs.field(validator=size(NODE_ID_SIZE))
    record: bytes = attrs.field(validator=at_most(MAX_RECORD))


@message(15)
class DialFor:
    """Request of a director: dial the node of this record, at these of its addresses. Answered by Introduced."""

    record: bytes = attrs.field(validator=at_most(MAX_RECORD))
    endpoints: tuple[Endpoint, ...] = attrs.field(validator=at_most(MAX_ENDPOINTS))


@message(16)
class Introduced:
    """Answer: what came of it."""

    outcome: int = attrs.field(validator=between(LINKED, UNREACHED))


def dialable(record: NodeRecord, host: str) -> tuple[Endpoint, ...]:
    """The addresses of `record` at which its node, which is seen at `host`, may be dialled by others.

    Those of a private network, and the one that it is seen at. Loopback means this machine, so only who is seen there
    is dialled there.
    """
    allowed = []
    for endpoint in record.endpoints:
        address = ipaddress.ip_address(endpoint.host)
        if endpoint.host == host or (not address.is_global and not address.is_loopback):
            allowed.append(endpoint)
    return tuple(allowed[:MOST_DIALLED])


class Doorkeeper:
    """How often peers may have others dial. No peer and no crowd of them gets more."""

    def __init__(self) -> None:
        self._all = Pace(ALL_RATE, ALL_BURST)
        self._each: dict[str, Pace] = {}

    def admits(self, peer: str, *, now: float) -> bool:
        """Whether `peer` may have it now. `now` is any monotonic clock, in seconds."""
        pace = self._each.pop(peer, None) or Pace(EACH_RATE, EACH_BURST)
        self._each[peer] = pace
        if len(self._each) > MAX_PACES:
            del self._each[next(iter(self._each))]
        return pace.take(now=now) and self._all.take(now=now)


class Introductions:
    """Of one node in one swarm: asks for them, passes them on, and dials. `record` is the node's own."""

    def __init__(self, links: Links, *, directors: Callable[[], frozenset[str]], record: Callable[[], bytes]) -> None:
        self._links = links
        self._directors = directors
        self._record = record
        self._apart: dict[str, float] = {}  # until when a node that dialled in vain counts as out of reach, and
        self._unknown: dict[str, float] = {}  # one that no director knew
        self._doorkeeper = Doorkeeper()
        links.on(Introduce, self._introduce)
        links.on(DialFor, self._dial_for)

    def between(self, node: str) -> tuple[str, ...]:
        """The directors that are likely to have a link to `node`, the likeliest first."""
        return homes(node.encode(), self._directors() - {self._links.node_id, node}, MOST_TRIED)

    async def ask(self, node: str) -> None:
        """Have `node` dial this one. Raises PeerError when that does not come about; PeerNotReached when it tried."""
        if trio.current_time() < max(self._apart.get(node, -math.inf), self._unknown.get(node, -math.inf)):
            raise PeerError(node, "it was out of reach a moment ago")
        for director in self.between(node):
            outcome = await self._ask(director, node)
            if outcome == LINKED:
                return
            if outcome == UNREACHED:
                _note(self._apart, node, APART_FOR)
                raise PeerNotReached(node, "neither of us reaches the other")
        _note(self._unknown, node, UNKNOWN_FOR)
        raise PeerError(node, "no director brings it here")

    def apart(self) -> frozenset[str]:
        """The nodes that dialled in vain a moment ago, and have not got through since."""
        now = trio.current_time()
        return frozenset(node for node, until in self._apart.items() if now < until) - self._links.linked()

    def forget(self) -> None:
        """The network is another one."""
        self._apart.clear()
        self._unknown.clear()

    async def _ask(self, director: str, node: str) -> int:
        """A director that cannot be asked is one that has no link."""
        deadline = trio.current_time() + ASK_TIME
        try:
            # Not by its id: nobody is to be introduced to the director that is to introduce.
            if director not in self._links.linked():
                await self._dial(director, self._links.addresses(director), deadline)
            answer = await self._links.request(director, Introduce(node, self._record()), deadline=deadline)
        except PeerError:
            return NOT_HERE
        await answer.discard()
        return answer.message.outcome if isinstance(answer.message, Introduced) else NOT_HERE

    async def _dial(self, node: str, endpoints: tuple[Endpoint, ...] | list[Endpoint], deadline: float) -> None:
        if not endpoints:
            raise PeerError(node, "no address of it is known")
        attempts = [
            partial(self._links.dial, endpoint, expect=node, deadline=deadline)
            for endpoint in endpoints[:MOST_DIALLED]
        ]
        await race(attempts, failure=PeerError, close=lambda _: None)  # which of two links stays is decided elsewhere

    # For others.

    async def _introduce(self, call: Call) -> None:
        """As a director: pass it on over a link that there is."""
        asked: Introduce = call.message
        try:
            record = open_record(asked.record).record
        except MalformedData as error:
            await call.refuse(REFUSED, str(error))
            return
        endpoints = dialable(record, call.host)
        if record.node_id != call.peer:
            await call.refuse(REFUSED, "not the record of who asks")
        elif not self._doorkeeper.admits(call.peer, now=trio.current_time()):
            await call.refuse(REFUSED, "asks too often")
        elif asked.node == call.peer or asked.node not in self._links.linked():
            await call.reply(Introduced(NOT_HERE))
        elif not endpoints:
            await call.reply(Introduced(UNREACHED))
        else:
            await call.reply(Introduced(await self._pass_on(asked, endpoints)))

    async def _pass_on(self, asked: Introduce, endpoints: tuple[Endpoint, ...]) -> int:
        deadline = trio.current_time() + PASS_ON_TIME
        try:
            answer = await self._links.request(asked.node, DialFor(asked.record, endpoints), deadline=deadline)
        except PeerError:
            return NOT_HERE
        await answer.discard()
        return answer.message.outcome if isinstance(answer.message, Introduced) else NOT_HERE

    async def _dial_for(self, call: Call) -> None:
        """A director of this node's asks."""
        asked: DialFor = call.message
        try:
            record = open_record(asked.record).record
        except MalformedData as error:
            await call.refuse(REFUSED, str(error))
            return
        allowed = [endpoint for endpoint in asked.endpoints if self._may_dial(endpoint, record, call.host)]
        if call.peer not in self._directors() or not allowed:
            await call.refuse(REFUSED, "not by a director, or not to who asks")
        elif not self._doorkeeper.admits(call.peer, now=trio.current_time()):
            await call.refuse(REFUSED, "asks too often")
        else:
            try:
                await self._dial(record.node_id, allowed, trio.current_time() + DIAL_TIME)
            except PeerError:
                await call.reply(Introduced(UNREACHED))
            else:
                await call.reply(Introduced(LINKED))

    def _may_dial(self, endpoint: Endpoint, record: NodeRecord, host: str) -> bool:
        """Only where the node says that it is; on this machine only for a director of this machine."""
        is_local = ipaddress.ip_address(endpoint.host).is_loopback
        return endpoint in record.endpoints and (not is_local or ipaddress.ip_address(host).is_loopback)


def _note(table: dict[str, float], node: str, seconds: float) -> None:
    """Until so many seconds from now; the latest last."""
    table.pop(node, None)
    table[node] = trio.current_time() + seconds
    if len(table) > MAX_APART:
        del table[next(iter(table))]
