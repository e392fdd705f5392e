"""A node keeps its store within a limit, says so, and serves what it let go again as a miss."""

from __future__ import annotations

import shutil
from dataclasses import replace
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest
import trio

from p2pmods.config import values
from p2pmods.config.values import DiskLimit
from p2pmods.errors import StoreChanged, StoreError
from p2pmods.fetch import thinning
from p2pmods.fetch.duties import verify_file
from p2pmods.fetch.thinning import Thinning, is_cut_off, limit_on
from p2pmods.gomod.module import FileKey, FileKind, ModuleVersion
from p2pmods.node import assembly
from p2pmods.store.store import Store
from p2pmods.store.thinning import IN_USE, HeldZip
from p2pmods.upstream.route import UpstreamStatistics
from tests.mesh.people import captured_log
from tests.store.files import put_all
from tests.world import noise, open_room, wait_met, wait_offered

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from tests.world import Client, World

MODULES = [ModuleVersion("example.org/acme/widget", f"v1.{number}.0") for number in range(5)]


def zip_of(module: ModuleVersion) -> FileKey:
    return FileKey(module, FileKind.ZIP)


class Scene:
    """A store with one zip of each of MODULES, in the order in which they were asked for; all are out of use."""

    def __init__(self, store: Store) -> None:
        self.now = 1_700_000_000.0
        self.store = store
        self.limit: int | None = None
        self.is_cut_off = False
        self.elsewhere: set[FileKey] = set()
        self.asked: list[list[FileKey]] = []
        self.calmed = 0
        self.thinning = Thinning(
            store,
            lambda: self.limit,
            is_cut_off=lambda: self.is_cut_off,
            locate=self.locate,
            calm=self.calm,
            clock=lambda: self.now,
        )

    async def locate(self, keys: Iterable[FileKey]) -> set[FileKey]:
        self.asked.append(list(keys))
        return self.elsewhere & set(self.asked[-1])

    async def calm(self) -> None:
        await trio.lowlevel.checkpoint()
        self.calmed += 1

    def fill(self) -> None:
        for module in MODULES:
            put_all(self.store, module)
            self.now += 1
            self.store.get_nowait(zip_of(module))
        self.now += IN_USE + 1

    @property
    def held(self) -> int:
        return self.store.statistics().bytes

    @property
    def zips(self) -> list[int]:
        """Which zips are still there, by their numbers."""
        return [number for number, module in enumerate(MODULES) if self.store.held(zip_of(module))]

    def let_go(self, zips: int) -> None:
        """Make the limit so that just that many zips have to go."""
        size = self.store.held(zip_of(MODULES[0]))[0].size
        self.limit = int((self.held - (zips - 0.2) * size) / 0.6)
        assert self.held > 0.8 * self.limit, "too few to pass high water"


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    scenes: list[Scene] = []
    store = Store.open(tmp_path / "data", clock=lambda: scenes[0].now if scenes else 0.0)
    scenes.append(Scene(store))
    scenes[0].fill()
    yield scenes[0]
    store.close()


async def test_a_store_below_high_water_or_without_a_limit_keeps_everything(scene: Scene) -> None:
    for limit in (None, int(scene.held / 0.8) + 2):
        scene.limit = limit
        await scene.thinning.look()
        assert scene.zips == [0, 1, 2, 3, 4]
        assert not scene.thinning.is_stuck
    assert scene.calmed == 0


async def test_above_high_water_what_was_asked_for_longest_ago_goes_and_one_line_says_so(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = captured_log(monkeypatch, thinning)
    scene.store.get_nowait(zip_of(MODULES[0]))
    scene.now += IN_USE
    scene.let_go(3)
    held = scene.held
    await scene.thinning.look()
    assert scene.zips == [0, 4]
    assert scene.held <= 0.6 * (scene.limit or 0)
    [line] = lines
    assert (line["files"], line["bytes"], line["held"], line["limit"]) == (3, held - scene.held, held, scene.limit)
    assert "disk_limit" in line["event"]
    assert scene.asked == [], "nobody is asked while the upstream is there"
    lines.clear()
    await scene.thinning.look()
    assert (scene.zips, lines) == ([0, 4], [])


async def test_while_the_upstream_is_away_what_nobody_else_has_goes_last(scene: Scene) -> None:
    scene.is_cut_off = True
    scene.elsewhere = {zip_of(MODULES[3]), zip_of(MODULES[4])}
    scene.let_go(3)
    await scene.thinning.look()
    assert scene.zips == [1, 2]


async def test_the_directory_is_asked_in_batches_and_no_more_than_is_needed(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(thinning, "LOCATED", 2)
    scene.is_cut_off = True
    scene.elsewhere = {zip_of(module) for module in MODULES}
    scene.let_go(3)
    await scene.thinning.look()
    assert scene.asked == [[zip_of(module) for module in MODULES[:2]], [zip_of(module) for module in MODULES[2:4]]]
    assert scene.zips == [3, 4]


async def test_the_directory_is_not_asked_when_the_module_cache_has_enough(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    page, _ = scene.store.zips_page(None)
    cached = [replace(one, is_cached=one.key.module in MODULES[2:4]) for one in page]
    monkeypatch.setattr(scene.store, "zips_page", lambda _after: (cached, None))
    evicted: list[FileKey] = []

    def evict(found: HeldZip, _reason: str) -> int:
        evicted.append(found.key)
        return found.size

    monkeypatch.setattr(scene.store, "evict", evict)
    scene.is_cut_off = True
    scene.let_go(2)
    await scene.thinning.look()
    assert (scene.asked, evicted) == ([], [zip_of(module) for module in MODULES[2:4]])


async def test_a_directory_that_does_not_answer_is_not_waited_for(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(thinning, "LOCATE_TIME", 0.0)

    async def silence(_keys: object) -> None:
        await trio.sleep_forever()

    monkeypatch.setattr(scene.thinning, "_locate", silence)
    scene.is_cut_off = True
    scene.let_go(2)
    with trio.fail_after(10):
        await scene.thinning.look()
    assert scene.zips == [2, 3, 4]


async def test_what_is_in_use_stays_and_the_store_is_known_to_be_over(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = captured_log(monkeypatch, thinning)
    for module in MODULES:
        scene.store.get_nowait(zip_of(module))
    scene.let_go(5)
    scene.now += IN_USE - 1
    await scene.thinning.look()
    assert (scene.zips, lines) == ([0, 1, 2, 3, 4], [])
    assert scene.thinning.is_stuck
    scene.now += 1
    await scene.thinning.look()
    assert scene.zips == []


async def test_what_is_asked_for_while_others_go_stays(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """A build that begins between the choice and the removal."""
    monkeypatch.setattr(thinning, "TOGETHER", 1)

    async def build() -> None:
        await trio.lowlevel.checkpoint()
        if scene.zips == [1, 2, 3, 4]:
            scene.store.get_nowait(zip_of(MODULES[1]))

    monkeypatch.setattr(scene.thinning, "_calm", build)
    scene.let_go(3)
    await scene.thinning.look()
    assert scene.zips == [1, 3, 4]


async def test_a_build_in_a_hurry_goes_first(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(thinning, "TOGETHER", 1)
    is_over = trio.Event()
    monkeypatch.setattr(scene.thinning, "_calm", is_over.wait)
    scene.is_cut_off = True
    scene.let_go(2)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(scene.thinning.look)
        await trio.testing.wait_all_tasks_blocked(0.05)
        assert (scene.zips, scene.asked) == ([0, 1, 2, 3, 4], [])
        is_over.set()
    assert scene.zips == [2, 3, 4]


async def test_one_that_cannot_be_removed_does_not_keep_the_others(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    evict = scene.store.evict

    def fail(found: object, reason: str) -> int:
        if found.key == zip_of(MODULES[0]):  # type: ignore[attr-defined]
            raise StoreError("in use")
        return evict(found, reason)  # type: ignore[arg-type]

    monkeypatch.setattr(scene.store, "evict", fail)
    scene.let_go(2)
    lines = captured_log(monkeypatch, thinning)
    await scene.thinning.look()
    assert scene.zips == [0, 2, 3, 4]
    assert [line.get("files") for line in lines] == [None, 1]


async def test_a_failing_index_makes_it_try_again(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, autojump_clock: trio.testing.MockClock
) -> None:
    calls = 0

    async def look() -> None:
        nonlocal calls
        calls += 1
        raise StoreError("the disk is full")

    monkeypatch.setattr(scene.thinning, "look", look)
    with trio.move_on_after(thinning.SETTLE_IN + 2.5 * thinning.PACE):
        await scene.thinning.run()
    assert calls == 3


@pytest.mark.parametrize(
    ("state", "is_captive", "last", "expected"),
    [
        ("online", False, 0.0, False),
        ("online", False, 3600.0, False),
        ("online", False, 3601.0, True),
        ("online", False, -1.0, True),
        ("online", False, None, True),
        ("online", True, 0.0, True),
        ("offline", False, 0.0, True),
        ("off", False, 0.0, True),
    ],
)
def test_an_upstream_that_was_not_heard_of_within_the_hour_may_be_away(
    state: str, is_captive: bool, last: float | None, expected: bool
) -> None:
    """`last`: seconds since its last success."""
    success = None if last is None else 10_000.0 - last
    assert is_cut_off(UpstreamStatistics(state, is_captive, (), success, (), None), now=10_000.0) is expected


def test_copies_are_refused_when_they_do_not_fit_or_when_nothing_may_go(scene: Scene) -> None:
    scene.limit = scene.held + 100
    assert scene.thinning.why_full() is None
    assert scene.thinning.why_full(99) is None
    assert "the store holds" in (scene.thinning.why_full(100) or "")
    scene.thinning.is_stuck = True
    assert scene.thinning.why_full() is not None
    scene.limit = scene.held * 2
    assert scene.thinning.why_full() is None, "something went since"
    scene.limit = None
    assert scene.thinning.why_full(10**18) is None


def test_what_left_since_it_was_listed_is_not_called_damaged(scene: Scene) -> None:
    listed = scene.store.keys()
    scene.store.flush()
    gone = scene.store.zips_page(None)[0][0]
    assert scene.store.evict(gone, "") > 0
    scene.store.held(zip_of(MODULES[1]))[0].path.unlink()
    bad = {key for key in listed if verify_file(scene.store, key) is not None}
    assert bad == {zip_of(MODULES[1])}


def test_a_share_is_of_the_disk_that_the_store_lies_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[object] = []

    def usage(path: object) -> SimpleNamespace:
        asked.append(path)
        return SimpleNamespace(total=5000)

    monkeypatch.setattr(shutil, "disk_usage", usage)
    assert limit_on(DiskLimit(None, 0.1), tmp_path) == 500
    assert limit_on(DiskLimit(400, 0.1), tmp_path) == 400
    assert asked == [tmp_path, tmp_path]


def test_of_a_disk_that_cannot_be_asked_nothing_is_removed(tmp_path: Path) -> None:
    assert limit_on(DiskLimit(10**9, 0.1), tmp_path / "gone") is None
    assert limit_on(DiskLimit(10**9, None), tmp_path / "gone") == 10**9


# With a whole node


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Small limits may be set, and the node looks often."""
    monkeypatch.setattr(values, "MIN_SIZE", 1)
    monkeypatch.setattr(thinning, "SETTLE_IN", 0.0)
    monkeypatch.setattr(thinning, "PACE", 0.05)
    monkeypatch.setattr(thinning, "STUCK_PACE", 0.05)


async def fetch_all(client: Client) -> int:
    """All files of MODULES; how much the store holds then."""
    for module in MODULES:
        for kind in FileKind:
            answer = await client.get(FileKey(module, kind))
            assert answer.status_code == 200, answer.text
    held: int = (await client.status())["held"]["bytes"]
    return held


@pytest.mark.usefixtures("at_once")
async def test_a_node_over_its_limit_lets_zips_go_and_fetches_them_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number, module in enumerate(MODULES):
        world.publish(module, noise(200_000 + 2 * number))
    async with world.node(disk_limit="off") as client:
        held = await fetch_all(client)
        assert ((await client.status())["held"]["limit"], (await client.status())["held"]["over"]) == (None, False)
    limit = f"{held / 1e6:.3f}MB"
    async with world.node(disk_limit=limit) as client:
        status = (await client.status())["held"]
        assert (status["bytes"], status["limit"], status["over"]) == (held, int(float(limit[:-2]) * 1e6), True)
    monkeypatch.setattr("p2pmods.store.thinning.IN_USE", 0.0)
    async with world.node(disk_limit=limit) as client:
        with trio.fail_after(20):
            while (status := (await client.status())["held"])["bytes"] > 0.6 * held:  # noqa: ASYNC110
                await trio.sleep(0.02)  # HTTP brings no event
        assert not status["over"]
        assert (status["modules"], status["files"]) == (5, 12)
        asked = world.asked(".zip")
        monkeypatch.setattr(thinning, "PACE", 1000.0)
        for module in MODULES:
            answer = await client.get(FileKey(module, FileKind.MOD))
            assert answer.headers["P2pmods-Source"] == "store"
        for module, source in zip(MODULES, ["upstream"] * 3 + ["store"] * 2, strict=True):
            answer = await client.get(zip_of(module))
            assert (answer.content, answer.headers["P2pmods-Source"]) == (world.zips[module], source)
        assert world.asked(".zip") == asked + 3


@pytest.mark.usefixtures("at_once")
async def test_a_node_that_is_cut_off_lets_go_first_what_a_neighbour_has_and_names_nothing_private(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    alone, shared, private = (
        world.publish(module, noise(100_000))
        for module in (MODULES[0], MODULES[1], ModuleVersion("private.example/plan", "v1.0.0"))
    )
    limits: list[int] = []
    monkeypatch.setattr(assembly, "limit_on", lambda _limit, _data: limits[0] if limits else None)
    async with open_room(world) as room:
        bob = await room.start("bob")
        ann = await room.start("ann", bob, private="private.example", no_proxy="")
        await wait_met(ann, bob)
        for module in (private, alone, shared):
            for kind in FileKind:
                assert (await ann.get(FileKey(module, kind))).status_code == 200
        await wait_offered(bob, shared)
        for kind in FileKind:
            assert (await bob.get(FileKey(shared, kind))).status_code == 200
        await wait_offered(ann, shared)
        await room.stop(ann)
        ann = await room.start("ann", bob, private="private.example", no_proxy="", offline=True)
        await wait_met(ann, bob)
        await wait_offered(ann, shared)
        monkeypatch.setattr("p2pmods.store.thinning.IN_USE", 0.0)
        peers = ann.node.mesh.peers  # type: ignore[union-attr]
        asked: list[FileKey] = []
        locate_all = peers.locate_all

        async def located(files: list[FileKey]) -> object:
            asked.extend(files)
            return await locate_all(files)

        monkeypatch.setattr(peers, "locate_all", located)
        limits.append(int((await ann.status())["held"]["bytes"] / 0.85))
        with trio.fail_after(20):
            while (await ann.status())["held"]["over"]:  # noqa: ASYNC110 - HTTP brings no event
                await trio.sleep(0.02)
        held = [module for module in (private, alone, shared) if ann.node.store.held(zip_of(module))]
        assert held == [private, alone]
        assert zip_of(alone) in asked
        assert not any(key.module.path == private.path for key in asked)


async def test_a_zip_that_leaves_at_the_moment_of_an_answer_is_fetched_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = world.publish(MODULES[0])
    async with world.node() as client:
        assert (await client.get(zip_of(module))).status_code == 200
        await client.wait_proven()
        store = client.node.store
        open_file = store.open_file

        def leave(stored: object) -> int:
            monkeypatch.setattr(store, "open_file", open_file)
            page, _ = store.zips_page(None)
            store._requested.clear()
            store.evict(page[0], "at the worst moment")
            raise StoreChanged("gone")

        monkeypatch.setattr(store, "open_file", leave)
        answer = await client.get(zip_of(module))
        assert (answer.status_code, answer.content) == (200, world.zips[module])
        assert answer.headers["P2pmods-Source"] == "upstream"
