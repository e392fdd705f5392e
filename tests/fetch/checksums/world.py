"""A node's checksum service with a database to misbehave, and go clients of it over HTTP's and over file:// paths."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import trio

from p2pmods.errors import NotFound, P2pmodsError, Unavailable
from p2pmods.fetch.checksum_database import DatabaseChecksums
from p2pmods.gomod.escape import unescape_path, unescape_version
from p2pmods.gomod.module import ModuleVersion
from p2pmods.sumdb.records import lookup_path
from tests.sumdb.reference import BuildFails, GoClient

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from p2pmods.fetch.checksums import Alarm, Checksums
    from p2pmods.testing.sumdb import ForkableLog

H1 = "h1:" + "A" * 43 + "="
TOML = ModuleVersion("github.com/BurntSushi/toml", "v1.2.0")


@dataclass
class LogSource:
    """Reads a ForkableLog as the upstream would, and can be cut off. `waiting` holds answers back while set."""

    log: ForkableLog
    online: bool = True
    requests: list[str] = field(default_factory=list)
    urls: set[str | None] = field(default_factory=set)

    async def fetch_sumdb(self, name: str, endpoint: str, *, url: str | None = None) -> bytes:
        await trio.lowlevel.checkpoint()
        if not self.online:
            raise Unavailable("upstream", "offline")
        self.requests.append(endpoint)
        self.urls.add(url)
        status, body = self.log.answer(endpoint)
        if status in (404, 410):
            raise NotFound(name, body.decode())
        if status != 200:
            raise Unavailable(name, f"status {status}")
        return body


@asynccontextmanager
async def open_node(
    data: Path,
    source: LogSource,
    *,
    key: str | None = None,
    gopath: Path | None = None,
    module_cache: Path | None = None,
    alarms: list[Alarm] | None = None,
) -> AsyncIterator[DatabaseChecksums]:
    """A node from its start to its end; its state is in `data`."""
    async with trio.open_nursery() as nursery:
        yield DatabaseChecksums(
            key or source.log.verifier_key,
            data=data,
            source=source,
            nursery=nursery,
            gopath=gopath,
            module_cache=module_cache,
            on_alarm=(alarms if alarms is not None else []).append,
        )
        nursery.cancel_scope.cancel()


async def ask(node: Checksums, path: str) -> bytes:
    """What go gets for `path` below `/sumdb/<name>/`; any error makes its build fail."""
    kind, _, rest = path.partition("/")
    try:
        if kind == "supported":
            await node.supported()
            return b""
        if kind == "lookup":
            name, _, version = rest.partition("@")
            return await node.lookup(ModuleVersion(unescape_path(name), unescape_version(version)))
        return await node.tile(rest)
    except P2pmodsError as error:
        raise BuildFails(str(error)) from error


def go_client(node: Checksums, key: str) -> GoClient:
    """A go command whose GOPROXY is the node."""
    return GoClient(key, lambda path: ask(node, path))


async def read_file(root: Path, path: str) -> bytes:
    """What go gets for `path` over file://."""
    try:
        return (root / path).read_bytes()
    except OSError as error:
        raise BuildFails(str(error)) from error


def file_client(data: Path, log: ForkableLog) -> GoClient:
    """A go command whose GOPROXY is `file://DATA/modules`; no node is involved."""
    root = data / "modules" / "sumdb" / log.name
    return GoClient(log.verifier_key, lambda path: read_file(root, path))


def install_client(client: GoClient, gopath: Path, module_cache: Path) -> None:
    """Write what `client` holds to where the go command keeps it."""
    name = client.key.split("+")[0]
    latest = gopath / "pkg" / "sumdb" / name / "latest"
    latest.parent.mkdir(parents=True, exist_ok=True)
    latest.write_bytes(client.latest)
    for path, data in client.cache.items():
        target = module_cache / "cache" / "download" / "sumdb" / name / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)


async def client_of(log: ForkableLog, *modules: ModuleVersion) -> GoClient:
    """A go command that looked up `modules` at the database itself."""

    async def remote(path: str) -> bytes:
        status, body = log.answer(path)
        if status != 200:
            raise BuildFails(path)
        return body

    client = GoClient(log.verifier_key, remote)
    for module in modules:
        await client.lookup(lookup_path(module))
    return client
