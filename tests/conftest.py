"""What every test may use."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

import pytest

from p2pmods.goenv import find_go
from tests.world import World, open_world

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with open_world(tmp_path) as opened:
        yield opened


def _have_go_on_path() -> None:
    """The go command that the extra brings, where there is no other, for tests and what they start."""
    go = find_go(os.environ)
    if go is not None and shutil.which("go") is None:
        os.environ["PATH"] = os.pathsep.join([os.environ.get("PATH", os.defpath), str(go.parent)])


_have_go_on_path()
