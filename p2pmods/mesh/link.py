"""One connection to one peer: moves bytes and time between a socket and its machine, and runs handlers."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final, Protocol

import trio

from p2pmods.errors import PeerError
from p2pmods.mesh.answer import Moved
from p2pmods.mesh.tls import peer_of, reason_of
from p2pmods.mesh.traffic import Traffic
from p2pmods.wire.events import Broken, Event
from p2pmods.wire.mux import Mux

if TYPE_CHECKING:
    from p2pmods.mesh.answer import Answer
    from p2pmods.mesh.call import Handler
    from p2pmods.mesh.limits import LinkLimits
    from p2pmods.mesh.sockets import SecureSocket
    from p2pmods.wire.budget import Budget

_WRITE: Final = 64 << 10  # bytes handed to TLS at once: they cannot be overtaken any more
_WORTHWHILE: Final = 64 << 10  # bytes of room for which a sender is woken


class Home(Protocol):
    """The node, as a link sees it."""

    @property
    def node_id(self) -> str: ...
    @property
    def limits(self) -> LinkLimits: ...
    @property
    def budget(self) -> Budget: ...
    def admit(self, link: Link) -> None:
        """`link.peer` is known from now on. Raises PeerError when it is not wanted."""

    def opened(self, link: Link) -> None:
        """The peer speaks the protocol."""

    def handler_for(self, message_class: type) -> Handler | None: ...


class Link:
    """`host` is the peer's address; `peer` its node id, once `admit` was called. Ended when `ended` is set."""

    def __init__(self, home: Home, socket: SecureSocket, host: str, *, is_dialler: bool, expect: str | None) -> None:
        self.host = host
        self.is_dialler = is_dialler
        self.peer = expect or ""
        self.socket = socket
        self.mux = Mux(is_dialler=is_dialler, budget=home.budget, now=trio.current_time(), told=self._write_later)
        self.began = trio.current_time()
        self.reason = ""  # why it ended
        self.opened = trio.Event()  # or ended, when it never was
        self.ended = trio.Event()
        self._home = home
        self._traffic = Traffic(self, home.handler_for, home.limits.handlers)
        self._expect = expect
        self._is_secure = False
        self._is_blocked = False
        self._is_finishing = False
        self._scope = trio.CancelScope()
        self._timer = trio.CancelScope()
        self._nursery: trio.Nursery | None = None
        self._wake_writer = trio.Event()
        self._slots = trio.lowlevel.ParkingLot()  # who waits to make a request
        self._rooms: dict[int, trio.lowlevel.ParkingLot] = {}  # who waits to send a body

    @property
    def traffic(self) -> tuple[int, int]:
        """Requests made, and requests and notices worked on."""
        return self._traffic.asked, self._traffic.answered

    @property
    def here(self) -> str:
        """This machine's address at this end of it; empty once the connection is gone."""
        return self.socket.here

    @property
    def is_usable(self) -> bool:
        """Requests can be made."""
        return self._is_secure and not self.mux.is_going and not self.reason

    # Its life.

    async def run(self) -> None:
        """Handshakes and serves until the link ends. Raises nothing but a cancellation."""
        try:
            with self._scope:
                async with trio.open_nursery() as self._nursery:
                    await self._open()
                    self._nursery.start_soon(self._write)
                    self._nursery.start_soon(self._keep_time)
                    while await self._read():
                        pass
                    self.end("it closed the connection")
        finally:
            self.reason = self.reason or "this node stops"
            self._lose()

    def end(self, reason: str) -> None:
        """End it now. What is under way fails with `reason`. Harmless when it has ended."""
        self.reason = self.reason or reason
        self._scope.cancel()

    def retire(self, reason: str) -> None:
        """Nothing new is asked; it ends when what is under way is finished."""
        self.mux.go_away(reason)
        self.flush()
        self._slots.unpark_all()

    async def _open(self) -> None:
        with trio.move_on_after(self._home.limits.handshake) as scope:
            try:
                await self.socket.handshake()
                self._identify()
                self._is_secure = True
                self.flush()
                while not self.mux.is_open and await self._read():
                    pass
            except OSError as error:
                self.end(reason_of(error))
            except PeerError as error:
                self.end(error.reason)
        if scope.cancelled_caught:
            self.end("no answer in time")
        elif not self.mux.is_open:
            self.end("it closed the connection; it may be of another swarm")
        else:
            self._home.opened(self)
            self.opened.set()

    def _identify(self) -> None:
        self.peer = peer_of(self.socket.tls, self.host)
        if self.peer == self._home.node_id:
            raise PeerError(self.peer, "this is the node itself")
        if self._expect not in (None, self.peer):
            raise PeerError(self._expect or "", "another node is at that address")
        self._home.admit(self)

    def _lose(self) -> None:
        self._dispatch(self.mux.lost(self.reason))
        self.socket.close()
        self._slots.unpark_all()
        self.opened.set()
        self.ended.set()

    # Requests of this node.

    async def request(self, message: bytes, *, deadline: float, floor: int) -> Answer:
        """The answer, when its head is there. Raises PeerError, or Moved."""
        if not self.mux.is_free:
            await self._wait_free(deadline)
        if not self.is_usable:
            raise Moved
        request = self.mux.request(message, now=trio.current_time(), deadline=deadline, floor=floor)
        answer = self._traffic.expect(request)
        self.flush()
        await answer.wait_head()
        return answer

    async def _wait_free(self, deadline: float) -> None:
        with trio.move_on_at(deadline):
            while self.is_usable and not self.mux.is_free:
                await self._slots.park()
            return
        raise PeerError(self.peer, "too many requests under way")

    def consumed(self, request: int, amount: int) -> None:
        self.mux.consumed(request, amount)
        self._traffic.tidy(request)
        if self.mux.has_output:
            self.flush()

    def cancel(self, request: int) -> None:
        self._traffic.forget(request)
        self.mux.cancel(request, now=trio.current_time())
        self.flush()

    def notify(self, message: bytes) -> None:
        """Tell the peer; in vain when it does not listen."""
        if self.is_usable:
            self.mux.notify(message)
            self.flush()

    # Requests of the peer.

    async def wait_room(self, request: int) -> None:
        """Returns when more of a body may be sent."""
        await self._rooms.setdefault(request, trio.lowlevel.ParkingLot()).park()

    # Bytes and time.

    def flush(self) -> None:
        """Send what there is to send, as far as the kernel takes it; the writer does the rest."""
        if not self._is_secure or self._is_blocked or self.reason:
            return
        try:
            while self.socket.send():
                data = self.mux.data_to_send(_WRITE)
                if not data:
                    break
                self.socket.encrypt(data)
            else:
                self._write_later()
        except OSError as error:
            self.end(reason_of(error))
        self._after_sending()

    def _after_sending(self) -> None:
        for request in [r for r in self._rooms if self.mux.room(r) >= _WORTHWHILE]:
            self._rooms.pop(request).unpark_all()
        due = self.mux.next_timer()
        if due < self._timer.deadline:
            self._timer.deadline = due
        if self.mux.is_going and self.mux.is_quiet and not (self.mux.has_output or self.socket.has_unsent):
            self._finish()

    def _finish(self) -> None:
        """Our last byte is sent: let the other side read it. Closing at once could take it away again."""
        if not self._is_finishing:
            self._is_finishing = True
            self.socket.end()
            self._scope.deadline = trio.current_time() + self._home.limits.linger

    def _write_later(self) -> None:
        self._is_blocked = True
        self._wake_writer.set()

    async def _write(self) -> None:
        while True:
            await self._wake_writer.wait()
            self._wake_writer = trio.Event()
            with trio.move_on_after(self._home.limits.stall) as scope:
                await self.socket.wait_writable()
            if scope.cancelled_caught:
                self.end("it takes nothing of what it is sent")
            self._is_blocked = False
            self.flush()

    async def _read(self) -> bool:
        """False when the connection has ended."""
        try:
            data = await self.socket.receive()
        except OSError as error:
            self.end(reason_of(error))
            return False
        if data:
            self._dispatch(self.mux.receive_data(data, now=trio.current_time()))
            self.flush()
        return bool(data)

    async def _keep_time(self) -> None:
        while True:
            with trio.CancelScope(deadline=self.mux.next_timer()) as self._timer:
                await trio.sleep(math.inf)
            self._dispatch(self.mux.handle_timer(trio.current_time()))
            self.flush()

    def _dispatch(self, events: list[Event]) -> None:
        nursery = None if self.reason else self._nursery
        for event in events:
            if isinstance(event, Broken):
                self.flush()
                self.end(event.reason)
            else:
                self._traffic.take(event, nursery)
        if events:
            self._slots.unpark_all()
