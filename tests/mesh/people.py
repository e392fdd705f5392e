"""Nodes, addresses and interfaces for tests of the mesh."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING

from p2pmods.config.values import Address
from p2pmods.identity.key import id_of_public
from p2pmods.mesh.interfaces import Interface

if TYPE_CHECKING:
    from p2pmods.mesh.kinds import Kind


def node(name: str) -> str:
    """The node id of `name`, the same every time."""
    return id_of_public(name.encode().ljust(32, b"."))


ANN, BOB, EVE = node("ann"), node("bob"), node("eve")


def at(text: str) -> Address:
    """`10.0.0.1:4000` as an address."""
    host, _, port = text.rpartition(":")
    return Address(host.strip("[]"), int(port))


def interface(name: str, kind: Kind, *addresses: str, is_used: bool | None = None) -> Interface:
    """An interface with addresses like 10.0.0.1/24, used when its kind is ordinary."""
    parsed = tuple(ipaddress.ip_interface(address) for address in addresses)
    return Interface(name, 1, kind, parsed, kind.is_ordinary if is_used is None else is_used)
