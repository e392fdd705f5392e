"""What a node says of itself by multicast DNS, and what is believed of others: hints, which TLS confirms."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from p2pmods.config.values import Address
from p2pmods.errors import MalformedData
from p2pmods.identity.key import public_of_id

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from p2pmods.mesh.interfaces import Presence

SERVICE: Final = "_p2pmods._tcp.local."
VERSION: Final = b"1"
MAX_TEXT: Final = 256  # bytes of a TXT record that is looked at; ours has 23
MAX_ADDRESSES: Final = 8  # of one answer


@dataclass(frozen=True, slots=True)
class Hint:
    """Somebody says that `node_id` can be dialled at `addresses`: IP addresses, with a scope where that matters."""

    node_id: str
    addresses: tuple[Address, ...]


def instance_name(node_id: str) -> str:
    """The service's name: the node id, and nothing of the machine or its user."""
    return f"{node_id}.{SERVICE}"


def node_id_of(name: str) -> str | None:
    """The node id in the name of a service; None when it is none of ours."""
    label, dot, rest = name.partition(".")
    if not dot or rest.lower() != SERVICE:
        return None
    try:
        public_of_id(label.lower())
    except MalformedData:
        return None
    return label.lower()


def text_of(tag: str) -> dict[str, bytes]:
    """The TXT record of a node of the swarm with this `discovery_tag`."""
    return {"v": VERSION, "s": tag.encode("ascii")}


def says_swarm(text: Mapping[bytes, bytes | None], tag: str) -> bool:
    """Whether a TXT record is that of a node of this version in the swarm with this `discovery_tag`."""
    return text.get(b"v") == VERSION and text.get(b"s") == tag.encode("ascii")


def hint_of(node_id: str, hosts: Iterable[str], port: int, here: Presence) -> Hint | None:
    """The part of an answer that is worth a dial from `here`; None when there is no such part."""
    if not 1 <= port <= 65535:
        return None
    believed = [host for host in dict.fromkeys(hosts) if _is_believed(host, here)]
    return Hint(node_id, tuple(Address(host, port) for host in believed[:MAX_ADDRESSES])) if believed else None


def _is_believed(host: str, here: Presence) -> bool:
    """An answer comes from this network, so it may only send us to this network, or to private ones.

    Otherwise one forged answer would make every node of a LAN dial a stranger.
    """
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    if address.is_loopback:
        return here.is_loopback_only  # from elsewhere it would mean whatever listens on this machine
    if address.is_unspecified or address.is_multicast:
        return False
    if address.version == 6 and address.is_link_local:
        return address.scope_id is not None
    return here.is_near(host) or (address.is_private and not address.is_reserved)
