"""A little world to tell stories in: an upstream with a signed checksum database, and real nodes before it."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import httpx
import trio

from p2pmods.config import load_config
from p2pmods.gomod.h1 import hash_go_mod
from p2pmods.gomod.module import FileKey, FileKind, ModuleVersion
from p2pmods.gomod.zipcheck import check_module_zip
from p2pmods.node import Node, run_node
from p2pmods.testing.modzips import make_module_zip
from p2pmods.testing.sumdb import ForkableLog
from p2pmods.testing.upstream import FakeUpstream

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

WIDGET = ModuleVersion("example.org/acme/widget", "v1.0.0")


def zip_h1(module: ModuleVersion, data: bytes) -> str:
    return check_module_zip(module, len(data), lambda offset, length: data[offset : offset + length]).h1


@dataclass
class Client:
    """Speaks to one node as go and the p2pmods commands do."""

    node: Node
    http: httpx.AsyncClient
    secret: str

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


@asynccontextmanager
async def open_world(directory: Path) -> AsyncIterator[World]:
    world = World(directory)
    async with world.upstream.running():
        yield world
