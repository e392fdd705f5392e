"""Directors and leaves: whether this node can be dialled, and whom it asks when it cannot.

A node becomes a director when another one has dialled its address back. Everyone else is a leaf: it holds links to a
few directors, asks those for the others, and is served and serves over the links that it made.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import attrs
import structlog
import trio

from p2pmods.directory.rendezvous import homes
from p2pmods.errors import MalformedData, PeerError
from p2pmods.identity.records import DIRECTOR, MAX_RECORD, Endpoint, open_record
from p2pmods.wire.bounds import at_most, between
from p2pmods.wire.codec import message

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from p2pmods.identity.records import SignedRecord
    from p2pmods.mesh.call import Call
    from p2pmods.mesh.links import Links
    from p2pmods.mesh.members import Members
    from p2pmods.mesh.standing import Standing

ASK_TIME: Final = 10.0  # seconds for a dial-back or a list of directors
MOST_NAMED: Final = 64
LEAF_LINKS: Final = 3
MOST_TRIED: Final = 6  # directors that a leaf tries for those links, and that are asked for a way to one
REFRESH: Final = 20.0  # seconds between two looks of a leaf at who the directors are
FIRST_REFRESH: Final = 1.0  # seconds after it met somebody; doubles up to REFRESH
_CHECK_AGAIN: Final = 300.0  # seconds until a leaf asks to be dialled again, though nothing changed

log = structlog.get_logger()


@message(10)
class DialBack:
    """Request: dial me at this port of the address that you see. Answered by DialledBack."""

    port: int = attrs.field(validator=between(1, 65535))


@message(11)
class DialledBack:
    """Answer: the address at which I reached you; None when I did not."""

    endpoint: Endpoint | None


@message(12)
class WhoDirects:
    """Request: the directors that you know. `record` is the asker's own. Answered by Directors."""

    record: bytes = attrs.field(validator=at_most(MAX_RECORD))


@message(13)
class Directors:
    """Answer: signed records of directors, the answering node's own first if it is one."""

    records: tuple[bytes, ...] = attrs.field(
        validator=[at_most(MOST_NAMED), attrs.validators.deep_iterable(at_most(MAX_RECORD))]
    )


class Roles:
    """Of one node in one swarm. `directors` are those that it knows; `on_director` is told once it is one itself,
    `on_records` of records that others sent."""

    def __init__(
        self,
        links: Links,
        members: Members,
        standing: Standing,
        *,
        directors: Callable[[], frozenset[str]],
        on_director: Callable[[Endpoint], None],
        on_records: Callable[[Iterable[SignedRecord]], None],
    ) -> None:
        self._links = links
        self._members = members
        self._standing = standing
        self._directors = directors
        self._on_director = on_director
        self._on_records = on_records
        self._asked = trio.Event()
        self._dialling = trio.Lock()
        self._dialling_back: set[str] = set()  # nodes that dial this one, or will
        self._pinned: frozenset[str] = frozenset()
        links.on(DialBack, self._dial_back)
        links.on(WhoDirects, self._name_directors)

    def met(self) -> None:
        """There is a link to a node that may be new."""
        self._asked.set()

    async def run(self) -> None:
        """Until cancelled."""
        pause = FIRST_REFRESH
        async with trio.open_nursery() as nursery:
            while True:
                self._asked = trio.Event()
                await self._hold_links(nursery)
                with trio.move_on_after(_CHECK_AGAIN if self._standing.is_director else pause) as waiting:
                    await self._asked.wait()
                pause = min(pause * 2, REFRESH) if waiting.cancelled_caught else FIRST_REFRESH

    async def _hold_links(self, background: trio.Nursery) -> None:
        """To those directors that others, who know the same ones, will ask for a way to this node."""
        own = self._links.node_id
        likely = [*homes(own.encode(), self._directors() - {own}, MOST_TRIED), *sorted(self._links.linked())]
        candidates = iter(dict.fromkeys(likely))
        held: set[str] = set()

        async def hold() -> None:
            for node in candidates:
                if await self._ask_for_directors(node):
                    held.add(node)
                    # Not waited for: where packets get lost it takes long, and directors are wanted meanwhile.
                    background.start_soon(self._be_dialled, node)
                    return

        async with trio.open_nursery() as nursery:
            for _ in range(LEAF_LINKS):
                nursery.start_soon(hold)
        self._pin(frozenset() if self._standing.is_director else frozenset(held))

    def _pin(self, nodes: frozenset[str]) -> None:
        for node in self._pinned - nodes:
            self._links.unpin(node)
        for node in nodes - self._pinned:
            self._links.pin(node)
        self._pinned = nodes

    async def _be_dialled(self, node: str) -> None:
        """By one node at a time, for the first dial-back makes the others needless; by each once."""
        if node in self._dialling_back:
            return
        self._dialling_back.add(node)
        try:
            async with self._dialling:
                if not self._standing.is_director and self._links.port:
                    await self._ask_to_be_dialled(node)
        finally:
            self._dialling_back.discard(node)

    async def _ask_to_be_dialled(self, node: str) -> None:
        try:
            answer = await self._links.request(
                node, DialBack(self._links.port), deadline=trio.current_time() + ASK_TIME
            )
        except PeerError:
            return
        await answer.discard()
        found = answer.message
        endpoint = found.endpoint if isinstance(found, DialledBack) else None
        if endpoint is not None and endpoint.port == self._links.port and not self._standing.is_director:
            self._on_director(endpoint)

    async def _ask_for_directors(self, node: str) -> bool:
        try:
            answer = await self._links.request(
                node, WhoDirects(self._standing.record.raw), deadline=trio.current_time() + ASK_TIME
            )
        except PeerError:
            return False
        await answer.discard()
        if not isinstance(answer.message, Directors):
            return False
        self._on_records(_genuine(answer.message.records))
        return True

    async def _dial_back(self, call: Call) -> None:
        """Only the very address that the asker dialled from: nobody can send this node elsewhere."""
        try:
            endpoint = Endpoint(call.host, call.message.port)
            await self._links.dial(endpoint, expect=call.peer, deadline=trio.current_time() + ASK_TIME / 2)
        except (PeerError, ValueError):
            await call.reply(DialledBack(None))
            return
        await call.reply(DialledBack(endpoint))

    async def _name_directors(self, call: Call) -> None:
        try:
            record = open_record(call.message.record)
        except MalformedData as error:
            await call.refuse(64, str(error))
            return
        if record.record.node_id == call.peer:
            self._on_records([record])
        known = self._members.machine.members()
        own = known.pop(self._links.node_id, None)
        named = [*([own] if own else []), *known.values()][:MOST_NAMED]
        await call.reply(Directors(tuple([one.raw for one in named])))


def _genuine(records: Iterable[bytes]) -> list[SignedRecord]:
    """Those that are signed by directors."""
    found = []
    for raw in records:
        try:
            record = open_record(raw)
        except MalformedData:
            continue
        if record.record.flags & DIRECTOR:
            found.append(record)
    return found
