"""The client of module proxies and checksum databases over http and https."""

from __future__ import annotations

import os
import random
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import trio

from p2pmods.errors import printable
from p2pmods.gomod.gosumdb import PUBLIC_NAME
from p2pmods.upstream.answer import MAX_ERROR_BODY, REDIRECTS, Head, TryAgain, raise_for_status
from p2pmods.upstream.connections import Connections, proxy_authorization
from p2pmods.upstream.failure import CaptivePortal, Unreachable, UpstreamFailed, UpstreamUnavailable
from p2pmods.upstream.hosts import Host, HostStatistics
from p2pmods.upstream.limits import Limits, Want
from p2pmods.upstream.netrc import netrc_path, read_netrc
from p2pmods.upstream.origin import Origin, parse_origin, redirected
from p2pmods.upstream.sink import SILENT, BytesSink
from p2pmods.upstream.sockets import BrokeOff, ConnectFailed, cause
from p2pmods.upstream.transfer import Transfer

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from p2pmods.upstream.http1 import Connection
    from p2pmods.upstream.offline import OfflineState
    from p2pmods.upstream.sink import Listener, Sink

_HARMLESS: Final = f"sumdb/{PUBLIC_NAME}/supported"  # what every go command asks of every proxy
_TWICE: Final = 2  # attempts at what usually stays as it is: no connection


@dataclass(slots=True)
class _Request:
    """One file wanted from one upstream, all attempts."""

    origin: Origin
    want: Want
    transfer: Transfer
    host: Host
    deadline: float
    body: bool = False  # whether an answer's head has come in this attempt


class ProxyClient:
    """Fetches single files, with bounds, deadlines, retries and resumption. One for the whole node.

    Failures are UpstreamFailed; those to reach a host at all are told to `offline`, which makes the next ones quick.
    """

    def __init__(
        self,
        offline: OfflineState,
        *,
        limits: Limits | None = None,
        environ: Mapping[str, str] | None = None,
        netrc: Mapping[str, str] | None = None,
        random_fraction: Callable[[], float] = random.random,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """`environ` and `netrc` default to this process's environment and what it leads to."""
        environ = os.environ if environ is None else environ
        self.offline = offline
        self._limits = limits or Limits()
        self._connections = Connections(environ)
        self._netrc = _netrc(environ) if netrc is None else netrc
        self._random = random_fraction
        self._clock = clock
        self._hosts: dict[str, Host] = {}
        self._bases: dict[str, str] = {}  # by authority, the URL that was asked last
        self._bodies = 0

    async def get(self, base: str, path: str, want: Want) -> bytes:
        """The bytes at `path` (escaped as Go does) below the proxy URL `base`. Raises UpstreamFailed."""
        sink = BytesSink()
        await self.fetch(base, path, want, sink)
        return sink.getvalue()

    def is_anonymous(self, base: str | None) -> bool:
        """Whether a proxy is reached over the network, and without any credentials of the user."""
        if base is None or base.startswith("file:"):
            return False
        try:
            return parse_origin(base, "", self._netrc).authorization is None
        except UpstreamFailed:
            return False

    async def fetch(self, base: str, path: str, want: Want, sink: Sink, listener: Listener = SILENT) -> None:
        """The same into an empty `sink`. After an error what is in the sink is worth nothing."""
        origin = parse_origin(base, path, self._netrc)
        host = self._host(origin.authority)
        self._bases[origin.authority] = base
        async with host.zips if want is Want.ZIP else host.small:
            started = trio.current_time()
            if wait := self.offline.wait(origin.authority, now=started):
                raise Unreachable(origin.name, f"out of reach, next try in {wait:.0f} s")
            transfer = Transfer(origin.name, want, sink, self._limits, listener)
            request = _Request(origin, want, transfer, host, started + self._limits.total(want))
            try:
                await self._persist(request)
            except UpstreamFailed as error:
                self._note(request, error, started)
                raise
            self._note(request, None, started)

    @property
    def authorities(self) -> frozenset[str]:
        """The hosts asked so far."""
        return frozenset(self._bases)

    async def look(self, authority: str) -> None:
        """Ask a host that was asked before for something that names nothing, and end its outage if it answers."""
        started = trio.current_time()
        origin = parse_origin(self._bases[authority], _HARMLESS, self._netrc)
        transfer = Transfer(origin.name, Want.SUMDB, BytesSink(), self._limits)
        deadline = started + self._limits.total(Want.SUMDB)
        error: UpstreamFailed | None = None
        try:
            await self._attempt(_Request(origin, Want.SUMDB, transfer, self._host(authority), deadline))
        except TryAgain as again:
            error = again.error
        except UpstreamFailed as failure:
            error = failure
        if not isinstance(error, Unreachable):
            self.offline.succeeded(authority, now=trio.current_time())

    def statistics(self) -> tuple[HostStatistics, ...]:
        """One entry for each host asked so far."""
        return tuple(host.statistics() for host in self._hosts.values())

    def close(self) -> None:
        """Close all idle connections."""
        self._connections.close()

    def _host(self, authority: str) -> Host:
        if authority not in self._hosts:
            self._hosts[authority] = Host(authority, self._limits)
        return self._hosts[authority]

    def _note(self, request: _Request, error: UpstreamFailed | None, started: float) -> None:
        authority, now = request.origin.authority, trio.current_time()
        if isinstance(error, Unreachable):
            self.offline.failed(authority, started=started, now=now)
            self._connections.forget(authority)
        else:
            self.offline.succeeded(authority, now=now)
        if error is None:
            self.offline.delivered()
            request.host.succeeded(at=self._clock())
        else:
            if isinstance(error, CaptivePortal):
                self.offline.met_portal(now=now)
            request.host.failed(error.reason)

    async def _persist(self, request: _Request) -> None:
        """Attempts with growing pauses, until it is there, hopeless or too late."""
        limits, attempt = self._limits, 1
        while True:
            try:
                await self._attempt(request)
            except TryAgain as again:
                pause = limits.backoff * 2 ** (attempt - 1) * (0.5 + self._random())
                pause = max(min(pause, limits.backoff_longest), again.delay)
                late = trio.current_time() + pause >= request.deadline
                if attempt >= min(limits.attempts, again.attempts) or late:
                    raise again.error from again
                if again.delay:
                    request.transfer.limited()
                await trio.sleep(pause)
                attempt += 1
                request.host.retries += 1
            else:
                return

    async def _attempt(self, request: _Request) -> None:
        request.body = False
        now = trio.current_time()
        with trio.CancelScope(deadline=min(now + self._limits.answer, request.deadline)) as scope:
            try:
                await self._exchange(request, scope)
            except ConnectFailed as error:
                raise TryAgain(Unreachable(request.origin.name, _words(error)), attempts=_TWICE) from error
            except BrokeOff as error:
                raise TryAgain(UpstreamUnavailable(request.origin.name, f"broke off: {_words(error)}")) from error
        if scope.cancelled_caught:
            self._too_late(request)

    def _too_late(self, request: _Request) -> None:
        name, limits = request.origin.name, self._limits
        if trio.current_time() >= request.deadline:
            total = limits.total(request.want)
            raise UpstreamUnavailable(name, f"not complete after {total:.0f} s, given up")
        if not request.body:
            raise Unreachable(name, f"no answer in {limits.answer:.0f} s")
        raise TryAgain(
            UpstreamUnavailable(name, f"nothing came for {limits.silence:.0f} s, given up"), attempts=_TWICE
        )

    async def _exchange(self, request: _Request, scope: trio.CancelScope) -> None:
        """Ask, follow redirects, and take the answer at their end."""
        origin = request.origin
        for _ in range(self._limits.redirects + 1):
            connection = await self._connections.take(origin, timeout=self._limits.connect)
            try:
                head = await connection.ask(self._request_bytes(origin, request.transfer))
                if head.status not in REDIRECTS:
                    request.body = True
                    await self._take(request, head, connection, scope)
                    return
                await connection.read_start(MAX_ERROR_BODY)  # so that the connection can be used again
            finally:
                self._connections.put_back(origin, connection)
            origin = redirected(origin, head.headers.get("location", ""))
        raise UpstreamUnavailable(request.origin.name, f"stopped after {self._limits.redirects} redirects")

    async def _take(self, request: _Request, head: Head, connection: Connection, scope: trio.CancelScope) -> None:
        if head.status not in (200, 206):
            await self._fail(request, head, connection)
        now = trio.current_time()
        request.transfer.begin(head, now=now)
        self._bodies += 1
        try:
            scope.deadline = min(now + self._limits.silence, request.deadline)
            while data := await connection.read():
                now = trio.current_time()
                request.host.received += len(data)
                request.transfer.receive(data, sharers=self._bodies, now=now)
                scope.deadline = min(now + self._limits.silence, request.deadline)
        finally:
            self._bodies -= 1
        request.transfer.finish()

    async def _fail(self, request: _Request, head: Head, connection: Connection) -> None:
        if head.status == 416:
            request.transfer.refuse_range()
        raise_for_status(
            request.origin.name,
            head,
            await connection.read_start(MAX_ERROR_BODY),
            retry_after_limit=self._limits.retry_after,
            had_credentials=request.origin.authorization is not None,
        )

    def _request_bytes(self, origin: Origin, transfer: Transfer) -> bytes:
        host = origin.host_header.encode("ascii")
        target = origin.target.encode("ascii")
        lines = [b"Host: %b\r\nUser-Agent: p2pmods\r\nAccept-Encoding: identity\r\n" % host]
        lines += [b"%b: %b\r\n" % header for header in transfer.request_headers()]
        if origin.authorization is not None:
            lines.append(b"Authorization: %b\r\n" % origin.authorization.encode("ascii"))
        via = self._connections.proxy_for(origin) if origin.scheme == "http" else None
        if via is not None:
            target = b"http://%b%b" % (host, target)
            lines.append(proxy_authorization(via))
        return b"GET %b HTTP/1.1\r\n%b\r\n" % (target, b"".join(lines))


def _netrc(environ: Mapping[str, str]) -> Mapping[str, str]:
    try:
        return read_netrc(netrc_path(environ, Path.home(), windows=sys.platform == "win32"))
    except RuntimeError:  # no home directory
        return {}


def _words(error: Exception) -> str:
    return printable(cause(error))
