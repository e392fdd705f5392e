"""Answers do not wait for the disk, and what was answered still gets there."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest
import trio
import trio.testing

from p2pmods.errors import StoreError
from p2pmods.fetch.storm import MANY, QUIET, Storm
from p2pmods.fetch.writing import Writing
from p2pmods.gomod.module import FileKey, FileKind, ModuleVersion
from p2pmods.store.store import Store
from p2pmods.trust.evidence import Source, SourceKind
from p2pmods.trust.files import VerifiedFile, admit, check_mod, check_zip
from tests.world import WIDGET, World

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from trio.testing import MockClock

GO_MOD = b"module example.org/acme/widget\n"
SOURCE = Source(SourceKind.UPSTREAM, "tests", 1.0)


def verified(number: int) -> VerifiedFile:
    key = FileKey(ModuleVersion(WIDGET.path, f"v1.0.{number}"), FileKind.MOD)
    return admit(check_mod(key, GO_MOD), SOURCE, [])


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store.open(tmp_path)
    yield store
    store.close()


class Stormy:
    """A Writing in the middle of a storm; `committed` are the versions that reached the store."""

    def __init__(self, store: Store, nursery: trio.Nursery) -> None:
        self.committed: list[str] = []
        self.some = trio.Event()
        storm = Storm()
        for _ in range(MANY):
            storm.note(now=trio.current_time())
        self.writing = Writing(store, nursery, storm, self._on_committed)

    def _on_committed(self, verified: VerifiedFile) -> None:
        self.committed.append(verified.key.module.version)
        self.some.set()


@pytest.fixture
async def stormy(store: Store, mock_clock: MockClock) -> AsyncIterator[Stormy]:
    async with trio.open_nursery() as nursery:
        yield Stormy(store, nursery)


async def test_a_slow_disk_delays_no_answer_and_nothing_is_fetched_twice(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.publish()
    async with world.node() as node:
        gate = threading.Event()
        commit = node.node.store.commit

        def slow(*arguments: object) -> object:
            assert gate.wait(20)
            return commit(*arguments)  # type: ignore[arg-type]

        monkeypatch.setattr(node.node.store, "commit", slow)
        for kind in FileKind:
            for _ in range(2):
                assert (await node.file(WIDGET, kind)).status_code == 200
        assert (await node.file(WIDGET, "zip")).content == world.zips[WIDGET]
        gate.set()
        assert [file["name"] for file in (await node.why(WIDGET))["files"]] == ["info", "mod", "zip"]
    assert world.asked("/@v/v1.0.0.") == 3


async def test_what_a_full_disk_does_not_take_still_passes_through(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.publish()

    def full(*_: object) -> object:
        raise StoreError("the disk is full: free some space")

    async with world.node() as node:
        monkeypatch.setattr(node.node.store, "commit", full)
        for kind in FileKind:
            assert (await node.file(WIDGET, kind)).status_code == 200
        assert (await node.status())["held"]["files"] == 0
        monkeypatch.undo()
        assert (await node.file(WIDGET, "zip")).content == world.zips[WIDGET]
        assert (await node.status())["held"]["files"] == 1


async def test_a_node_that_stops_first_writes_what_it_answered(world: World, tmp_path: Path) -> None:
    modules = [world.publish(ModuleVersion(WIDGET.path, f"v1.0.{i}")) for i in range(40)]
    async with world.node() as node, trio.open_nursery() as nursery:
        for module in modules:
            nursery.start_soon(node.file, module, "zip")
    assert len(list((tmp_path / "node" / "modules").rglob("*.zip"))) == 40
    assert not list((tmp_path / "node" / "tmp").glob("*.part"))


async def test_in_a_storm_what_was_answered_is_written_when_it_is_over(stormy: Stormy, mock_clock: MockClock) -> None:
    for number in range(3):
        assert (await stormy.writing.put(verified(number), GO_MOD)).body == GO_MOD
    await trio.testing.wait_all_tasks_blocked()
    assert stormy.committed == []
    assert stormy.writing.get(verified(0).key) is not None
    mock_clock.jump(QUIET)
    await stormy.some.wait()
    await stormy.writing.wait_empty()
    assert sorted(stormy.committed) == ["v1.0.0", "v1.0.1", "v1.0.2"]


async def test_half_a_bound_ends_the_wait_too(stormy: Stormy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("p2pmods.fetch.writing.MOST", 4)
    for number in range(2):
        await stormy.writing.put(verified(number), GO_MOD)
    await stormy.some.wait()


async def test_whoever_asks_what_is_held_ends_the_wait(stormy: Stormy) -> None:
    await stormy.writing.put(verified(0), GO_MOD)
    await stormy.writing.wait_empty()
    assert stormy.committed == ["v1.0.0"]
    await stormy.writing.put(verified(1), GO_MOD)  # and only that wait
    await trio.testing.wait_all_tasks_blocked()
    assert stormy.committed == ["v1.0.0"]
    await stormy.writing.wait_empty()


@pytest.mark.parametrize(("bound", "most"), [("MOST", 4), ("MOST_BYTES", 4 * len(GO_MOD)), ("MOST_OPEN", 4)])
async def test_a_storm_may_not_fill_memory_or_use_up_descriptors(
    store: Store, stormy: Stormy, world: World, monkeypatch: pytest.MonkeyPatch, bound: str, most: int
) -> None:
    monkeypatch.setattr(f"p2pmods.fetch.writing.{bound}", most)
    gate = threading.Event()
    commit = store.commit

    def slow(*arguments: object) -> object:
        assert gate.wait(20)
        return commit(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(store, "commit", slow)

    async def put(number: int) -> None:
        if bound != "MOST_OPEN":
            await stormy.writing.put(verified(number), GO_MOD)
            return
        module = ModuleVersion(WIDGET.path, f"v1.0.{number}")
        world.publish(module)
        data, temp = world.zips[module], store.temp()
        temp.write(data)
        checked = check_zip(FileKey(module, FileKind.ZIP), temp.size, temp.pread, from_stranger=False)
        await stormy.writing.put(admit(checked, SOURCE, []), temp)

    for number in range(4):
        await put(number)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(put, 4)
        await trio.testing.wait_all_tasks_blocked()
        waiting = len(stormy.writing)
        gate.set()
    assert waiting == 4  # and one answer waited
    assert stormy.committed  # though the storm goes on
    await stormy.writing.wait_empty()
