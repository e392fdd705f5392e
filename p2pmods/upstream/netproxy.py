"""HTTP(S)_PROXY and NO_PROXY, as golang.org/x/net/http/httpproxy reads them."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

_PORTS: Final = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class NetProxies:
    """Which web proxy, if any, a request to an upstream goes through. Loopback never goes through one."""

    http: str = ""
    https: str = ""
    exceptions: tuple[str, ...] = ()

    def proxy_for(self, scheme: str, host: str, port: int | None) -> str | None:
        """The proxy's URL for a request to `scheme://host:port`, or None to connect directly."""
        proxy = self.https if scheme == "https" else self.http
        if not proxy or self._is_direct(host.lower().rstrip("."), port or _PORTS.get(scheme, 0)):
            return None
        return proxy if "://" in proxy else f"http://{proxy}"

    def _is_direct(self, host: str, port: int) -> bool:
        address = _address(host)
        if host == "localhost" or (address is not None and address.is_loopback):
            return True
        return any(_excepts(entry, host, port, address) for entry in self.exceptions)


def net_proxies(environ: Mapping[str, str]) -> NetProxies:
    """Read the environment; upper-case names win."""

    def value(name: str) -> str:
        return environ.get(name) or environ.get(name.lower()) or ""

    exceptions = tuple(e.strip().lower() for e in value("NO_PROXY").split(",") if e.strip())
    return NetProxies(value("HTTP_PROXY"), value("HTTPS_PROXY"), exceptions)


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(text.strip("[]"))
    except ValueError:
        return None


def _excepts(entry: str, host: str, port: int, address: ipaddress.IPv4Address | ipaddress.IPv6Address | None) -> bool:
    """One entry of NO_PROXY: `*`, an address, a network, or a domain with its subdomains, perhaps with a port."""
    if entry == "*":
        return True
    if "/" in entry:
        try:
            return address is not None and address in ipaddress.ip_network(entry, strict=False)
        except ValueError:
            return False
    if entry.count(":") == 1 or entry.startswith("["):
        entry, _, wanted = entry.rpartition(":") if not entry.endswith("]") else (entry, "", "")
        if wanted and wanted != str(port):
            return False
    if (alone := _address(entry)) is not None:
        return alone == address
    name = entry.removeprefix("*")
    if name.startswith("."):  # `.example.com`: subdomains only
        return host.endswith(name)
    return host == name or host.endswith("." + name)
