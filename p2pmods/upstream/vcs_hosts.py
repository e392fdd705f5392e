"""Which hosts version control may be asked at: not those inside, unless the user's own patterns name them.

A module path is an address that a stranger may choose, and `go` would connect to it from inside this network. The
host of the path is resolved and checked before the go command starts, and the repository that a `go-import` answer
led to after it: a name that changes its address between our look and go's, and a meta tag that points inside, can
still cause one blind `GET …/info/refs`, but nothing of its answer is delivered.
"""

from __future__ import annotations

import ipaddress
import os
import re
import socket
from typing import TYPE_CHECKING, Final

import trio

from p2pmods.gomod.patterns import Patterns
from p2pmods.upstream.failure import UpstreamRefused
from p2pmods.upstream.netproxy import net_proxies

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping

_SOURCE: Final = "version control"
_HOST_OF_URL: Final = re.compile(r"(?:[a-z+]+://)?(?:[^/@]*@)?(\[[^\]]*\]|[^/:]*)", re.IGNORECASE)


class HostRule:
    """`allowed` are patterns of module paths whose hosts may be anywhere: the user's private ones."""

    def __init__(
        self,
        allowed: Patterns | None = None,
        *,
        environ: Mapping[str, str] | None = None,
        resolve: Callable[[str], Awaitable[Iterable[str]]] | None = None,
    ) -> None:
        self._allowed = allowed or Patterns()
        self._proxies = net_proxies(os.environ if environ is None else environ)
        self._resolve = resolve or resolve_host

    async def check(self, path: str) -> None:
        """Raises UpstreamRefused when the host of module `path` is inside. A name that does not resolve is go's."""
        if self._allowed.matches(path):
            return
        host = path.partition("/")[0]
        _refuse_inside(host, [host])
        if self._proxies.proxy_for("https", host, None) is None:
            _refuse_inside(host, await self._resolve(host))

    def check_url(self, url: str, path: str) -> None:
        """The same for the repository at `url` (also `git@host:path`) that was used for module `path`."""
        found = _HOST_OF_URL.match(url)
        if found and not self._allowed.matches(path):
            _refuse_inside(found[1], [found[1]])


def _refuse_inside(host: str, addresses: Iterable[str]) -> None:
    for text in addresses:
        if text == "localhost" or text.endswith((".localhost", ".local", ".internal")):
            raise UpstreamRefused(
                _SOURCE, f"{host} is a name inside this network; GOPRIVATE or GONOPROXY may allow it"
            )
        try:
            address = ipaddress.ip_address(text.strip("[]"))
        except ValueError:
            continue
        if not address.is_global or address.is_multicast:
            reason = f"{host} is at {text}, inside this network; GOPRIVATE or GONOPROXY may allow it"
            raise UpstreamRefused(_SOURCE, reason)


async def resolve_host(host: str) -> list[str]:
    """The addresses of a name, none when it has none."""
    try:
        found = await trio.socket.getaddrinfo(host, 443, type=socket.SOCK_STREAM)
    except OSError:
        return []
    return [str(entry[4][0]) for entry in found]
