"""Ann, a real node, among others of whom none is to be trusted."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import trio

from tests.mesh.hostile import Eve, open_eve, versions_at
from tests.world import Client, World, open_room

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from p2pmods.gomod.module import ModuleVersion
    from p2pmods.mesh.mesh import Mesh


@dataclass
class Scene:
    """Ann, a node; Eve, the only other one; `next_version` publishes a version whose first home is Eve."""

    world: World
    ann: Client
    eve: Eve
    versions: Callable[[], ModuleVersion]

    def next_version(self) -> ModuleVersion:
        return self.world.publish(self.versions())

    async def check_served_from_upstream(self, module: ModuleVersion) -> None:
        """Ann's go gets the right bytes, from upstream; what Ann keeps is right, and there is no alarm."""
        with trio.fail_after(15):
            answer = await self.ann.file(module, "zip")
        assert answer.status_code == 200, answer.text
        assert answer.content == self.world.zips[module]
        assert answer.headers["P2pmods-Source"] == "upstream"
        await self.ann.wait_proven()
        self.check_kept()
        assert (await self.ann.status())["alarms"] == []

    @property
    def mesh(self) -> Mesh:
        """Ann's."""
        assert self.ann.node.mesh is not None
        return self.ann.node.mesh

    def check_kept(self) -> None:
        data = self.ann.node.config.data
        kept = {path.read_bytes() for path in (data / "modules").rglob("*.zip")}
        assert kept <= set(self.world.zips.values())
        assert not list((data / "evidence").glob("*/refused.*"))
        assert not list((data / "tmp").rglob("*.part"))


@asynccontextmanager
async def open_scene(world: World, directory: Path) -> AsyncIterator[Scene]:
    async with open_room(world) as room:
        ann = await room.start("ann")
        async with open_eve(directory / "eve", ann) as eve:
            yield Scene(world, ann, eve, versions_at(eve.node_id, ann.node.node_id))
