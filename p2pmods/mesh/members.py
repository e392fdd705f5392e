"""Carries the membership machine: datagrams on a UDP socket, and links where datagrams do not get through."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any, Final

import structlog
import trio

from p2pmods.errors import PeerError
from p2pmods.membership.actions import AskByLink, MeetByLink, ProbeByLink, TellByLink
from p2pmods.membership.messages import Ack, BucketContents, Missing, Ping, TableDigests
from p2pmods.mesh.desk import seconds_until
from p2pmods.wire.events import FIRST_OWN_CODE
from p2pmods.wire.seal import MAX_DATAGRAM

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Sequence

    from p2pmods.identity.records import Endpoint, SignedRecord
    from p2pmods.membership.actions import Action, Datagram, Event
    from p2pmods.membership.machine import Membership
    from p2pmods.mesh.call import Call
    from p2pmods.mesh.links import Links

LINK_TIME: Final = 1.0  # seconds for a probe over a link; the probe's own deadline is no longer
NOT_A_DIRECTOR: Final = FIRST_OWN_CODE

log = structlog.get_logger()


class Members:
    """One for each swarm of a node. `on_event` hears what the machine says of others."""

    def __init__(
        self,
        machine: Membership,
        links: Links,
        sockets: Sequence[socket.socket],
        on_event: Callable[[Event], None],
    ) -> None:
        self._machine = machine
        self._links = links
        self._sockets = tuple(trio.socket.from_stdlib_socket(sock) for sock in sockets)
        self._on_event = on_event
        self._changed = trio.Event()
        self._nursery: trio.Nursery | None = None
        links.on(Ping, self._asked)
        links.on(TableDigests, self._asked)
        links.on(Missing, self._told)

    @property
    def machine(self) -> Membership:
        """To ask; whoever changes something calls `settle`."""
        return self._machine

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Until cancelled; then the others are told."""
        try:
            async with trio.open_nursery() as self._nursery:
                for sock in self._sockets:
                    self._nursery.start_soon(self._receive, sock)
                task_status.started()
                try:
                    while True:
                        await self._serve_timers()
                finally:
                    self._nursery = None
        finally:
            self._machine.leave(now=trio.current_time())
            with trio.CancelScope(shield=True, deadline=trio.current_time() + 0.2):
                await self._send(self._machine.datagrams_to_send(now=trio.current_time()))
            for sock in self._sockets:
                sock.close()

    async def _serve_timers(self) -> None:
        self._changed = trio.Event()
        self._machine.handle_timer(now=trio.current_time())
        self._carry_out()
        with trio.move_on_after(seconds_until(self._machine.next_timer())):
            await self._changed.wait()

    def set_own_record(self, endpoints: tuple[Endpoint, ...], flags: int) -> SignedRecord:
        """What is true of this node from now on."""
        record = self._machine.set_own_record(endpoints, flags, now=trio.current_time())
        self.settle()
        return record

    def meet(self, node_id: str, endpoints: tuple[Endpoint, ...] = ()) -> None:
        """There is a link to this node, or somebody says that it is a director."""
        now = trio.current_time()
        if node_id in self._links.linked():
            self._machine.met(node_id, now=now)
        self._machine.join(endpoints, now=now)
        self.settle()

    def wake(self) -> None:
        """The node slept."""
        self._machine.wake(now=trio.current_time())
        self.settle()

    def settle(self) -> None:
        """Carry out what the machine wants after something happened to it, and look at its timers again."""
        self._carry_out()
        self._changed.set()

    def _carry_out(self) -> None:
        for event in self._machine.events():
            self._on_event(event)
        if self._nursery is None:
            return
        for action in self._machine.actions():
            self._nursery.start_soon(self._act, action)
        if datagrams := self._machine.datagrams_to_send(now=trio.current_time()):
            self._nursery.start_soon(self._send, datagrams)

    async def _receive(self, sock: trio.socket.SocketType) -> None:
        while True:
            try:
                data, sender = await sock.recvfrom(MAX_DATAGRAM + 1)
            except OSError as error:  # an ICMP error of an earlier datagram, on some systems
                log.debug("a datagram could not be read", reason=str(error))
                await trio.lowlevel.checkpoint()
                continue
            self._machine.receive_datagram(data, (sender[0], sender[1]), now=trio.current_time())
            self.settle()

    async def _send(self, datagrams: Sequence[Datagram]) -> None:
        for datagram in datagrams:
            host, port = datagram.to
            family = trio.socket.AF_INET6 if ":" in host else trio.socket.AF_INET
            for sock in self._sockets:
                if sock.family == family:
                    with contextlib.suppress(OSError):  # no route, say: it is as if it were lost
                        await sock.sendto(datagram.data, (host, port))

    async def _act(self, action: Action) -> None:
        match action:
            case ProbeByLink(node, ping):
                await self._probe(node, ping)
            case AskByLink(node, message):
                answer = await self._request(node, message)
                if isinstance(answer, BucketContents):
                    self._machine.link_answered(node, answer, now=trio.current_time())
                else:
                    self._machine.link_failed(node, now=trio.current_time())
            case TellByLink(node, message):
                await self._links.notify(node, message)
            case MeetByLink(endpoint):
                await self._meet(endpoint)
        self.settle()

    async def _probe(self, node: str, ping: Ping) -> None:
        answer = await self._request(node, ping)
        if isinstance(answer, Ack):
            self._machine.link_probe_succeeded(node, answer, now=trio.current_time())
        else:
            self._machine.link_probe_failed(node, now=trio.current_time())

    async def _request(self, node: str, message: object) -> Any:
        try:
            answer = await self._links.request(node, message, deadline=trio.current_time() + LINK_TIME)
        except PeerError:
            return None
        await answer.discard()
        return answer.message

    async def _meet(self, endpoint: Endpoint) -> None:
        try:
            node = await self._links.dial(endpoint, deadline=trio.current_time() + self._links.limits.dial)
        except PeerError:
            return
        self._machine.met(node, now=trio.current_time())

    async def _asked(self, call: Call) -> None:
        answer = self._machine.receive_request(call.peer, call.message, now=trio.current_time())
        if answer is None:
            await call.refuse(NOT_A_DIRECTOR, "no director")
        else:
            await call.reply(answer)
        self.settle()

    async def _told(self, call: Call) -> None:
        self._machine.receive_notice(call.peer, call.message, now=trio.current_time())
        self.settle()
        await trio.lowlevel.checkpoint()
