"""A little world to tell stories in: an upstream with a signed checksum database, and real nodes before it."""

from __future__ import annotations

import json
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from random import Random
from typing import TYPE_CHECKING, Any

import httpx
import trio

from p2pmods.config import load_config
from p2pmods.gomod.h1 import hash_go_mod
from p2pmods.gomod.module import FileKey, FileKind, ModuleVersion
from p2pmods.gomod.zipcheck import check_module_zip
from p2pmods.identity.swarm import Swarm
from p2pmods.node import Node, run_node
from p2pmods.testing.modzips import make_module_zip
from p2pmods.testing.sumdb import ForkableLog
from p2pmods.testing.upstream import FakeUpstream

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

WIDGET = ModuleVersion("example.org/acme/widget", "v1.0.0")
SWARM = Swarm("tests", b"\x5a" * 32)


def zip_h1(module: ModuleVersion, data: bytes) -> str:
    return check_module_zip(module, len(data), lambda offset, length: data[offset : offset + length]).h1


def noise(size: int) -> bytes:
    """A Go file of `size` bytes that hardly gets smaller in a zip."""
    return b"package widget\n\n// %s\n" % Random(size).randbytes(size // 2).hex().encode()


@dataclass
class Client:
    """Speaks to one node as go and the p2pmods commands do."""

    node: Node
    http: httpx.AsyncClient
    secret: str

    @property
    def node_id(self) -> str:
        return self.node.node_id

    @property
    def peer(self) -> str:
        """Where other nodes find it."""
        facts = json.loads((self.node.config.data / "node.json").read_text())
        return str(facts["peer"])

    async def get(self, what: FileKey | str, **headers: str) -> httpx.Response:
        path = what if isinstance(what, str) else f"/{what.url_path}"
        return await self.http.get(path, headers=headers)

    async def file(self, module: ModuleVersion, kind: str, **headers: str) -> httpx.Response:
        return await self.get(FileKey(module, FileKind(kind)), **headers)

    async def control(self, method: str, name: str, body: Any = None) -> Any:
        answer = await self.http.request(
            method, f"/-/api/v1/{name}", json=body, headers={"Authorization": f"Bearer {self.secret}"}
        )
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def status(self) -> Any:
        return await self.control("GET", "status")

    async def why(self, module: ModuleVersion) -> Any:
        return await self.control("GET", f"why?module={module.path}&version={module.version}")

    async def alive(self) -> set[str]:
        """The ids of the other directors that this node knows."""
        return {peer["node_id"] for peer in (await self.status())["peers"] if peer["state"] == "alive"}

    async def wait_proven(self) -> None:
        """Until nothing is unproven."""
        with trio.fail_after(20):
            while (await self.status())["held"]["unproven"] != 0:  # noqa: ASYNC110 - HTTP brings no event
                await trio.sleep(0.02)


@dataclass
class World:
    """The upstream is up and honest until told otherwise."""

    directory: Path
    log: ForkableLog = field(default_factory=lambda: ForkableLog("sum.example.org", "tests"))
    upstream: FakeUpstream = field(init=False)
    zips: dict[ModuleVersion, bytes] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.upstream = FakeUpstream(sumdb=self.log.answer)

    def publish(
        self, module: ModuleVersion = WIDGET, text: bytes = b"package widget\n", *, recorded: bool = True
    ) -> ModuleVersion:
        """A new version upstream, and (`recorded`) in the checksum database."""
        mod = f"module {module.path}\n".encode()
        data = make_module_zip(module, {"go.mod": mod, "widget.go": text})
        self.zips[module] = data
        self.upstream.add(module, data, mod=mod)
        if recorded:
            self.log.add(module, zip_h1(module, data), hash_go_mod(mod))
        return module

    def asked(self, part: str) -> int:
        """How often the upstream was asked for a path that contains `part`."""
        return sum(part in path for path in self.upstream.requests)

    def meshed(self, *others: Client, name: str = SWARM.name) -> dict[str, Any]:
        """Settings of a node in a swarm of this test, that knows where those others are."""
        return {
            "mesh": True,
            "swarm": f"{name}:{SWARM.secret.hex()}",
            "peer_listen": "127.0.0.1:0",
            "peers": [other.peer for other in others],
            "mdns": False,
        }

    @asynccontextmanager
    async def node(self, name: str = "node", **settings: Any) -> AsyncIterator[Client]:
        """A node before this upstream; `settings` are config keys."""
        flags: dict[str, object] = {
            "data": str(self.directory / name),
            "listen": "127.0.0.1:0",
            "upstream": self.upstream.url,
            "sumdb": self.log.verifier_key,
            "private": "",
            "module_cache": "off",
            "gopath": str(self.directory / "gopath"),
            "mesh": False,
            **settings,
        }
        config = load_config(flags, {}, lambda: None)
        async with trio.open_nursery() as nursery:
            node: Node = await nursery.start(
                lambda task_status: run_node(config, environ={}, task_status=task_status)
            )
            secret = (config.data / "node.json").read_text().split('"token": "')[1].split('"')[0]
            async with httpx.AsyncClient(base_url=node.url, trust_env=False, timeout=30) as http:
                yield Client(node, http, secret)
            nursery.cancel_scope.cancel()


@dataclass
class Room:
    """Nodes that come and go in any order, each in a task of its own."""

    world: World
    nursery: trio.Nursery
    _ends: dict[str, tuple[trio.CancelScope, trio.Event]] = field(default_factory=dict)

    async def start(self, name: str, *others: Client, **settings: Any) -> Client:
        """A node that knows where those others are."""
        client: Client = await self.nursery.start(self._run, name, {**self.world.meshed(*others), **settings})
        return client

    async def _run(self, name: str, settings: dict[str, Any], *, task_status: trio.TaskStatus[Client]) -> None:
        over = trio.Event()
        with trio.CancelScope() as scope:
            async with self.world.node(name, **settings) as client:
                self._ends[client.node.node_id] = scope, over
                task_status.started(client)
                await trio.sleep_forever()
        over.set()

    async def stop(self, client: Client) -> None:
        """The node stops as on SIGTERM; returns when it has."""
        scope, over = self._ends[client.node.node_id]
        scope.cancel()
        await over.wait()


@asynccontextmanager
async def open_room(world: World) -> AsyncIterator[Room]:
    async with trio.open_nursery() as nursery:
        yield Room(world, nursery)
        nursery.cancel_scope.cancel()


async def wait_offered(client: Client, module: ModuleVersion = WIDGET) -> None:
    """Until the directory names this node somebody who holds the module's `.mod` and zip."""
    assert client.node.mesh is not None
    with trio.fail_after(20):
        for kind in (FileKind.MOD, FileKind.ZIP):
            while not await client.node.mesh.peers.locate(FileKey(module, kind)):  # noqa: ASYNC110
                await trio.sleep(0.02)  # no event tells of an advert elsewhere


async def wait_met(*clients: Client) -> None:
    """Until each of these nodes takes every other one for alive."""
    ids = {client.node.node_id for client in clients}
    with trio.fail_after(20):
        for client in clients:
            others = ids - {client.node.node_id}
            while not others <= await client.alive():  # noqa: ASYNC110 - HTTP brings no event
                await trio.sleep(0.02)


@asynccontextmanager
async def open_world(directory: Path) -> AsyncIterator[World]:
    world = World(directory)
    async with world.upstream.running():
        yield world
