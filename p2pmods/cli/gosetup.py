"""Putting a node in front of go's GOPROXY and taking it away again, exactly.

Everything is done through `go env -w` and `go env -u`, and read back through `go env`.
"""

from __future__ import annotations

import os
import secrets
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from p2pmods.config.ownself import OwnAddresses, without_own
from p2pmods.config.setup_record import SetupRecord
from p2pmods.errors import MalformedData, UserError
from p2pmods.goenv import find_go, read_go_env, run_go
from p2pmods.gomod.goproxy import format_goproxy, parse_goproxy

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_ENV_FILE: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class GoProxySetting:
    """GOPROXY as go sees it: `in_force`; `in_file` is go's env file's value, None when it has none."""

    go: Path
    in_force: str
    in_file: str | None


def read_setting(environ: Mapping[str, str]) -> GoProxySetting:
    """UserError without a go command, or with GOENV=off."""
    go = find_go(environ)
    if go is None:
        raise UserError("there is no go command on PATH to set up")
    values = read_go_env(go, ["GOPROXY", "GOENV"], environ)
    file = values.get("GOENV", "")
    if file in ("", "off"):
        raise UserError("go keeps no settings here (GOENV=off): put the node into the GOPROXY variable yourself")
    return GoProxySetting(go, values.get("GOPROXY", ""), read_env_file(Path(file)).get("GOPROXY"))


def read_env_file(path: Path) -> dict[str, str]:
    """go's env file as cmd/go reads it: NAME=value lines that begin with a capital letter, the last one wins."""
    try:
        with path.open("rb") as file:
            text = file.read(MAX_ENV_FILE).decode("utf-8", "surrogateescape")
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise UserError(f"cannot read go's settings in {path}: {error.strerror}") from error
    pairs = (line.removesuffix("\r").partition("=") for line in text.split("\n"))
    return {name: value for name, equals, value in pairs if equals and "A" <= name[:1] <= "Z"}


def plan(
    setting: GoProxySetting, record: SetupRecord | None, urls: tuple[str, str], own: OwnAddresses, *, strict: bool
) -> SetupRecord:
    """What setup would write and remember. What was there before the first setup stays the thing to go back to.

    `urls`: the node's bare URL, and the one under which anybody who may use the node reaches it.
    """
    node, shared = urls
    if record is not None and setting.in_file == record.written:
        before, upstream = record.before, record.upstream
    else:
        before, upstream = _cleaned(setting.in_file, own), _cleaned(setting.in_force, own) or ""
    if strict:
        token = (record.token if record else None) or secrets.token_hex(16)
        return SetupRecord(node, f"{node}/{token}", before, upstream, token)
    return SetupRecord(node, f"{shared}|{upstream}" if upstream else shared, before, upstream, None)


def _cleaned(value: str | None, own: OwnAddresses) -> str | None:
    """`value` without this node; None when there is nothing else in it. Verbatim when the node is not in it."""
    if value is None or value == "":
        return value
    try:
        kept, removed = without_own(parse_goproxy(value), own)
    except MalformedData as error:
        raise UserError(f"GOPROXY={value}: {error.reason}; put that right first (go env -w GOPROXY=…)") from error
    if not removed:
        return value
    return format_goproxy(kept) if kept else None


def value_to_restore(setting: GoProxySetting, record: SetupRecord | None, own: OwnAddresses) -> str | None:
    """What go's env file should hold once the node is out of it; None for no GOPROXY at all."""
    if record is not None and setting.in_file == record.written:
        return record.before
    return _cleaned(setting.in_file, own)


def go_arguments(value: str | None) -> list[str]:
    """The arguments of go that put `value` into its env file, or take GOPROXY out of it."""
    return ["env", "-u", "GOPROXY"] if value is None else ["env", "-w", f"GOPROXY={value}"]


def shown_command(value: str | None) -> str:
    """The same as a line to type."""
    arguments = go_arguments(value)
    if os.name == "nt" and value is not None:
        return f'go env -w "{arguments[-1]}"'
    return shlex.join(["go", *arguments])


def winning_variable(wanted: str, environ: Mapping[str, str]) -> str | None:
    """The GOPROXY variable that would win over `wanted` in go's settings, if there is one."""
    variable = environ.get("GOPROXY", "")
    return variable if variable and variable != wanted else None


def write(setting: GoProxySetting, value: str | None, environ: Mapping[str, str]) -> str:
    """Put `value` into go's env file and return what `go env GOPROXY` says then."""
    run_go(setting.go, go_arguments(value), environ)
    return read_go_env(setting.go, ["GOPROXY"], environ).get("GOPROXY", "")
