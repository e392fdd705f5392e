"""Projects that exist nowhere: modules made here, with a checksum database of their own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from p2pmods.gomod.module import ModuleVersion
from p2pmods.sumdb.records import lookup_path
from p2pmods.sumdb.tiles import FULL, Tile
from simulations.bench.upstream import World, go_mod
from simulations.lab.machines import Project

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

BIG_MB: Final = 40
BIG: Final = ModuleVersion("example.org/lab/big", "v1.0.0")


def make_bigzip(directory: Path) -> Project:
    """One module, whose zip of 40 MB no compression makes smaller."""
    world = World()
    world.publish_large(BIG, BIG_MB)
    return write_project("bigzip", directory, world, [BIG])


MADE_UP: Final = {"bigzip": make_bigzip}


def write_project(name: str, directory: Path, world: World, needed: Iterable[ModuleVersion]) -> Project:
    """All that the world has published, as files below `directory`, and a main module that needs some of it."""
    project = Project(name, directory / "source", directory / "modules", world.log.verifier_key)
    modules = list(needed)
    needs = "".join(f"\t{module.path} {module.version}\n" for module in modules)
    _write(project.source / "go.mod", go_mod(f"example.org/{name}") + f"\nrequire (\n{needs})\n".encode())
    _write(project.source / "go.sum", "\n".join([*world.sums, ""]).encode())
    for path, data in world.upstream.files.items():
        _write(project.modules / path.lstrip("/"), data)
    database = project.modules / "sumdb" / world.log.name
    width = world.log.size
    assert 0 < width < FULL  # one tile has all
    tile = Tile(0, 0, width)
    for path in ("supported", "latest", f"tile/{tile.path}", *(f"lookup/{lookup_path(one)}" for one in modules)):
        _write(database / path, world.log.answer(path)[1])
    return project


def _write(file: Path, data: bytes) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(data)
