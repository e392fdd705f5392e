"""Eve beside a node of a test, and what she needs to be the home of its files."""

from __future__ import annotations

import hashlib
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import trio

from p2pmods.config.values import Address
from p2pmods.directory.rendezvous import homes
from p2pmods.gomod.module import FileKey, FileKind, ModuleVersion
from p2pmods.identity.records import Endpoint
from p2pmods.mesh.names import key_of_file
from simulations.lab.hostile import (
    TOKEN,
    Eve,
    being_eve,
    refusing,
    replying,
    sending,
    silent,
)
from tests.world import SWARM

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable
    from pathlib import Path

    from tests.world import Client

__all__ = [
    "TOKEN",
    "Eve",
    "digest",
    "open_eve",
    "refusing",
    "replying",
    "sending",
    "silent",
    "versions_at",
]


@asynccontextmanager
async def open_eve(directory: Path, node: Client, number: int = 1) -> AsyncIterator[Eve]:
    """She has met `node`, and each takes the other for a director."""
    async with being_eve(directory, number, SWARM, Address("127.0.0.1", 0)) as eve:
        host, _, port = node.peer.rpartition(":")
        await eve.meet(node.node.node_id, Endpoint(host, int(port)))
        with trio.fail_after(20):
            while eve.node_id not in await node.alive():  # noqa: ASYNC110 - HTTP brings no event
                await trio.sleep(0.02)
        yield eve


def versions_at(home: str, other: str, versions: Iterable[str] | None = None) -> Callable[[], ModuleVersion]:
    """Each call gives one more version of the widget: of these two nodes `home` is the first home of its files."""
    numbers = iter(versions or (f"v1.0.{number}" for number in range(1, 10_000)))

    def next_version() -> ModuleVersion:
        for version in numbers:
            module = ModuleVersion("example.org/acme/widget", version)
            keys = [key_of_file(SWARM, FileKey(module, kind)) for kind in (FileKind.MOD, FileKind.ZIP)]
            if all(homes(key, [home, other])[0] == home for key in keys):
                return module
        raise AssertionError

    return next_version


def digest(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()
