"""What a seed still has to copy, and how much it has copied: kept from run to run."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

import structlog

from p2pmods.errors import P2pmodsError
from p2pmods.gomod.module import FileKey, FileKind, ModuleVersion
from p2pmods.store import fs
from p2pmods.store.layout import Layout

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

FILE_NAME: Final = "seed.json"
MAX_FILE: Final = 16 << 20  # bytes: some 16,000 names of the longest usual kind, and room

log = structlog.get_logger()

Entry = tuple[FileKey, float]


class SeedFile:
    """`DATA/seed.json`: {`copied`: a count, `waiting`: [[path, version, `mod` or `zip`, Unix time]]}."""

    def __init__(self, data: Path) -> None:
        self._layout = Layout(data)

    @property
    def path(self) -> Path:
        return self._layout.data / FILE_NAME

    def read(self) -> tuple[int, list[Entry]]:
        """How much was copied, and what waits; nothing of either when there is no file, or a damaged one."""
        try:
            with self.path.open("rb") as file:
                found = json.loads(file.read(MAX_FILE + 1))
            return _count(found["copied"]), [_entry(item) for item in found["waiting"]]
        except FileNotFoundError:
            return 0, []
        except (OSError, ValueError, KeyError, TypeError, RecursionError, P2pmodsError) as error:
            log.warning("what a seed had to copy is forgotten", file=str(self.path), reason=str(error))
            return 0, []

    def write(self, copied: int, waiting: Iterable[Entry]) -> None:
        """Blocks. Raises StoreError."""
        items = [[key.module.path, key.module.version, key.kind.value, since] for key, since in waiting]
        data = json.dumps({"copied": copied, "waiting": items}, separators=(",", ":")).encode()
        temporary = self._layout.tmp / FILE_NAME
        try:
            fs.remove(temporary)  # left behind by a kill
            fs.write_derived(self.path, temporary, data)
        except OSError as error:
            raise fs.store_error("write", self.path, error) from error


def _count(value: Any) -> int:
    if not isinstance(value, int) or value < 0:
        raise ValueError("no count")
    return value


def _entry(item: Any) -> Entry:
    match item:
        case [str(path), str(version), ("mod" | "zip") as kind, int() | float() as since]:
            return FileKey(ModuleVersion(path, version), FileKind(kind)), float(since)
    raise ValueError("no entry")
