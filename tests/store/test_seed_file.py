"""What a seed has to copy is there after a restart; a damaged file costs the list and nothing else."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from p2pmods.errors import StoreError
from p2pmods.gomod.module import FileKey, FileKind, ModuleVersion
from p2pmods.store import seed_file
from p2pmods.store.seed_file import SeedFile

if TYPE_CHECKING:
    from pathlib import Path

ENTRIES = [
    (FileKey(ModuleVersion("example.org/a", "v1.0.0"), FileKind.ZIP), 1.5e9),
    (FileKey(ModuleVersion("example.org/B", "v2.0.0+incompatible"), FileKind.MOD), 1.6e9),
]
GOOD = {"copied": 3, "waiting": [["example.org/a", "v1.0.0", "zip", 1.5e9]]}


@pytest.fixture
def file(tmp_path: Path) -> SeedFile:
    (tmp_path / "tmp").mkdir()
    return SeedFile(tmp_path)


def test_what_is_written_is_read_again(file: SeedFile) -> None:
    assert file.read() == (0, [])
    file.write(7, ENTRIES)
    file.write(8, ENTRIES)
    assert file.read() == (8, ENTRIES)
    file.path.write_text(json.dumps(GOOD))
    assert file.read() == (3, ENTRIES[:1])


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "null",
        "{}",
        '{"copied": 3}',
        "\ufffd",
        "[" * 100_000,
        json.dumps({**GOOD, "copied": -1}),
        json.dumps({**GOOD, "copied": "3"}),
        json.dumps({**GOOD, "waiting": {}} | {"waiting": 4}),
        json.dumps({**GOOD, "waiting": [["example.org/a", "v1.0.0", "info", 1.5e9]]}),
        json.dumps({**GOOD, "waiting": [["example.org/a", "v1.0.0", "zip", "now"]]}),
        json.dumps({**GOOD, "waiting": [["example.org/../a", "v1.0.0", "zip", 1.5e9]]}),
        json.dumps({**GOOD, "waiting": [["example.org/a", "../../v1", "zip", 1.5e9]]}),
        json.dumps({**GOOD, "waiting": [["example.org/a", "v1.0.0"]]}),
        json.dumps({**GOOD, "waiting": ["x"]}),
    ],
)
def test_a_damaged_file_is_forgotten(file: SeedFile, text: str) -> None:
    file.path.write_text(text)
    assert file.read() == (0, [])


def test_a_file_without_end_is_not_read(file: SeedFile, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seed_file, "MAX_FILE", 40)
    file.path.write_text(json.dumps(GOOD))
    assert file.read() == (0, [])


def test_one_that_cannot_be_written_says_so(file: SeedFile) -> None:
    file.path.mkdir()
    with pytest.raises(StoreError, match=r"seed\.json"):
        file.write(1, ENTRIES)
    assert file.read() == (0, [])
