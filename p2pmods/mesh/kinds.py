"""What an interface is: something with a LAN behind it, or one of the many things that only look like it.

Linux tells through /sys/class/net. Elsewhere, and where /sys shows another network namespace than ours, the name (on
Windows the description) is all there is.
"""

from __future__ import annotations

import re
from enum import StrEnum
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathlib import Path

_MAX_FILE: Final = 4096  # bytes; a file of /sys is one page at most
_LOOPBACK_FLAG: Final = 0x8  # IFF_* of linux/if.h
_POINT_TO_POINT_FLAG: Final = 0x10
_NO_ARP_FLAG: Final = 0x80
_ETHERNET: Final = 1  # ARPHRD_* of linux/if_arp.h
_INFINIBAND: Final = 32


class Kind(StrEnum):
    """What lies behind an interface."""

    WIRED = "wired"
    WIFI = "wifi"
    LAN = "lan"  # one or the other
    LOOPBACK = "loopback"
    BRIDGE = "bridge"  # between containers or virtual machines, with no LAN behind it
    CONTAINER = "container"  # this machine's end of a container's cable
    VPN = "vpn"
    MOBILE = "mobile"
    VIRTUAL = "virtual"

    @property
    def is_ordinary(self) -> bool:
        """Whether neighbours may be behind it: no VPN, bridge or container is spoken to unless the user says so."""
        return self in (Kind.WIRED, Kind.WIFI, Kind.LAN)


_DEVTYPES: Final = {
    "wlan": Kind.WIFI,
    "wwan": Kind.MOBILE,
    "wireguard": Kind.VPN,
    "vxlan": Kind.CONTAINER,
    "geneve": Kind.CONTAINER,
    "macvtap": Kind.CONTAINER,
    "ppp": Kind.VPN,
    "vlan": Kind.WIRED,
    "macvlan": Kind.WIRED,
    "ipvlan": Kind.WIRED,
    "bond": Kind.WIRED,
    "team": Kind.WIRED,
}

# The first that matches. Unix names are short; Windows gives what the driver calls itself.
_NAMES: Final = (
    (r"lo[0-9]*|.*\bloopback\b.*", Kind.LOOPBACK),
    (r"(tun|tap|utun|wg|ppp|ipsec|gif|stf|zt|tailscale|nordlynx|proton)[0-9a-z]*", Kind.VPN),
    (r".*\b(vpn|tap|tunnel|wireguard|wintun|tailscale|zerotier|anyconnect|fortinet|wan miniport|ppp)\b.*", Kind.VPN),
    (r"(veth|cali|cni|flannel|lxc|vnet|vmenet|vmnet|azv|nodelocaldns|kube-)[0-9a-z._-]*", Kind.CONTAINER),
    (r"(docker|virbr|lxdbr|br-|bridge|podman|vboxnet)[0-9a-z._-]*", Kind.BRIDGE),
    (r".*\b(hyper-v virtual ethernet|virtualbox|vmware virtual|vmnet[0-9]*)\b.*", Kind.BRIDGE),
    (r"(awdl|llw|anpi|ap|p2p|dummy|ifb|sit|ip6tnl|ip_vti)[0-9]*", Kind.VIRTUAL),
    (r".*\b(wi-fi direct|bluetooth|teredo|isatap|6to4)\b.*", Kind.VIRTUAL),
    (r"(wwan|rmnet)[0-9a-z_]*|.*\bmobile broadband\b.*", Kind.MOBILE),
    (r"(wl|wifi)[0-9a-z]*|.*\b(wi-?fi|wireless|wlan|802\.11[a-z]*)\b.*", Kind.WIFI),
)
_BY_NAME: Final = tuple((re.compile(pattern, re.IGNORECASE), kind) for pattern, kind in _NAMES)


def kind_by_name(name: str) -> Kind:
    """What the name or description of an interface promises; a LAN when it says nothing."""
    return next((kind for pattern, kind in _BY_NAME if pattern.fullmatch(name)), Kind.LAN)


def kind_by_sysfs(root: Path, name: str, index: int) -> Kind | None:
    """What Linux says of interface `name` below `root` (/sys/class/net); None when it does not know this one."""
    place = root / name
    if "/" in name or _number(place / "ifindex") != index:
        return None
    flags = _number(place / "flags") or 0
    if flags & _LOOPBACK_FLAG:
        return Kind.LOOPBACK
    if (place / "bridge").is_dir():
        return Kind.WIRED if _has_hardware_port(root, place) else Kind.BRIDGE
    if (place / "tun_flags").exists():
        return Kind.VPN
    if (place / "phy80211").exists() or (place / "wireless").exists():
        return Kind.WIFI
    kind = _DEVTYPES.get(_devtype(place))
    return kind or _kind_of_plain(root, place, flags)


def _kind_of_plain(root: Path, place: Path, flags: int) -> Kind:
    """A link without a type of its own: hardware, a virtual cable, a tunnel, or something that carries nothing."""
    if flags & _POINT_TO_POINT_FLAG:
        return Kind.VPN
    if flags & _NO_ARP_FLAG or _number(place / "type") not in (_ETHERNET, _INFINIBAND):
        return Kind.VIRTUAL
    if (place / "device").exists():
        return Kind.WIRED
    if _number(place / "iflink") == _number(place / "ifindex"):
        return Kind.WIRED
    # One end of a veth pair. Where there is hardware too, or a bridge that it is plugged into, a container hangs on
    # it. In a network namespace without hardware it is the cable to everything else.
    if (place / "master").exists() or _has_hardware(root):
        return Kind.CONTAINER
    return Kind.WIRED


def _has_hardware(root: Path) -> bool:
    return any((place / "device").exists() for place in root.iterdir())


def _has_hardware_port(root: Path, bridge: Path) -> bool:
    """Whether a bridge extends a real network, as on a host of virtual machines that share its LAN."""
    return any((root / port.name / "device").exists() for port in (bridge / "brif").glob("*"))


def _devtype(place: Path) -> str:
    lines = _text(place / "uevent").splitlines()
    return next((line.removeprefix("DEVTYPE=") for line in lines if line.startswith("DEVTYPE=")), "")


def _number(path: Path) -> int | None:
    try:
        return int(_text(path), 0)
    except ValueError:
        return None


def _text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return file.read(_MAX_FILE).decode("utf-8", "replace").strip()
    except OSError:
        return ""
