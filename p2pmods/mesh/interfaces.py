"""This machine's interfaces: which of them lead to neighbours, and where this node can be found on them."""

from __future__ import annotations

import ipaddress
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

import ifaddr

from p2pmods.config.values import Address
from p2pmods.identity.records import MAINS, MAX_ENDPOINTS, WIRED, Endpoint
from p2pmods.mesh.kinds import Kind, kind_by_name, kind_by_sysfs

if TYPE_CHECKING:
    from collections.abc import Iterable

IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address
IPNetwork = ipaddress.IPv4Network | ipaddress.IPv6Network
IPInterface = ipaddress.IPv4Interface | ipaddress.IPv6Interface

MAX_INTERFACES: Final = 256  # a container host may have thousands, of which none is ordinary
_SYSFS: Final = Path("/sys/class/net")
POWER: Final = Path("/sys/class/power_supply")
_ORDER: Final = (Kind.WIRED, Kind.LAN, Kind.WIFI)


@dataclass(frozen=True, slots=True)
class Interface:
    """One interface: its addresses, each with its subnet. `is_used` says whether the mesh speaks on it."""

    name: str
    index: int
    kind: Kind
    addresses: tuple[IPInterface, ...]
    is_used: bool


@dataclass(frozen=True, slots=True)
class Presence:
    """Where this node is: `endpoints` for its record, `announced` and `multicast` (IP addresses) for mDNS.

    `multicast` has one address for each interface to speak on. `subnets` are those of the interfaces in use: who is
    in one of them is near, and `kinds` what these are. `tunnels` are this machine's addresses in VPNs, but the
    one that the user named. `interfaces`, all there are, do not count when two are compared: those of containers come
    and go all day.
    """

    endpoints: tuple[Endpoint, ...]
    announced: tuple[str, ...]
    multicast: tuple[str, ...]
    subnets: tuple[IPNetwork, ...]
    kinds: frozenset[Kind]
    port: int
    tunnels: frozenset[str] = frozenset()
    interfaces: tuple[Interface, ...] = field(default=(), compare=False)

    @property
    def best(self) -> Address:
        """Where neighbours find the node best."""
        return Address(self.announced[0] if self.announced else "127.0.0.1", self.port)

    @property
    def is_loopback_only(self) -> bool:
        """Whether only this machine can reach the node."""
        return all(ipaddress.ip_address(host).is_loopback for host in self.announced)

    def is_near(self, host: str) -> bool:
        """Whether `host` is an IP address in a subnet of this machine."""
        try:
            address = ipaddress.ip_address(host)
        except ValueError:
            return False
        return address.is_link_local or any(address in subnet for subnet in self.subnets)

    def is_same_at(self, host: str, before: Presence) -> bool:
        """Whether the interface that has the address `host`, perhaps with a scope, is there as it was `before`."""
        interface = self._interface_of(host)
        return interface is not None and interface == before._interface_of(host)

    def _interface_of(self, host: str) -> Interface | None:
        bare = host.partition("%")[0]
        return next((i for i in self.interfaces if any(str(ip.ip) == bare for ip in i.addresses)), None)

    def is_within(self, host: str) -> bool:
        """Whether `host` is an IP address near here or of any private network, which strangers do not have."""
        try:
            return self.is_near(host) or ipaddress.ip_address(host).is_private
        except ValueError:
            return False


def read_interfaces(only: frozenset[str] | None = None, *, sysfs: Path = _SYSFS) -> tuple[Interface, ...]:
    """The interfaces that have an address. `only`: the names of those to use, whatever their kind. Raises OSError."""
    found = []
    for adapter in ifaddr.get_adapters():
        name, index = adapter.name, adapter.index or 0
        kind = kind_by_sysfs(sysfs, name, index) if sys.platform == "linux" else None
        kind = kind or kind_by_name(adapter.nice_name)
        used = kind.is_ordinary if only is None else name in only or adapter.nice_name in only
        addresses = tuple(sorted(map(_ip_interface, adapter.ips), key=lambda ip: (ip.version, ip)))
        found.append(Interface(name, index, kind, addresses, used))
    # Those in use first, so that a bound never cuts them off.
    found.sort(key=lambda interface: (not interface.is_used, interface.index, interface.name))
    return tuple(found[:MAX_INTERFACES])


def _ip_interface(ip: ifaddr.IP) -> IPInterface:
    host = ip.ip if isinstance(ip.ip, str) else ip.ip[0].partition("%")[0]
    return ipaddress.ip_interface(f"{host}/{ip.network_prefix}")


def presence(interfaces: Iterable[Interface], listen_host: str, port: int) -> Presence:
    """Where a node that listens on `listen_host` (an IP address; "" for all, 0.0.0.0 and :: for one family) is.

    Loopback addresses only when it listens on one, or when there is nothing else.
    """
    interfaces = sorted(interfaces, key=lambda interface: _rank(interface.kind))
    listening = ipaddress.ip_address(listen_host) if listen_host else None
    if listening is None or listening.is_unspecified:
        used = [interface for interface in interfaces if interface.is_used]
        version = listening.version if listening else None
        parts = _parts(used, version) or _parts([i for i in interfaces if i.kind is Kind.LOOPBACK], version)
    else:  # the user named it, so its kind does not matter
        parts = [(i, [ip for ip in i.addresses if ip.ip == listening]) for i in interfaces]
    addresses = [ip for _, ips in parts for ip in ips]
    hosts = [str(ip.ip) for ip in addresses if _can_be_dialled(ip.ip)][:MAX_ENDPOINTS]
    return Presence(
        endpoints=tuple(Endpoint(host, port) for host in hosts),
        # A network without any assigned address: mDNS still says on which link an answer came.
        announced=tuple(hosts or [str(ip.ip) for ip in addresses][:MAX_ENDPOINTS]),
        multicast=tuple(str(ips[0].ip) for _, ips in parts if ips),
        subnets=tuple(dict.fromkeys(ip.network for ip in addresses)),
        kinds=frozenset(interface.kind for interface, ips in parts if ips),
        port=port,
        tunnels=frozenset(str(ip.ip) for i in interfaces if i.kind is Kind.VPN for ip in i.addresses)
        - {str(listening)},
        interfaces=tuple(interfaces),
    )


def look_around(listen: Address | None, port: int) -> tuple[Presence, int]:
    """Where a node is now that listens on `listen` (None for everywhere) and `port`, and the flags of its record."""
    interfaces = read_interfaces()
    host = listen.host if listen is not None else ""
    return presence(interfaces, host, port), record_flags(interfaces, mains=on_mains())


def _rank(kind: Kind) -> int:
    return _ORDER.index(kind) if kind in _ORDER else len(_ORDER)


def _parts(interfaces: list[Interface], version: int | None) -> list[tuple[Interface, list[IPInterface]]]:
    """Each interface with its addresses of that version, any for None; those without one left out."""
    parts = [(i, [ip for ip in i.addresses if version in (None, ip.version)]) for i in interfaces]
    return [(interface, ips) for interface, ips in parts if ips]


def _can_be_dialled(address: IPAddress) -> bool:
    """Link-local addresses of IPv6 mean another machine on each link; those of IPv4 are of networks without DHCP."""
    return not (address.is_unspecified or address.is_multicast or (address.version == 6 and address.is_link_local))


def on_mains(power: Path = POWER) -> bool | None:
    """Whether this machine is not running on its battery; None where the system does not tell it cheaply."""
    batteries = supplies(power)
    return None if batteries is None else not any(word(place / "status") == "Discharging" for place in batteries)


def supplies(power: Path = POWER) -> list[Path] | None:
    """The machine's batteries; none with a kernel that knows of none. None where the system does not tell it."""
    if sys.platform != "linux":
        return None
    try:
        places = [place for place in power.iterdir() if word(place / "scope") != "Device"]  # a mouse has one too
    except OSError:
        return []
    return [place for place in places if word(place / "type") == "Battery"]


def word(path: Path) -> str:
    """What the small file says, cut and stripped; empty when it cannot be read."""
    try:
        return path.read_text("ascii", "replace")[:64].strip()
    except OSError:
        return ""


def record_flags(interfaces: Iterable[Interface], *, mains: bool | None) -> int:
    """WIRED and MAINS of a node record, where they are certain."""
    wired = any(interface.is_used and interface.kind is Kind.WIRED for interface in interfaces)
    return (WIRED if wired else 0) | (MAINS if mains else 0)
