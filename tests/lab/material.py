"""Made-up modules for a lab: a project with a zip that takes seconds on its slow line, and one without."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Final

from p2pmods.gomod.module import ModuleVersion
from p2pmods.testing.modzips import make_module_zip
from simulations.bench.upstream import World, go_mod
from simulations.lab.excerpt import Material, rezip
from simulations.lab.madeup import write_project

if TYPE_CHECKING:
    from pathlib import Path

LARGE: Final = ModuleVersion("example.org/lab/large", "v1.0.0")
SMALL: Final = (ModuleVersion("example.org/lab/one", "v1.0.0"), ModuleVersion("example.org/lab/two/v2", "v2.1.0"))
SIZE: Final = 1_500_000  # bytes


def made_up(directory: Path) -> Material:
    """One world, one upstream, two projects."""
    world = World()
    for module in (LARGE, *SMALL):
        size = SIZE if module is LARGE else 20_000
        files = {"go.mod": go_mod(module.path), "data.bin": random.Random(str(module)).randbytes(size)}
        world.publish(module, files["go.mod"], make_module_zip(module, files))
    project = write_project("with-large", directory, world, [LARGE, *SMALL])
    other = write_project("small", directory / "other", world, SMALL)
    return Material(project, LARGE, other, rezip(project.modules, directory / "rezipped", [LARGE, *SMALL]))
