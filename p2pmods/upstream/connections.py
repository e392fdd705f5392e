"""The pools of connections to upstreams, one per web proxy and HTTP version."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from urllib.parse import unquote

import httpcore

from p2pmods.errors import printable
from p2pmods.gomod.urls import parse_url
from p2pmods.upstream.failure import Unreachable, UpstreamRefused
from p2pmods.upstream.netproxy import NetProxies, net_proxies
from p2pmods.upstream.sockets import Backend
from p2pmods.upstream.tls import client_context

if TYPE_CHECKING:
    import ssl
    from collections.abc import Mapping

    from p2pmods.upstream.origin import Origin

_KEEPALIVE_CONNECTIONS: Final = 256  # of all hosts; httpcore closes idle ones as soon as there are more connections
_KEEPALIVE: Final = 50.0  # seconds; most servers close after 60 or more


class Connections:
    """Opens and keeps connections. The environment says whom to trust and which web proxy to use."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self._proxies: NetProxies = net_proxies(environ)
        self._pools: dict[tuple[str | None, bool], httpcore.AsyncConnectionPool] = {}

    def pool(self, origin: Origin, *, http2: bool) -> httpcore.AsyncConnectionPool:
        """The pool for requests to `origin`. Raises UpstreamRefused for a web proxy that we cannot use."""
        via = self._proxies.proxy_for(origin.scheme, origin.host, origin.port)
        http2 = http2 and origin.scheme == "https"
        key = (via, http2)
        if key not in self._pools:
            self._pools[key] = self._open(origin.name, via, http2=http2)
        return self._pools[key]

    def _open(self, name: str, via: str | None, *, http2: bool) -> httpcore.AsyncConnectionPool:
        try:
            context = client_context(self._environ, ["http/1.1"])
            proxy = None if via is None else _proxy(via, client_context(self._environ, ["http/1.1"]))
        except OSError as error:
            raise Unreachable(name, f"SSL_CERT_FILE or SSL_CERT_DIR: {printable(str(error))}") from error
        except ValueError as error:
            raise UpstreamRefused(name, f"HTTP_PROXY or HTTPS_PROXY: {error}") from error
        return httpcore.AsyncConnectionPool(
            ssl_context=context,
            proxy=proxy,
            max_connections=1000,  # the limits are per host, and not here
            max_keepalive_connections=_KEEPALIVE_CONNECTIONS,
            keepalive_expiry=_KEEPALIVE,
            http1=True,
            http2=http2,
            network_backend=Backend(),
        )

    async def aclose(self) -> None:
        """Close every connection."""
        for pool in self._pools.values():
            await pool.aclose()
        self._pools.clear()


def _proxy(url: str, context: ssl.SSLContext) -> httpcore.Proxy:
    """Raises ValueError when it is no http or https URL."""
    parts = parse_url(url)
    if parts.scheme not in ("http", "https"):
        raise ValueError("must be http or https")
    login, _, password = parts.user.partition(":")
    auth = (unquote(login), unquote(password)) if parts.user else None
    return httpcore.Proxy(
        f"{parts.scheme}://{parts.host}/", auth=auth, ssl_context=context if parts.scheme == "https" else None
    )
