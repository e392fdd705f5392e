"""What `GOPROXY=file://DATA/modules` needs beside the files themselves: `list`, and an `.info` for every version.

The go command reads `.info`, `.mod` and `.zip` of an explicit version, so a version of which we hold the last two but
no `.info` gets one that we synthesise. It lies where a real one would, but its row says `synthesised`: `get` never
hands it out, the node goes on asking for the real one, and a commit of that replaces it. After a rebuild of the index
it is known again by its bytes, which are all derived from the version.

A `list` names what can be delivered. When the highest version ever seen cannot, there is no list at all: a shortened
one would make `go get x@latest` downgrade, with exit status 0. None of this is fsynced, as all of it is derived.
"""

from __future__ import annotations

import hashlib
import uuid
from typing import TYPE_CHECKING

from p2pmods.gomod.info import format_info, synthesise_info
from p2pmods.gomod.listing import format_list, in_order, latest
from p2pmods.gomod.module import FileKey, FileKind, ModuleVersion
from p2pmods.store import fs
from p2pmods.store.stored import HeldVersion, StoredFile
from p2pmods.trust.evidence import Source, SourceKind

if TYPE_CHECKING:
    import os
    from collections.abc import Callable
    from pathlib import Path

    from p2pmods.store.layout import Layout
    from p2pmods.store.memory import Memory
    from p2pmods.store.rows import FileRows


def synthesised_info(module: ModuleVersion) -> bytes:
    """The `.info` that we would write for `module`."""
    return format_info(synthesise_info(module))


class Published:
    """Keeps these files right. The caller holds the path's lock; errors are OSError and StoreError."""

    def __init__(self, layout: Layout, rows: FileRows, memory: Memory, clock: Callable[[], float]) -> None:
        self._layout = layout
        self._rows = rows
        self._memory = memory
        self._clock = clock

    def versions(self, path: str) -> list[HeldVersion]:
        """The versions of which any file is held for real, in semver order."""
        return [HeldVersion.of(version, kinds) for version, kinds in self._kinds(path)[0].items()]

    def update(self, path: str) -> None:
        """Make `list` and the synthesised `.info`s of a module path what they should be."""
        held, synthesised = self._kinds(path)
        complete = {version for version, kinds in held.items() if {FileKind.MOD, FileKind.ZIP} <= kinds}
        lacking = {version for version in complete if FileKind.INFO not in held[version]}
        for version in lacking - synthesised:
            self._synthesise(ModuleVersion(path, version))
        for version in synthesised - lacking:
            self._drop(
                FileKey(ModuleVersion(path, version), FileKind.INFO), real=FileKind.INFO in held.get(version, ())
            )
        self._write_list(path, complete, set(held))

    def _kinds(self, path: str) -> tuple[dict[str, set[FileKind]], set[str]]:
        held: dict[str, set[FileKind]] = {}
        synthesised = set()
        for version, kind, is_synthesised in self._rows.of_path(path):
            if is_synthesised:
                synthesised.add(version)
            else:
                held.setdefault(version, set()).add(FileKind(kind))
        return {version: held[version] for version in in_order(held)}, synthesised

    def _synthesise(self, module: ModuleVersion) -> None:
        key, data = FileKey(module, FileKind.INFO), synthesised_info(module)
        target = self._layout.file(key)
        fs.write_derived(target, self._temporary(), data)
        self._rows.put(synthesised_row(key, self._layout, data, self._clock(), target.lstat()))

    def _drop(self, key: FileKey, *, real: bool) -> None:
        row = self._rows.get(key)
        if row is not None and row.synthesised and not real:
            fs.remove(row.path)
            self._rows.delete([row])

    def _write_list(self, path: str, complete: set[str], held: set[str]) -> None:
        """`held` in part is seen too: a build may require a version of which it wants the go.mod alone."""
        target = self._layout.list_file(path)
        highest = self._memory.highest(path)
        if not complete or latest([*held, *([highest] if highest else [])]) not in complete:
            fs.remove(target)
            return
        data = format_list(complete)
        if _read_or_empty(target) != data:
            fs.write_derived(target, self._temporary(), data)

    def _temporary(self) -> Path:
        return self._layout.tmp / f"{uuid.uuid4().hex}.derived"


def synthesised_row(key: FileKey, layout: Layout, data: bytes, now: float, status: os.stat_result) -> StoredFile:
    """The row of an `.info` that we wrote ourselves."""
    return StoredFile(
        key=key,
        path=layout.file(key),
        size=len(data),
        sha256=hashlib.sha256(data).hexdigest(),
        h1=None,
        source=Source(SourceKind.STORE, "synthesised", now),
        evidence=(),
        fingerprint=fs.fingerprint(status),
        synthesised=True,
    )


def _read_or_empty(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""
