"""The server: accepts, keeps every connection's deadline, and stops in good order."""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import trio

from p2pmods.httpd.connection import Connection
from p2pmods.httpd.limits import Limits
from p2pmods.httpd.listening import accept_from
from p2pmods.httpd.message import Headers, Request, Response, text
from p2pmods.httpd.render import last_words
from p2pmods.httpd.shielding import shield

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterable

    from p2pmods.httpd.parser import BodyLimit
    from p2pmods.httpd.shortcut import Fast

Handler = Callable[[Request], Awaitable[Response]]
Admit = Callable[[Headers], Response | None]  # a refusal by headers alone, or None
OnError = Callable[[Request | None, BaseException], None]

_TURNED_AWAY = last_words(503, "too many connections")


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerStatistics:
    """Counts since the server was made, but for `open`, the connections of this moment."""

    open: int
    accepted: int
    turned_away: int  # no room among the connections
    handled: int  # requests that the handler answered
    ready_made: int  # requests that `fast` answered
    refused: int  # connections ended for what they sent
    errors: int  # exceptions of handlers and bodies


class Server:
    """`handler` answers every request that `admit` lets in; `fast` is asked first for plain GETs.

    `admit` sees the headers alone, and for ready-made answers only once for a connection's requests with the same
    ones. `fast` must not block. `body_limit` says how many bytes of body a method, path and headers may bring, by
    default none. `on_error` is told what a handler raised (its client gets a 500) and what broke a connection.
    """

    def __init__(
        self,
        handler: Handler,
        *,
        limits: Limits | None = None,
        fast: Fast | None = None,
        admit: Admit = lambda _headers: None,
        body_limit: BodyLimit = lambda _method, _path, _headers: 0,
        on_error: OnError = lambda _request, _error: None,
    ) -> None:
        self.limits = limits or Limits()
        self.fast = fast
        self.body_limit = body_limit
        self.stopping = False
        self.clock = 0.0  # trio's time, read once a tick: deadlines need no better
        self.ready_made = self.refused = 0
        self._handler = handler
        self._admit = admit
        self._on_error = on_error
        self._connections: dict[Connection, None] = {}  # in the order of their coming
        self._stopped = trio.Event()
        self._quiet = trio.lowlevel.ParkingLot()
        self._accepted = self._turned_away = self._handled = self._errors = 0

    def statistics(self) -> ServerStatistics:
        return ServerStatistics(
            open=len(self._connections),
            accepted=self._accepted,
            turned_away=self._turned_away,
            handled=self._handled,
            ready_made=self.ready_made,
            refused=self.refused,
            errors=self._errors,
        )

    async def run(
        self, listeners: Iterable[socket.socket], *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
    ) -> None:
        """Serves until cancelled, then finishes what is under way for at most `limits.grace`. Closes `listeners`.

        Started means that connections are accepted.
        """
        sockets = tuple(listeners)
        self.clock = trio.current_time()
        async with trio.open_nursery() as nursery:
            connections: trio.Nursery = await nursery.start(self._hold_connections)
            try:
                async with trio.open_nursery() as accepting:
                    for listener in sockets:
                        accepting.start_soon(self._accept, listener, connections)
                    task_status.started()
            finally:
                for listener in sockets:
                    listener.close()
                self._stop(connections.cancel_scope)

    async def wait_no_connections(self) -> None:
        """Returns when every connection has ended and given back what it held."""
        while self._connections:
            await self._quiet.park()

    # What connections ask of the server.

    def is_admitted(self, request: Request) -> bool:
        return self._admit(request.headers) is None

    def ready_answer(self, request: Request) -> bytes | None:
        """For a plain, admitted GET."""
        answer = self.fast(request.target.encode("ascii")) if self.fast else None
        self.ready_made += answer is not None
        return answer

    async def respond(self, request: Request) -> Response:
        """The handler's answer, or what stands for it when it fails. Raises only cancellations."""
        try:
            refusal = self._admit(request.headers)
            response = refusal if refusal is not None else await self._handler(request)
        except Exception as error:  # the border between a handler and its connection
            self.report(error, request)
            return text(500, "internal error; the node's log says more")
        self._handled += 1
        return response

    def report(self, error: BaseException, request: Request | None = None) -> None:
        self._errors += 1
        self._on_error(request, error)

    # Lifetimes.

    async def _hold_connections(self, *, task_status: trio.TaskStatus[trio.Nursery]) -> None:
        """The nursery of connections and their deadlines, shielded: only `_stop` ends it."""
        async with trio.open_nursery() as watching:
            watching.start_soon(self._watch_deadlines)
            async with trio.open_nursery() as connections:
                shield(watching.cancel_scope)
                task_status.started(connections)
                await self._stopped.wait()
            watching.cancel_scope.cancel()

    def _stop(self, scope: trio.CancelScope) -> None:
        self.stopping = True
        self._stopped.set()
        scope.deadline = trio.current_time() + self.limits.grace
        for connection in self._connections:
            if connection.is_idle:
                connection.expire()

    async def _watch_deadlines(self) -> None:
        while True:
            self.clock = trio.current_time()
            for connection in self._connections:
                if connection.deadline < self.clock:
                    connection.expire()
            await trio.sleep(self.limits.tick)

    async def _accept(self, listener: socket.socket, nursery: trio.Nursery) -> None:
        await accept_from(
            listener,
            partial(self._welcome, nursery),
            make_room=self._make_room,
            pause=self.limits.accept_pause,
        )

    def _welcome(self, nursery: trio.Nursery, sock: socket.socket, host: str) -> None:
        self._accepted += 1
        if len(self._connections) >= self.limits.connections and not self._make_room():
            self._turned_away += 1
            with sock, contextlib.suppress(OSError):
                sock.send(_TURNED_AWAY)
            return
        try:
            connection = Connection(self, sock, host)
        except Exception as error:  # the border between one connection and the server
            sock.close()
            self.report(error)
            return
        self._connections[connection] = None
        nursery.start_soon(self._run_connection, connection)

    async def _run_connection(self, connection: Connection) -> None:
        try:
            await connection.run()
        finally:
            self._connections.pop(connection, None)
            if not self._connections:
                self._quiet.unpark_all()

    def _make_room(self) -> bool:
        """Ends the connection that has been idle longest, to within a tick; False when none is."""
        idle = [connection for connection in self._connections if connection.is_idle]
        if not idle:
            return False
        oldest = min(idle, key=lambda connection: connection.deadline)
        oldest.expire()
        self._connections.pop(oldest)
        return True


async def serve(
    listeners: Iterable[socket.socket],
    handler: Handler,
    *,
    limits: Limits | None = None,
    fast: Fast | None = None,
    task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
) -> None:
    """A `Server` with the defaults, run until cancelled."""
    await Server(handler, limits=limits, fast=fast).run(listeners, task_status=task_status)
