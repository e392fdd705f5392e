"""The URL of an upstream in its parts, with its credentials kept out of everything that is shown."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Final
from urllib.parse import quote, unquote, urljoin, urlsplit

from p2pmods.gomod.urls import parse_url
from p2pmods.upstream.failure import UpstreamRefused, UpstreamUnavailable
from p2pmods.upstream.netrc import basic_auth, find_credential

if TYPE_CHECKING:
    from collections.abc import Mapping

_PORTS: Final = {"http": 80, "https": 443}
_AS_IS: Final = "/!:@&=+$,;~*()?%'[]"  # of a Location, which is percent-encoded already


@dataclass(frozen=True, slots=True)
class Origin:
    """Where requests go: `target` is the path (and query) as sent; `name` is for people, without credentials."""

    name: str
    scheme: str
    host: str
    port: int
    target: str
    authorization: str | None = field(default=None, repr=False)

    @property
    def authority(self) -> str:
        """`host:port`, the key of everything kept by host."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def explicit_port(self) -> int | None:
        """The port, when it is not the scheme's own."""
        return None if self.port == _PORTS[self.scheme] else self.port

    @property
    def host_header(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.explicit_port is None else f"{host}:{self.port}"


def parse_origin(url: str, path: str, netrc: Mapping[str, str]) -> Origin:
    """`path` (escaped as Go escapes it, not yet percent-encoded) below the upstream `url`.

    Raises UpstreamRefused for what the go command would not use: another scheme, or credentials without TLS.
    """
    try:
        parts = parse_url(url)
        host, port = split_host(parts.host)
    except ValueError as error:
        raise UpstreamRefused("upstream", f"not a proxy URL: {error}") from error
    if parts.scheme not in _PORTS:
        raise UpstreamRefused(parts.redacted, "not an http or https URL")
    target = f"{parts.path.rstrip('/')}/{quote(path, safe='/!:@&=+$,;~*()')}"
    authorization = None
    if parts.user:
        if parts.scheme != "https":
            raise UpstreamRefused(parts.redacted, "refusing to pass credentials to an insecure URL")
        login, _, password = parts.user.partition(":")
        authorization = basic_auth(unquote(login), unquote(password))
    elif parts.scheme == "https":
        authorization = find_credential(netrc, parts.host + target)
    name = parts.redacted.rstrip("/")
    return Origin(name, parts.scheme, host, port or _PORTS[parts.scheme], target, authorization)


def redirected(origin: Origin, location: str) -> Origin:
    """Where a redirect of `origin` leads. Credentials stay with the host they were for.

    Raises UpstreamUnavailable when it leads nowhere or from https to anything else.
    """
    try:
        url = urljoin(f"{origin.scheme}://{origin.host_header}{origin.target}", location)
        parts = parse_url(url)
        host, port = split_host(parts.host)
        query = urlsplit(url).query
    except ValueError as error:
        raise UpstreamUnavailable(origin.name, f"redirects to no http URL: {error}") from error
    if parts.scheme != origin.scheme and parts.scheme != "https":
        raise UpstreamUnavailable(origin.name, f"redirects from {origin.scheme} to {parts.scheme}: not followed")
    target = quote((parts.path or "/") + (f"?{query}" if query else ""), safe=_AS_IS)
    new = Origin(origin.name, parts.scheme, host, port or _PORTS[parts.scheme], target)
    same = (new.scheme, new.host, new.port) == (origin.scheme, origin.host, origin.port)
    return replace(new, authorization=origin.authorization) if same else new


@lru_cache(64)
def split_host(authority: str) -> tuple[str, int | None]:
    """The host in ASCII and lower case (IPv6 without brackets) and port of `host`, `host:port`, `[address]:port`.

    Raises ValueError for a name that cannot be looked up: with an empty or overlong label, say.
    """
    name, bracket, rest = authority.lower().removeprefix("[").partition("]")
    if not bracket:
        name, _, rest = name.partition(":")
    port = rest.removeprefix(":")
    # Without its port, which would count as part of the last label.
    return name.encode("idna").decode("ascii"), int(port) if port else None
