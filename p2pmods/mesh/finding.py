"""Finding the other nodes: brings the sources of addresses together, and dials until members are known."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

import structlog
import trio

from p2pmods.config.values import Address
from p2pmods.errors import P2pmodsError
from p2pmods.identity.records import Endpoint
from p2pmods.mesh.candidates import Attempt, Candidates, Origin
from p2pmods.mesh.remembered import MAX_MEMBERS, Member, RememberedMembers, keep
from p2pmods.upstream.dial import Names

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    from p2pmods.mesh.interfaces import Presence
    from p2pmods.mesh.mdns_record import Hint
    from p2pmods.wire.entropy import Entropy

DIAL_TIME: Final = 5.0  # seconds for a connection and its handshake
RESOLVE_TIME: Final = 10.0  # seconds
MAX_RESOLVED: Final = 4  # addresses of one name that are tried in turn
SAVE_EVERY: Final = 30.0  # seconds

log = structlog.get_logger()


class Dial(Protocol):
    """Connect to an IP address (of IPv6 perhaps with a scope) and say who is there."""

    async def __call__(self, address: Address, expect: str | None) -> str:
        """The node id at the other end. Raises OSError or P2pmodsError, also when `expect` is another."""
        ...


@dataclass(frozen=True, slots=True)
class Sources:
    """Where addresses come from besides what is learned on the way; None for those that are not wanted."""

    peers: tuple[Address, ...] = ()
    remembered: RememberedMembers | None = None
    hints: trio.MemoryReceiveChannel[Hint] | None = None
    service: Callable[[Presence], Awaitable[tuple[Address, ...]]] | None = None


@dataclass(frozen=True, slots=True)
class DiscoveryStatistics:
    """`candidates` are addresses, `met` members since the start (128 at most), `failures` dials that led nowhere."""

    candidates: int
    dialing: int
    met: int
    failures: int


class Discovery:
    """Dials candidates until cancelled."""

    def __init__(
        self,
        node_id: str,
        dial: Dial,
        sources: Sources,
        *,
        is_member: Callable[[str], bool],
        entropy: Entropy,
    ) -> None:
        """`is_member` says whether a node is known to be alive, so that nobody has to dial it."""
        self._node_id = node_id
        self._dial = dial
        self._sources = sources
        self._candidates = Candidates(node_id, is_member=is_member, entropy=entropy)
        self._names = Names()
        self._news = trio.Event()
        self._moved = trio.Event()
        self._presence: Presence | None = None
        self._remembered = {member.node_id: member for member in self._read()}
        self._met: dict[str, tuple[Endpoint, ...]] = {}  # the one met last comes last
        self._is_saved = True
        self._failures = 0

    def _read(self) -> tuple[Member, ...]:
        return self._sources.remembered.read() if self._sources.remembered else ()

    def statistics(self) -> DiscoveryStatistics:
        candidates = self._candidates
        return DiscoveryStatistics(len(candidates), candidates.dialing, len(self._met), self._failures)

    def move(self, presence: Presence) -> None:
        """The node is at `presence` now. Also after a sleep: every address gets a new chance."""
        own = frozenset(Address(host, presence.port) for host in presence.announced)
        now = trio.current_time()
        self._candidates.move(own, presence.is_near, now=now)
        self._add_lasting(now)
        self._news.set()
        self._presence = presence
        self._moved.set()

    def _add_lasting(self, now: float) -> None:
        """What is not forgotten for good when it fails."""
        for address in self._sources.peers:
            self._candidates.add(address, Origin.CONFIGURED, None, now=now)
        for member in self._remembered.values():
            self._learn(member.node_id, member.endpoints, Origin.REMEMBERED)

    def learned(self, node_id: str, endpoints: Iterable[Endpoint]) -> None:
        """Somebody passed on where `node_id` is."""
        self._learn(node_id, endpoints, Origin.LEARNED)

    def _learn(self, node_id: str, endpoints: Iterable[Endpoint], origin: Origin) -> None:
        now = trio.current_time()
        for endpoint in endpoints:
            self._candidates.add(Address(endpoint.host, endpoint.port), origin, node_id, now=now)
        self._news.set()

    def met(self, node_id: str, endpoints: Iterable[Endpoint] = ()) -> None:
        """`node_id` proved to be a living member, here or to membership; `endpoints` are of its own record."""
        if node_id == self._node_id:
            return
        before = self._met.pop(node_id, ())
        self._met[node_id] = tuple(endpoints) or before
        if len(self._met) > MAX_MEMBERS:
            del self._met[next(iter(self._met))]
        self._is_saved = self._is_saved and self._met[node_id] == before

    async def run(self, presence: Presence) -> None:
        """Until cancelled."""
        self.move(presence)
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._save_now_and_then)
                if self._sources.hints is not None:
                    nursery.start_soon(self._take_hints, self._sources.hints)
                if self._sources.service is not None:
                    nursery.start_soon(self._ask_service, self._sources.service)
                await self._dial_all(nursery)
        finally:
            self._save()

    async def _take_hints(self, hints: trio.MemoryReceiveChannel[Hint]) -> None:
        async for hint in hints:
            for address in hint.addresses:
                self._candidates.add(address, Origin.MDNS, hint.node_id, now=trio.current_time())
            self._news.set()

    async def _ask_service(self, ask: Callable[[Presence], Awaitable[tuple[Address, ...]]]) -> None:
        """Once, and once more on every other network."""
        while True:
            await self._moved.wait()
            self._moved = trio.Event()
            assert self._presence is not None
            for address in await ask(self._presence):
                self._candidates.add(address, Origin.DNS, None, now=trio.current_time())
            self._news.set()

    async def _dial_all(self, nursery: trio.Nursery) -> None:
        while True:
            attempt = self._candidates.next_attempt(now=trio.current_time())
            if attempt is not None:
                nursery.start_soon(self._try, attempt)
                continue
            self._news = trio.Event()
            with trio.move_on_at(self._candidates.next_time()):
                await self._news.wait()

    async def _try(self, attempt: Attempt) -> None:
        try:
            node_id, address = await self._reach(attempt)
        except (OSError, P2pmodsError, trio.TooSlowError) as error:
            self._failures += 1
            self._candidates.failed(attempt, now=trio.current_time())
            log.debug("nobody there", address=str(attempt.address), reason=str(error) or "no answer in time")
        else:
            self._candidates.succeeded(attempt, node_id, now=trio.current_time())
            self.met(node_id, _as_endpoints(address))
        self._news.set()

    async def _reach(self, attempt: Attempt) -> tuple[str, Address]:
        """Who answered, and where. Raises what `dial` raises, or TooSlowError."""
        hosts = await self._resolve(attempt.address.host)
        failure: Exception = OSError("the name has no address")
        for host in hosts[:MAX_RESOLVED]:
            address = Address(host, attempt.address.port)
            try:
                with trio.fail_after(DIAL_TIME):
                    return await self._dial(address, attempt.expect), address
            except (OSError, P2pmodsError, trio.TooSlowError) as error:
                failure = error
        raise failure

    async def _resolve(self, host: str) -> tuple[str, ...]:
        try:
            return (str(ipaddress.ip_address(host)),)
        except ValueError:
            with trio.fail_after(RESOLVE_TIME):
                return await self._names.resolve(host)

    async def _save_now_and_then(self) -> None:
        while True:
            await trio.sleep(SAVE_EVERY)
            self._save()

    def _save(self) -> None:
        """Those met in this run first, the last one before all; then those of earlier runs that were not met."""
        if self._is_saved or self._sources.remembered is None:
            return
        met = [Member(node_id, ends) for node_id, ends in reversed(self._met.items()) if ends]
        others = [member for node_id, member in self._remembered.items() if node_id not in self._met]
        keep(self._sources.remembered, [*met, *others])
        self._is_saved = True


def _as_endpoints(address: Address) -> tuple[Endpoint, ...]:
    """The address as one for others; none when it means something on this link alone."""
    try:
        return (Endpoint(address.host, address.port),)
    except ValueError:
        return ()
