"""The connections to upstreams: kept while idle, and opened directly or through a web proxy."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote

import trio

from p2pmods.errors import printable
from p2pmods.gomod.urls import parse_url
from p2pmods.upstream.dial import Names, dial
from p2pmods.upstream.failure import Unreachable, UpstreamRefused
from p2pmods.upstream.http1 import Connection
from p2pmods.upstream.netproxy import NetProxies, net_proxies
from p2pmods.upstream.netrc import basic_auth
from p2pmods.upstream.origin import split_host
from p2pmods.upstream.sockets import BrokeOff, ConnectFailed, TcpStream, TlsStream, cause
from p2pmods.upstream.tls import client_context

if TYPE_CHECKING:
    import ssl
    from collections.abc import Mapping

    from p2pmods.upstream.origin import Origin
    from p2pmods.upstream.sockets import Stream

_KEEPALIVE: Final = 50.0  # seconds; most servers close after 60 or more
_PROXY_PORTS: Final = {"http": 80, "https": 443}


class Connections:
    """Opens and keeps connections. The environment says whom to trust and which web proxy to use."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self._proxies: NetProxies = net_proxies(environ)
        self._names = Names()
        self._context: ssl.SSLContext | None = None
        self._idle: dict[tuple[str, str], list[Connection]] = {}
        self._is_closed = False

    def proxy_for(self, origin: Origin) -> str | None:
        """The web proxy's URL on the way to `origin`, None when there is none."""
        return self._proxies.proxy_for(origin.scheme, origin.host, origin.port)

    async def take(self, origin: Origin, *, timeout: float) -> Connection:
        """A connection for one request to `origin`, to be given to `put_back` in any case.

        Raises ConnectFailed, also when it takes longer than `timeout` seconds; Unreachable and UpstreamRefused for
        settings that cannot be used.
        """
        idle = self._idle.get((origin.scheme, origin.authority), [])
        while idle:
            connection = idle.pop()
            if trio.current_time() - connection.idle_since < _KEEPALIVE and connection.is_quiet():
                return connection
            connection.close()
        try:
            with trio.fail_after(timeout):
                return Connection(await self._open(origin))
        except trio.TooSlowError as error:
            raise ConnectFailed("no connection in time") from error
        except (OSError, BrokeOff) as error:
            raise ConnectFailed(cause(error)) from error

    def put_back(self, origin: Origin, connection: Connection) -> None:
        """The request is over, or was given up."""
        self._close_stale()
        if self._is_closed or not connection.is_reusable:
            connection.close()
            return
        connection.idle_since = trio.current_time()
        self._idle.setdefault((origin.scheme, origin.authority), []).append(connection)

    def _close_stale(self) -> None:
        for idle in self._idle.values():  # each in the order of their coming
            while idle and trio.current_time() - idle[0].idle_since >= _KEEPALIVE:
                idle.pop(0).close()

    def forget(self, authority: str) -> None:
        """Nobody was reached there: a connection from before is of no use either."""
        for scheme in _PROXY_PORTS:
            for connection in self._idle.pop((scheme, authority), []):
                connection.close()

    def close(self) -> None:
        """Close every idle connection, and those in use when they are given back."""
        self._is_closed = True
        for idle in self._idle.values():
            for connection in idle:
                connection.close()
        self._idle.clear()

    async def _open(self, origin: Origin) -> Stream:
        context = self._tls_context(origin.name)
        via = self.proxy_for(origin)
        if via is None:
            stream = await self._dial(origin.host, origin.port)
        else:
            stream = await self._through(via, origin, context)
        return await _secured(stream, context, origin.host) if origin.scheme == "https" else stream

    async def _dial(self, host: str, port: int) -> Stream:
        stream = await dial(await self._names.resolve(host), port)
        return TcpStream(socket.socket(fileno=stream.socket.detach()))

    async def _through(self, via: str, origin: Origin, context: ssl.SSLContext) -> Stream:
        """A stream to the web proxy `via`, for https a tunnel of it."""
        try:
            parts = parse_url(via)
            if parts.scheme not in _PROXY_PORTS:
                raise ValueError("must be http or https")
            host, port = split_host(parts.host)
        except ValueError as error:
            raise UpstreamRefused(origin.name, f"HTTP_PROXY or HTTPS_PROXY: {error}") from error
        stream = await self._dial(host, port or _PROXY_PORTS[parts.scheme])
        if parts.scheme == "https":
            stream = await _secured(stream, context, host)
        if origin.scheme == "https":
            await _tunnel(stream, origin, proxy_authorization(via))
        return stream

    def _tls_context(self, name: str) -> ssl.SSLContext:
        if self._context is None:
            try:
                self._context = client_context(self._environ, ["http/1.1"])
            except OSError as error:
                raise Unreachable(name, f"SSL_CERT_FILE or SSL_CERT_DIR: {printable(str(error))}") from error
        return self._context


def proxy_authorization(via: str) -> bytes:
    """The header line with the credentials in a web proxy's URL, empty without any."""
    user = parse_url(via).user
    login, _, password = user.partition(":")
    if not user:
        return b""
    return f"Proxy-Authorization: {basic_auth(unquote(login), unquote(password))}\r\n".encode("ascii")


async def _secured(stream: Stream, context: ssl.SSLContext, host: str) -> Stream:
    try:
        secured = TlsStream(stream, context, host)
        await secured.handshake()
    except BaseException:
        stream.close()
        raise
    return secured


async def _tunnel(stream: Stream, origin: Origin, authorization: bytes) -> None:
    """Have a web proxy connect `stream` to `origin`. Raises ConnectFailed, BrokeOff."""
    connection = Connection(stream)
    target = origin.authority.encode("ascii")
    try:
        head = await connection.ask(b"CONNECT %b HTTP/1.1\r\nHost: %b\r\n%b\r\n" % (target, target, authorization))
        if not 200 <= head.status < 300:
            raise ConnectFailed(f"the web proxy answers {head.status} to CONNECT")
    except BaseException:
        connection.close()
        raise
    connection.close_parser()
