"""Homes of their own: no test here reads or writes the settings of whoever runs it."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from p2pmods.goenv import find_go

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty home directory for this test, with every variable that p2pmods and go would read cleared."""
    home = tmp_path / "home"
    home.mkdir()
    for name in list(os.environ):
        if name.startswith(("P2PMODS_", "GO", "XDG_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("USERPROFILE", str(home))
    monkeypatch.setenv("LOCALAPPDATA", str(home / "local"))
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    return home


@pytest.fixture
def go_command() -> Path:
    """The real go command."""
    go = find_go({"PATH": os.environ["PATH"]})
    if go is None or shutil.which(str(go)) is None:
        pytest.skip("no go command")
    return go
