"""DATA/setup.json: what `p2pmods setup` found in go's settings and what it put there."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Final

from p2pmods.errors import UserError

if TYPE_CHECKING:
    from pathlib import Path

FILE_NAME: Final = "setup.json"
MAX_RECORD: Final = 256 << 10


@dataclass(frozen=True, slots=True)
class SetupRecord:
    """`before`: GOPROXY in go's env file, None when it was not in it. `upstream`: GOPROXY that was in force, without
    this node. `written`: what setup put there. `node`: this node's URL; `token`: its path token when strict."""

    node: str
    written: str
    before: str | None
    upstream: str
    token: str | None

    @property
    def strict(self) -> bool:
        """Whether go was pointed at the node alone."""
        return self.token is not None


def read_setup_record(data: Path) -> SetupRecord | None:
    """The record in data directory `data`, None when setup was never run or undone. UserError when it is damaged."""
    path = data / FILE_NAME
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_RECORD + 1)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from error
    try:
        return _from_json(json.loads(raw))
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise UserError(f"{path} is damaged: set GOPROXY by hand (go env -w), then delete it") from error


def _from_json(table: dict[str, object]) -> SetupRecord:
    before, token = table["before"], table["token"]
    if not (before is None or isinstance(before, str)) or not (token is None or isinstance(token, str)):
        raise TypeError("before and token are texts or null")
    node, written, upstream = (str(table[name]) for name in ("node", "written", "upstream"))
    return SetupRecord(node, written, before, upstream, token)


def write_setup_record(data: Path, record: SetupRecord) -> None:
    """Replace the record, readable by its owner alone (it may hold a token). UserError when that cannot be done."""
    try:
        data.mkdir(mode=0o700, parents=True, exist_ok=True)
        _replace(data, record)
    except OSError as error:
        raise UserError(
            f"cannot write {data / FILE_NAME}: {error.strerror or error}; choose another directory with --data"
        ) from error


def _replace(data: Path, record: SetupRecord) -> None:
    temporary = data / f".{FILE_NAME}.{secrets.token_hex(8)}"
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            json.dump(asdict(record), file, indent=1)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(data / FILE_NAME)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise


def delete_setup_record(data: Path) -> None:
    """Forget it; nothing happens when there is none."""
    (data / FILE_NAME).unlink(missing_ok=True)
