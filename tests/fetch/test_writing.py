"""Answers do not wait for the disk, and what was answered still gets there."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import trio

from p2pmods.errors import StoreError
from p2pmods.gomod.module import FileKind, ModuleVersion
from tests.world import WIDGET, World

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


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
