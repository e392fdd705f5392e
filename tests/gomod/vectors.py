"""Answers of Go's own packages, made by the program in govectors/."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

DIRECTORY = Path(__file__).parent / "vectors"


def rows(name: str) -> list[list[Any]]:
    """The rows of vectors/<name>.json; what each holds is said in govectors/rows.go."""
    loaded: list[list[Any]] = json.loads((DIRECTORY / f"{name}.json").read_text("utf-8"))
    assert loaded
    return loaded
