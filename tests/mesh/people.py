"""Nodes, addresses and interfaces for tests of the mesh."""

from __future__ import annotations

import ipaddress
import logging
from typing import TYPE_CHECKING, Any

import structlog
from structlog.testing import LogCapture

from p2pmods.config.values import Address
from p2pmods.identity.key import id_of_public
from p2pmods.mesh.interfaces import Interface

if TYPE_CHECKING:
    from collections.abc import MutableMapping
    from types import ModuleType

    import pytest

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


def captured_log(monkeypatch: pytest.MonkeyPatch, module: ModuleType) -> list[MutableMapping[str, Any]]:
    """What `module` logs from now on. `capture_logs` sees nothing once a test before this one configured the logs."""
    capture = LogCapture()
    wrapper = structlog.make_filtering_bound_logger(logging.DEBUG)
    monkeypatch.setattr(module, "log", structlog.wrap_logger(None, processors=[capture], wrapper_class=wrapper))
    return capture.entries
