"""What the stories of real nodes share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from p2pmods.directory import patience
from p2pmods.mesh import busy, gathering, peers, receiving
from tests.mesh.scene import Scene, open_scene
from tests.world import Room, World, open_room

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


@pytest.fixture
async def room(world: World) -> AsyncIterator[Room]:
    async with open_room(world) as opened:
        yield opened


@pytest.fixture
async def scene(world: World, tmp_path: Path) -> AsyncIterator[Scene]:
    async with open_scene(world, tmp_path) as opened:
        yield opened


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Patience ten times as short."""
    for name in ("SILENCE", "CONFIRMED", "STILL", "LIMITED_STILL", "SETTLED"):
        monkeypatch.setattr(patience, name, getattr(patience, name) / 10)
    monkeypatch.setattr(peers, "HOME_DEADLINE", 0.5)
    monkeypatch.setattr(busy, "PAUSE", 0.01)
    monkeypatch.setattr(gathering, "FORSAKEN", 0.1)
    monkeypatch.setattr(receiving, "MAX_ZIP", 1 << 20)
