"""All links of a node in one swarm: dials and accepts, one link a pair, requests by node id."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import structlog
import trio

from p2pmods.errors import PeerError
from p2pmods.httpd.listening import accept_from
from p2pmods.identity.key import node_id as id_of_key
from p2pmods.mesh.answer import Answer, Moved
from p2pmods.mesh.dialling import Dialler
from p2pmods.mesh.door import Door
from p2pmods.mesh.limits import LinkLimits
from p2pmods.mesh.link import Link
from p2pmods.mesh.sockets import READ_SIZE, SecureSocket, connect
from p2pmods.mesh.statistics import LinksStatistics, PeerStatistics
from p2pmods.mesh.table import Table
from p2pmods.mesh.tls import contexts, reason_of
from p2pmods.wire.budget import Budget
from p2pmods.wire.codec import encode

if TYPE_CHECKING:
    import socket
    from collections.abc import Awaitable, Callable, Sequence
    from pathlib import Path

    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    from p2pmods.config.values import Address
    from p2pmods.identity.records import Endpoint
    from p2pmods.identity.swarm import Swarm
    from p2pmods.mesh.call import Handler

log = structlog.get_logger()

_MOVES: Final = 4  # times that a request is made again because its link went away


class Links:
    """The links of the node of `key` in `swarm`; `listeners` are its own to close.

    `addresses` says where a node id may be found, best first. `directory` holds the key in a file for a moment.
    Raises OSError when it cannot.
    """

    def __init__(
        self,
        swarm: Swarm,
        key: Ed25519PrivateKey,
        *,
        listeners: Sequence[socket.socket],
        addresses: Callable[[str], list[Endpoint]],
        directory: Path,
        limits: LinkLimits | None = None,
        budget: Budget | None = None,
    ) -> None:
        self.node_id = id_of_key(key)
        self.port: int = listeners[0].getsockname()[1] if listeners else 0
        self.limits = limits or LinkLimits()
        self.budget = budget or Budget()
        self.addresses = addresses
        self._listeners = tuple(listeners)
        self._contexts = contexts(swarm, key, directory)
        self._buffer = bytearray(READ_SIZE)
        self._handlers: dict[type, Handler] = {}
        self._table = Table(self.node_id)
        self._door = Door(self.limits, self._make_room)
        # Has a node that is not reached dial this one, or raises PeerError.
        self.introduce: Callable[[str], Awaitable[None]] = self._nobody_introduces
        self._dialler = Dialler(
            lambda node_id: self.addresses(node_id),
            self._open,
            lambda node_id: self.introduce(node_id),
            self.limits.dial,
        )
        self._pinned: set[str] = set()
        self._nursery: trio.Nursery | None = None
        self.on_linked: Callable[[str], None] = lambda _node_id: None  # told of every link, whoever dialled
        self._dialled = self._accepted = self._turned_away = self._failed = 0

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Serves until cancelled. Started means that connections are accepted and requests can be made."""
        try:
            async with trio.open_nursery() as self._nursery:
                for listener in self._listeners:
                    self._nursery.start_soon(self._accept, listener)
                task_status.started()
                try:
                    await self._tidy_now_and_then()
                finally:
                    self._nursery = None  # no link begins while those that there are end
        finally:
            for listener in self._listeners:
                listener.close()

    # What services use.

    def on(self, message_class: type, handler: Handler) -> None:
        """Requests and notices of this class go to `handler`, each in a task of its own."""
        if message_class in self._handlers:
            raise ValueError(f"{message_class.__name__} has a handler")
        self._handlers[message_class] = handler

    async def request(self, node_id: str, message: object, *, deadline: float, floor: int = 0) -> Answer:
        """Ask a node, over a new link when there is none. The answer when its head has arrived.

        `deadline` is in trio's time, and for all of it, the body's last byte included. A body slower than `floor`
        bytes a second over 15 s fails too. Raises PeerError; PeerRefused when the node says no.
        """
        data = encode(message)
        for _ in range(_MOVES):
            link = self._table.find(node_id) or await self._reach(node_id, deadline)
            try:
                return await link.request(data, deadline=deadline, floor=floor)
            except Moved:
                await trio.lowlevel.checkpoint()
        raise PeerError(node_id, "its links do not last")

    async def notify(self, node_id: str, message: object) -> None:
        """Tell a node, without an answer; in vain when no link can be had, or when it does not listen."""
        data = encode(message)
        try:
            link = self._table.find(node_id) or await self._reach(node_id, trio.current_time() + self.limits.dial)
        except PeerError:
            return
        link.notify(data)
        await trio.lowlevel.checkpoint()

    async def dial(self, endpoint: Endpoint | Address, *, expect: str | None = None, deadline: float) -> str:
        """The id of the node at `endpoint`, to which there is a link then. Raises PeerError.

        An Address is an IP address too, of IPv6 perhaps with the scope that its packets came from.
        """
        with trio.move_on_at(deadline):
            return (await self._open(endpoint, expect)).peer
        raise PeerError(expect or str(endpoint), "no link in time")

    def linked(self) -> frozenset[str]:
        """The nodes that can be asked without a dial."""
        return self._table.linked()

    def host(self, node_id: str) -> str | None:
        """The address at the other end of the link to this node; None when there is none."""
        link = self._table.find(node_id)
        return None if link is None else link.host.removeprefix("::ffff:")

    def pin(self, node_id: str) -> None:
        """A link to this node stays when it is idle."""
        self._pinned.add(node_id)

    def unpin(self, node_id: str) -> None:
        self._pinned.discard(node_id)

    def closing(self, node_id: str, reason: str) -> None:
        """Give up the links to a node; what is under way is finished."""
        for link in self._table:
            if link.peer == node_id and link.is_usable:
                link.retire(reason)

    def reset(self, reason: str, *, stays: Callable[[str], bool] = lambda _here: False) -> None:
        """Links end now, but those of whose end here, an address, `stays` says that nothing happened to it.

        After a sleep, or a change of network, nobody knows which of them are still there.
        """
        log.info("links to other nodes end", reason=reason)
        for link in self._table:
            if not stays(link.here):
                link.end(reason)

    def statistics(self) -> LinksStatistics:
        links = list(self._table)
        return LinksStatistics(
            links=sum(link.is_usable for link in links),
            half_open=self._door.half_open,
            dialled=self._dialled,
            accepted=self._accepted,
            turned_away=self._turned_away,
            failed=self._failed,
            held=self.budget.total - self.budget.free,
            peers=tuple(PeerStatistics.of(link) for link in links if link.is_usable),
        )

    def round_trip(self, node_id: str) -> float:
        """Seconds to this node, as last measured; 0 when that is not known."""
        link = self._table.find(node_id)
        return 0.0 if link is None else link.mux.round_trip or 0.0

    # What links use.

    def admit(self, link: Link) -> None:
        loser = self._table.admit(link)
        if loser is not None:
            loser.retire("another link to the same node")

    def opened(self, link: Link) -> None:
        self._door.opened(link)
        if not link.is_dialler:
            self._dialler.arrived(link.peer, link)
        self.on_linked(link.peer)

    def handler_for(self, message_class: type) -> Handler | None:
        return self._handlers.get(message_class)

    # Connections.

    async def _reach(self, node_id: str, deadline: float) -> Link:
        if node_id == self.node_id:
            raise PeerError(node_id, "this is the node itself")
        return await self._dialler.reach(node_id, deadline, self._running())

    async def _nobody_introduces(self, node_id: str) -> None:
        raise PeerError(node_id, "nobody brings it here")

    async def _open(self, endpoint: Endpoint | Address, expect: str | None) -> Link:
        """A link to the node at `endpoint`, which is `expect` if that is given. Raises PeerError."""
        nursery = self._running()
        if len(self._table) >= self.limits.links and not self._make_room():
            raise PeerError(expect or str(endpoint), "this node has all the links that it may have")
        try:
            sock = await connect(endpoint)
        except OSError as error:
            raise PeerError(expect or str(endpoint), reason_of(error)) from error
        self._dialled += 1
        secure = SecureSocket(sock, self._contexts.client, server_side=False, buffer=self._buffer)
        link = Link(self, secure, endpoint.host, is_dialler=True, expect=expect)
        self._table.add(link)
        nursery.start_soon(self._run_link, link)
        try:
            await link.opened.wait()
        except trio.Cancelled:
            link.end("the dial was given up")
            raise
        if not link.mux.is_open:
            raise PeerError(expect or str(endpoint), link.reason)
        return link

    async def _accept(self, listener: socket.socket) -> None:
        await accept_from(listener, self._welcome, make_room=self._make_room, pause=self.limits.accept_pause)

    def _welcome(self, sock: socket.socket, host: str) -> None:
        self._accepted += 1
        if not self._door.has_room(host, len(self._table)):
            self._turned_away += 1
            sock.close()
            return
        secure = SecureSocket(sock, self._contexts.server, server_side=True, buffer=self._buffer)
        link = Link(self, secure, host, is_dialler=False, expect=None)
        self._table.add(link)
        self._door.enter(link)
        self._running().start_soon(self._run_link, link)

    async def _run_link(self, link: Link) -> None:
        try:
            await link.run()
        except Exception as error:  # the border between one link and the node
            log.exception("a link failed by a fault of p2pmods", peer=link.peer or link.host, exc_info=error)
        finally:
            self._failed += not link.mux.is_open
            self._table.remove(link)
            if not link.is_dialler:
                self._door.left(link)
            log.debug("a link ended", peer=link.peer or link.host, reason=link.reason)

    def _running(self) -> trio.Nursery:
        if self._nursery is None:
            raise PeerError(self.node_id, "this node is not running")
        return self._nursery

    # Idle links.

    async def _tidy_now_and_then(self) -> None:
        while True:
            await trio.sleep(self.limits.tick)
            self.tidy()

    def tidy(self) -> None:
        """Give up the links that nobody has used for long."""
        for link in self._idle(self.limits.idle):
            link.retire("idle")

    def _make_room(self) -> bool:
        """Give up the link that has been idle longest; False when none is."""
        idle = self._idle(0.0)
        if not idle:
            return False
        oldest = min(idle, key=lambda link: link.mux.last_used)
        oldest.end("room was needed")
        return True

    def _idle(self, seconds: float) -> list[Link]:
        before = trio.current_time() - seconds
        return [
            link
            for link in self._table
            if link.is_usable and link.mux.is_quiet and link.mux.last_used <= before and link.peer not in self._pinned
        ]
