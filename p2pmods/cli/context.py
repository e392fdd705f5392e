"""What most commands start with: the settings of this process, or just the data directory."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from p2pmods.cli.output import note

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from p2pmods.config import Config


def load(flags: Mapping[str, object], *, show_notices: bool = True) -> Config:
    """The settings in force for `flags` and this process's environment; notices go to stderr."""
    from p2pmods.config.load import GO_KEYS, load_config
    from p2pmods.goenv import go_env_reader

    config = load_config(flags, os.environ, go_env_reader(GO_KEYS, os.environ))
    for text in config.notices if show_notices else ():
        note(f"p2pmods: {text}")
    return config


def data_directory(data: Path | None) -> Path:
    """The data directory alone, without asking `go env` for anything."""
    return data_directory_of_flags({"data": str(data) if data else None})


def data_directory_of_flags(flags: Mapping[str, object]) -> Path:
    """The same, from the settings given as flags."""
    from p2pmods.config.sources import data_directory_of

    return data_directory_of({"data": flags.get("data")}, os.environ)
