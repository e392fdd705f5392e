"""Whatever the log, the node and its clients went through: offline, every client still gets every held record.

This is the rule that keeps a cached database from ever breaking a client, played against a second implementation of
go's client, through the node's endpoints and over the file layout that it leaves behind.
"""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import trio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from p2pmods.sumdb.records import lookup_path
from p2pmods.testing.sumdb import ForkableLog
from tests.fetch.checksums.world import LogSource, file_client, go_client, install_client, open_node
from tests.sumdb.reference import BuildFails, GoClient

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager

    from p2pmods.fetch.checksum_database import DatabaseChecksums
    from p2pmods.gomod.module import ModuleVersion

CLIENTS = 3  # number 0 is the one whose GOPATH the node reads


@cache
def base(size: int) -> ForkableLog:
    log = ForkableLog(seed="growth")
    log.grow(size)
    return log


@dataclass
class World:
    """One node, a log and some users; every step is something that happens to them in real life."""

    directory: Path
    log: ForkableLog
    modules: list[ModuleVersion]
    held: set[ModuleVersion] = field(default_factory=set)
    clients: list[GoClient] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.source = LogSource(self.log)
        self.data = self.directory / "data"

    def open(self) -> AbstractAsyncContextManager[DatabaseChecksums]:
        return open_node(self.data, self.source, gopath=self.directory / "gopath")

    def connect(self, node: DatabaseChecksums) -> None:
        """Every user's go command starts anew, with this node as its proxy."""
        fresh = [go_client(node, self.log.verifier_key) for _ in range(CLIENTS)]
        for new, old in zip(fresh, self.clients, strict=False):
            new.latest, new.cache = old.latest, old.cache
        self.clients = fresh

    def pick(self, number: int) -> ModuleVersion:
        return self.modules[number % len(self.modules)]

    async def grow(self, node: DatabaseChecksums, number: int) -> None:
        count = (1, 2, 100, 255, 256, 257, 700)[number % 7]
        self.modules += self.log.grow(count)[-3:]

    async def prove(self, node: DatabaseChecksums, number: int) -> None:
        await node.prove(self.pick(number))
        self.held.add(self.pick(number))

    async def look_up(self, node: DatabaseChecksums, number: int) -> None:
        """A user downloads a module through the node, which is not asked for what go's own cache has."""
        module, client = self.pick(number // CLIENTS), self.clients[number % CLIENTS]
        if f"lookup/{lookup_path(module)}" not in client.cache:
            self.held.add(module)
        await client.lookup(lookup_path(module))

    async def look_up_elsewhere(self, node: DatabaseChecksums, number: int) -> None:
        """The watched user builds something with the node switched off, and the node sees it later."""
        client = self.clients[0]
        through_node, client.remote = client.remote, self.remote
        await client.lookup(lookup_path(self.pick(number)))
        client.remote = through_node
        install_client(client, self.directory / "gopath", self.directory / "unused")
        await node.follow_clients()

    async def clean_module_cache(self, node: DatabaseChecksums, number: int) -> None:
        self.clients[number % CLIENTS].cache.clear()

    async def new_process(self, node: DatabaseChecksums, number: int) -> None:
        self.clients[number % CLIENTS].restart()

    async def remote(self, path: str) -> bytes:
        status, body = self.log.answer(path)
        if status != 200:
            raise BuildFails(path)
        return body

    async def check_all(self, node: DatabaseChecksums) -> None:
        """Nobody has a network any more."""
        self.source.online = False
        for module in self.held:
            assert node.held_proof(module)
            for client in self.clients:
                for cleaned in (False, True):
                    client.restart()
                    if cleaned:
                        client.cache = {}
                    assert await client.lookup(lookup_path(module))
            for client in self.clients:
                files = file_client(self.data, self.log)
                files.latest = client.latest
                assert await files.lookup(lookup_path(module))
        everything = file_client(self.data, self.log)
        for module in self.held:
            assert await everything.lookup(lookup_path(module))


STEPS = ("grow", "prove", "look_up", "look_up", "look_up_elsewhere", "clean_module_cache", "new_process", "restart")


async def play(world: World, story: list[tuple[str, int]]) -> None:
    at = 0
    while at < len(story):
        async with world.open() as node:
            world.connect(node)
            while at < len(story) and story[at][0] != "restart":
                await getattr(world, story[at][0])(node, story[at][1])
                at += 1
        at += 1
    async with world.open() as node:
        world.connect(node)
        await world.check_all(node)


@given(
    st.sampled_from([1, 3, 250, 256, 600, 65_400]),
    st.lists(st.tuples(st.sampled_from(STEPS), st.integers(0, 200)), min_size=1, max_size=25),
)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_no_history_breaks_a_client(size: int, story: list[tuple[str, int]]) -> None:
    directory = Path(tempfile.mkdtemp())
    try:
        log = base(size).fork()
        world = World(directory, log, log.grow(3))
        trio.run(play, world, story)
    finally:
        shutil.rmtree(directory)


@pytest.mark.parametrize(("size", "growth"), [(300, 1), (300, 255), (300, 256), (300, 257), (65_400, 70)])
async def test_each_client_of_a_growing_log_keeps_working_offline(tmp_path: Path, size: int, growth: int) -> None:
    log = base(size).fork()
    world = World(tmp_path, log, log.grow(3))
    async with world.open() as node:
        world.connect(node)
        for number in range(CLIENTS):
            await world.look_up(node, number)
            world.modules += log.grow(growth)[-1:]
            await world.prove(node, len(world.modules) - 1)
    async with world.open() as node:
        world.connect(node)
        await world.check_all(node)
