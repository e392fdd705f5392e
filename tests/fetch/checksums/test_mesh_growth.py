"""However nodes grew, met, lied and lost their internet: whatever a node holds, it serves to each of its clients.

The rule that keeps a cached database from ever breaking a client, with peers as sources, played against the second
implementation of go's client.
"""

from __future__ import annotations

import shutil
import tempfile
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import trio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from p2pmods.errors import PeerError, SourceError, SumdbError, SumdbSecurityError
from p2pmods.fetch import checksum_heads
from p2pmods.sumdb.records import lookup_path
from p2pmods.wire.proofs import AskRecord, RecordBundle
from tests.fetch.checksums.room import Room
from tests.fetch.checksums.test_growth import base
from tests.fetch.checksums.test_peers import ATTACKS
from tests.fetch.checksums.world import LogSource, file_client, go_client, install_client
from tests.sumdb.reference import BuildFails, GoClient

if TYPE_CHECKING:
    from p2pmods.fetch.checksum_database import DatabaseChecksums
    from p2pmods.gomod.module import ModuleVersion
    from p2pmods.testing.sumdb import ForkableLog

NAMES = ("ann", "ben", "cal")
CLIENTS = 2  # of each node; number 0 is the one whose GOPATH the node reads


@dataclass
class Household:
    """One node's disk, internet and users."""

    data: Path
    source: LogSource
    clients: list[GoClient] = field(default_factory=list)
    held: set[ModuleVersion] = field(default_factory=set)

    @property
    def gopath(self) -> Path:
        return self.data.parent / "gopath"


@dataclass
class Street:
    """Three households that hear each other, and one log. Every step is something that happens in real life."""

    directory: Path
    log: ForkableLog
    modules: list[ModuleVersion]
    room: Room = field(default_factory=Room)
    houses: dict[str, Household] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in NAMES:
            self.houses[name] = Household(self.directory / name / "data", LogSource(self.log))

    def pick(self, number: int) -> ModuleVersion:
        return self.modules[number % len(self.modules)]

    async def open(self, stack: AsyncExitStack) -> None:
        for name, house in self.houses.items():
            node = await stack.enter_async_context(
                self.room.open(name, house.data, house.source, gopath=house.gopath)
            )
            fresh = [go_client(node, self.log.verifier_key) for _ in range(CLIENTS)]
            for new, old in zip(fresh, house.clients, strict=False):
                new.latest, new.cache = old.latest, old.cache
            house.clients = fresh

    async def grow(self, name: str, number: int) -> None:
        count = (1, 2, 100, 255, 256, 257, 700)[number % 7]
        self.modules += self.log.grow(count)[-3:]

    async def prove(self, name: str, number: int) -> None:
        """With internet a node always succeeds, whoever lies; without, it may."""
        house, module = self.houses[name], self.pick(number)
        try:
            await self.room.nodes[name].prove(module)
        except SumdbSecurityError:
            raise
        except (SourceError, SumdbError):
            assert not house.source.online
            return
        house.held.add(module)

    async def look_up(self, name: str, number: int) -> None:
        """A user downloads a module. It fails only when the node cannot have the record."""
        house, module = self.houses[name], self.pick(number // CLIENTS)
        client = house.clients[number % CLIENTS]
        in_cache = f"lookup/{lookup_path(module)}" in client.cache
        node = self.room.nodes[name]
        try:
            await client.lookup(lookup_path(module))
        except BuildFails:
            assert not house.source.online
            assert node.held_proof(module) is None
            return
        if not in_cache:
            house.held.add(module)

    async def look_up_elsewhere(self, name: str, number: int) -> None:
        """The watched user goes to where there is internet, and the node sees the new head."""
        client = self.houses[name].clients[0]
        through_node, client.remote = client.remote, self.ask_database
        await client.lookup(lookup_path(self.pick(number)))
        client.remote = through_node
        install_client(client, self.houses[name].gopath, self.directory / "unused")
        node = self.room.nodes[name]
        await node.follow_clients()
        if node.statistics().problem:  # it cannot be joined now, so this user has to wait
            assert not self.houses[name].source.online
            client.latest, client.cache = b"", {}
            client.restart()
            shutil.rmtree(self.houses[name].gopath)

    async def ask_database(self, path: str) -> bytes:
        status, body = self.log.answer(path)
        if status != 200:
            raise BuildFails(path)
        return body

    async def switch_internet(self, name: str, number: int) -> None:
        self.houses[name].source.online = not self.houses[name].source.online

    async def meet(self, name: str, number: int) -> None:
        other = NAMES[number % len(NAMES)]
        if self.room.nodes[other].statistics().tree_size is not None:
            await self.room.nodes[name].note_peer_head(await self.room.nodes[other].latest(), other)

    async def hand_over(self, name: str, number: int) -> None:
        """A record travels beside a file, perhaps cut or changed on the way."""
        other, module = NAMES[number % len(NAMES)], self.pick(number // len(NAMES))
        node = self.room.nodes[name]
        size = node.statistics().tree_size or 0
        question = AskRecord(self.log.name, module.path, module.version, size, 8)
        bundle = self.room.nodes[other].reply(question)
        if other in self.room.lies:
            bundle = self.room.lies[other](question, bundle)  # type: ignore[assignment]
        if not isinstance(bundle, RecordBundle):
            return
        try:
            await node.receive(module, bundle, other)
        except SourceError:
            return
        except PeerError:
            assert other in self.room.lies
            return
        self.houses[name].held.add(module)

    async def lie(self, name: str, number: int) -> None:
        """One node begins to lie, or stops it."""
        if self.room.lies.pop(name, None) is None:
            self.room.lies[name] = list(ATTACKS.values())[number % len(ATTACKS)]

    async def clean_module_cache(self, name: str, number: int) -> None:
        self.houses[name].clients[number % CLIENTS].cache.clear()

    async def new_process(self, name: str, number: int) -> None:
        self.houses[name].clients[number % CLIENTS].restart()

    async def check_all(self) -> None:
        """Nobody has internet, and nobody hears anybody."""
        assert not self.room.alarms
        assert all(error.node_id in NAMES for error in self.room.blamed)
        self.room.away.update(NAMES)
        for name, house in self.houses.items():
            house.source.online = False
            await self.check(self.room.nodes[name], house)

    async def check(self, node: DatabaseChecksums, house: Household) -> None:
        for module in house.held:
            assert node.held_proof(module)
            for client in house.clients:
                for cleaned in (False, True):
                    client.restart()
                    if cleaned:
                        client.cache = {}
                    assert await client.lookup(lookup_path(module))
                files = file_client(house.data, self.log)
                files.latest = client.latest
                assert await files.lookup(lookup_path(module))
        everything = file_client(house.data, self.log)
        for module in house.held:
            assert await everything.lookup(lookup_path(module))


STEPS = (
    *("grow", "prove", "prove", "look_up", "look_up", "look_up_elsewhere", "switch_internet", "switch_internet"),
    *("meet", "meet", "hand_over", "hand_over", "lie", "clean_module_cache", "new_process", "restart"),
)
Step = tuple[str, str, int]


async def play(street: Street, story: list[Step]) -> None:
    at = 0
    while at < len(story):
        async with AsyncExitStack() as stack:
            await street.open(stack)
            while at < len(story) and story[at][0] != "restart":
                step, name, number = story[at]
                await getattr(street, step)(name, number)
                at += 1
        at += 1
    async with AsyncExitStack() as stack:
        await street.open(stack)
        await street.check_all()


@given(
    st.sampled_from([1, 3, 250, 256, 600, 65_400]),
    st.lists(st.tuples(st.sampled_from(STEPS), st.sampled_from(NAMES), st.integers(0, 200)), min_size=1, max_size=40),
)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_no_history_of_a_mesh_breaks_a_client(size: int, story: list[Step]) -> None:
    directory, fresh = Path(tempfile.mkdtemp()), checksum_heads.FRESH
    checksum_heads.FRESH = 0.0  # type: ignore[misc] # what happens, happens long after what happened before
    try:
        log = base(size).fork()
        trio.run(play, Street(directory, log, log.grow(3)), story)
    finally:
        checksum_heads.FRESH = fresh  # type: ignore[misc]
        shutil.rmtree(directory)


@pytest.mark.parametrize("size", [250, 600, 65_400])
@pytest.mark.parametrize("growth", [1, 255, 257, 700])
async def test_who_met_online_gets_everything_of_the_others_offline(tmp_path: Path, size: int, growth: int) -> None:
    log = base(size).fork()
    street = Street(tmp_path, log, log.grow(1))
    async with AsyncExitStack() as stack:
        await street.open(stack)
        for number, name in enumerate(NAMES):
            await street.prove(name, number)
            await street.look_up(name, CLIENTS * number)
            street.modules += log.grow(growth)[-1:]
        for name in NAMES:
            for number in range(len(NAMES)):
                await street.meet(name, number)
        for house in street.houses.values():
            house.source.online = False
        for number, name in enumerate(NAMES):
            for module in range(len(NAMES)):
                await street.prove(name, module)
                assert street.pick(module) in street.houses[name].held, (name, module)
                await street.look_up(name, CLIENTS * module + number % CLIENTS)
        await street.check_all()
