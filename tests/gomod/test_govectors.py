from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.gomod.vectors import DIRECTORY

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.go
@pytest.mark.live
def test_the_vectors_are_what_go_answers_today(tmp_path: Path) -> None:
    environment = os.environ | {"GOFLAGS": "-mod=mod", "GOWORK": "off"}
    subprocess.run(["go", "run", ".", str(tmp_path)], cwd=DIRECTORY.parent / "govectors", env=environment, check=True)
    for file in DIRECTORY.glob("*.json"):
        if file.name != "unicode.json":  # another Go may know another version of Unicode
            assert (tmp_path / file.name).read_bytes() == file.read_bytes(), file.name
