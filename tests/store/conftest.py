from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from p2pmods.store.store import Store

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class Clock:
    """Unix time that a test moves."""

    def __init__(self) -> None:
        self.now = 1_700_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture
def store(data: Path, clock: Clock) -> Iterator[Store]:
    opened = Store.open(data, clock=clock)
    yield opened
    opened.close()
