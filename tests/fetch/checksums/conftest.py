"""A log with 601 records, TOML's the 301st, and where the node that reads it keeps its data."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from p2pmods.testing.sumdb import ForkableLog
from tests.fetch.checksums.world import H1, TOML, LogSource

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def log() -> ForkableLog:
    log = ForkableLog(seed="service")
    log.grow(300)
    log.add(TOML, H1, H1)
    log.grow(300)
    return log


@pytest.fixture
def source(log: ForkableLog) -> LogSource:
    return LogSource(log)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "data"
