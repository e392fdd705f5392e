"""The `files` table: what is known about each file, and the queue of those without a proof."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Final

from p2pmods.errors import P2pmodsError
from p2pmods.gomod.module import FileKey, FileKind, ModuleVersion
from p2pmods.store.database import Damaged, Row
from p2pmods.store.schema import seal_of
from p2pmods.store.stored import StoredFile
from p2pmods.store.thinning import HeldZip
from p2pmods.trust.evidence import Source, SourceKind, evidence_from_json, evidence_to_json

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Iterable

    from p2pmods.store.database import Database
    from p2pmods.store.layout import Layout

LONGEST_WAIT: Final = 48 * 3600.0  # seconds that nobody ever postpones a proof for
MAX_RECENT: Final = 5_000  # rows in memory, all dropped with the next write of anything
_COLUMNS: Final = (
    "path, version, kind, place, file, size, sha256, h1, source_kind, source_id, source_at, evidence, proven,"
    " synthesised, fingerprint, seal"
)
_SELECT: Final = f"SELECT {_COLUMNS} FROM files"  # noqa: S608 (constants only)
_CHANGED: Final = ", ".join(f"{name} = excluded.{name}" for name in _COLUMNS.split(", ")[4:])
_UPSERT: Final = (
    f"INSERT INTO files ({_COLUMNS}, last_read) VALUES ({', '.join('?' * 16)}, ?11)"  # noqa: S608 (constants only)
    f" ON CONFLICT DO UPDATE SET {_CHANGED}, proof_next = 0"
)
_ZIPS: Final = (
    "SELECT path, version, size, sha256, MAX(last_requested, source_at), EXISTS (SELECT 1 FROM files AS c"
    " WHERE c.path = z.path AND c.version = z.version AND c.kind = 'zip' AND c.place = 1 AND c.h1 = z.h1),"
    " source_kind FROM files AS z WHERE kind = 'zip' AND place = 0 AND sha256 != ''"
)
_WHERE_KEY: Final = " WHERE path = ? AND version = ? AND kind = ?"


def put_row(connection: sqlite3.Connection, stored: StoredFile) -> None:
    """Write the row of `stored`, inside a transaction of `Database.write`."""
    connection.execute(_UPSERT, _row_of(stored))


def _row_of(stored: StoredFile) -> Row:
    module, source = stored.key.module, stored.source
    values = (
        module.path,
        module.version,
        stored.key.kind.value,
        int(stored.in_module_cache),
        str(stored.path) if stored.in_module_cache else "",
        stored.size,
        stored.sha256,
        stored.h1,
        source.kind.value,
        source.id,
        float(source.at),
        json.dumps([evidence_to_json(item) for item in stored.evidence], separators=(",", ":")),
        int(stored.proven),
        int(stored.synthesised),
        stored.fingerprint,
    )
    return (*values, seal_of(*values))


class FileRows:
    """Typed access to `files`. Every method raises StoreError when the index cannot be used."""

    def __init__(self, database: Database, layout: Layout) -> None:
        self._database = database
        self._layout = layout
        self._recent: dict[FileKey, StoredFile | None] = {}
        self._recent_as_of = -1
        self.on_change: Callable[[Iterable[FileKey]], None] | None = None  # told after a write, in its thread

    def get(self, key: FileKey, *, in_module_cache: bool = False) -> StoredFile | None:
        """The row of `key` in one place, or None."""
        if in_module_cache:
            return self._read(key, in_module_cache)
        as_of = self._database.writes
        if as_of != self._recent_as_of or len(self._recent) >= MAX_RECENT:
            self._recent, self._recent_as_of = {}, as_of
        recent = self._recent
        if key in recent:
            return recent[key]
        row = self._read(key, in_module_cache)
        if self._database.writes == as_of:
            recent[key] = row
        return row

    def _read(self, key: FileKey, in_module_cache: bool) -> StoredFile | None:
        values = (key.module.path, key.module.version, key.kind.value, int(in_module_cache))

        def look(connection: sqlite3.Connection) -> StoredFile | None:
            row = connection.execute(f"{_SELECT}{_WHERE_KEY} AND place = ?", values).fetchone()
            return None if row is None else self._stored(row, key)

        return self._database.query(look)

    def page(self, after: FileKey | None, limit: int, *, in_module_cache: bool = False) -> list[StoredFile]:
        """The next rows of one place in the order of their keys. Pages, so that quick lookups get in between."""
        last = (after.module.path, after.module.version, after.kind.value) if after else ("", "", "")
        return self.select(
            "(path, version, kind) > (?, ?, ?) AND place = ? ORDER BY path, version, kind LIMIT ?",
            (*last, int(in_module_cache), limit),
        )

    def select(self, where: str, values: tuple[object, ...] = ()) -> list[StoredFile]:
        """The rows for which the constant condition `where` holds."""

        def look(connection: sqlite3.Connection) -> list[StoredFile]:
            return [self._stored(row) for row in connection.execute(f"{_SELECT} WHERE {where}", values)]

        return self._database.query(look)

    def put(self, stored: StoredFile) -> None:
        self._database.write(lambda connection: put_row(connection, stored))
        self._tell([stored.key])

    def put_many(self, stored: Iterable[StoredFile]) -> None:
        stored = list(stored)
        rows = [_row_of(item) for item in stored]
        self._database.write(lambda connection: connection.executemany(_UPSERT, rows))
        self._tell([item.key for item in stored])

    def _tell(self, keys: Iterable[FileKey]) -> None:
        if self.on_change is not None:
            self.on_change(keys)

    def update(
        self, key: FileKey, change: Callable[[StoredFile], StoredFile], *, in_module_cache: bool = False
    ) -> StoredFile | None:
        """Replace the row of `key` by what `change` makes of it, in one step; None when there is no such row."""
        values = (key.module.path, key.module.version, key.kind.value, int(in_module_cache))

        def work(connection: sqlite3.Connection) -> StoredFile | None:
            row = connection.execute(f"{_SELECT}{_WHERE_KEY} AND place = ?", values).fetchone()
            if row is None:
                return None
            before = self._stored(row, key)
            after = change(before)
            if after != before:
                put_row(connection, after)
            return after

        after = self._database.write(work)
        if after is not None:
            self._tell([key])
        return after

    def delete(self, stored: Iterable[StoredFile]) -> None:
        stored = list(stored)
        keys = [(s.key.module.path, s.key.module.version, s.key.kind.value, int(s.in_module_cache)) for s in stored]
        sql = f"DELETE FROM files{_WHERE_KEY} AND place = ?"  # noqa: S608 (constants only)
        self._database.write(lambda connection: connection.executemany(sql, keys))
        self._tell([item.key for item in stored])

    def forget_module_cache(self) -> None:
        self._database.write(lambda connection: connection.execute("DELETE FROM files WHERE place = 1"))

    def of_path(self, path: str) -> list[tuple[str, str, bool]]:
        """(version, kind, synthesised) of each file of a module path that lies in the store."""
        rows = self._database.read(
            "SELECT version, kind, synthesised FROM files WHERE path = ? AND place = 0", (path,)
        )
        return [(version, kind, bool(synthesised)) for version, kind, synthesised in rows]

    def totals(self) -> tuple[int, int, int]:
        """(module versions, files, bytes) in the store, synthesised files apart."""
        modules, files, size = self._database.read(
            "SELECT COUNT(*), COALESCE(SUM(files), 0), COALESCE(SUM(size), 0) FROM (SELECT COUNT(*) AS files,"
            " SUM(size) AS size FROM files WHERE place = 0 AND synthesised = 0 GROUP BY path, version)"
        )[0]
        return modules, files, size

    def unproven_due(self, limit: int, now: float, wanted: Callable[[str], bool]) -> list[ModuleVersion]:
        """Module versions with a verified `.mod` or zip, in either place, that has no proof and may be tried now."""
        sql = (
            "SELECT path, version FROM files WHERE proven = 0 AND kind != 'info' AND sha256 != ''"
            # later than anything is put off to: the clock was set back
            " AND (proof_next <= ?1 OR proof_next > ?1 + ?2) ORDER BY proof_next"
        )

        def look(connection: sqlite3.Connection) -> list[ModuleVersion]:
            due: dict[ModuleVersion, None] = {}
            for path, version in connection.execute(sql, (now, LONGEST_WAIT)):
                if wanted(path):
                    due[_module(path, version)] = None
                    if len(due) >= limit:
                        break
            return list(due)

        return self._database.query(look)

    def postpone(self, module: ModuleVersion, until: float) -> None:
        """Leave `module` out of `unproven_due` before Unix time `until`."""
        self._database.write(
            lambda connection: connection.execute(
                "UPDATE files SET proof_next = ? WHERE path = ? AND version = ? AND proven = 0",
                (until, module.path, module.version),
            )
        )

    def unproven_by_path(self) -> dict[str, int]:
        """For each module path: how many of its `.mod`s and zips, in either place, have no proof in any place."""
        rows = self._database.read(
            "SELECT path, COUNT(DISTINCT version || kind) FROM files AS f WHERE proven = 0 AND kind != 'info'"
            " AND NOT EXISTS (SELECT 1 FROM files AS o WHERE o.path = f.path AND o.version = f.version"
            " AND o.kind = f.kind AND o.proven = 1) GROUP BY path"
        )
        return dict(rows)

    def read_long_ago(self, limit: int, before: float, after: float) -> list[StoredFile]:
        """Files in the store last read whole before one Unix time (or after another, if the clock was set back)."""
        long_ago = self.select("place = 0 AND last_read < ? ORDER BY last_read LIMIT ?", (before, limit))
        return long_ago or self.select("place = 0 AND last_read > ? ORDER BY last_read LIMIT ?", (after, limit))

    def was_read(self, key: FileKey, at: float) -> None:
        """The file in the store was read whole, and is what it was."""
        values = (at, key.module.path, key.module.version, key.kind.value)
        sql = f"UPDATE files SET last_read = ?{_WHERE_KEY} AND place = 0"  # noqa: S608 (constants only)
        self._database.write(lambda connection: connection.execute(sql, values))

    def paths(self) -> list[str]:
        """The module paths of which something is in the store."""
        return [path for (path,) in self._database.read("SELECT DISTINCT path FROM files WHERE place = 0")]

    def touch(self, requested: dict[FileKey, float]) -> None:
        """Note when files were last asked for."""
        values = [(at, key.module.path, key.module.version, key.kind.value) for key, at in requested.items()]
        sql = f"UPDATE files SET last_requested = ?{_WHERE_KEY} AND place = 0"  # noqa: S608 (constants only)
        self._database.write(lambda connection: connection.executemany(sql, values))

    def zips(self, after: FileKey | None, limit: int) -> list[HeldZip]:
        """The next zips in the store, in the order of their keys, as far as they were verified."""
        last = (after.module.path, after.module.version) if after else ("", "")
        rows = self._database.read(
            f"{_ZIPS} AND (path, version) > (?, ?) ORDER BY path, version LIMIT ?", (*last, limit)
        )
        return [_held_zip(*row) for row in rows]

    def zip(self, key: FileKey) -> HeldZip | None:
        """One of them."""
        rows = self._database.read(f"{_ZIPS} AND path = ? AND version = ?", (key.module.path, key.module.version))
        return _held_zip(*rows[0]) if rows else None

    def _stored(self, row: Row, key: FileKey | None = None) -> StoredFile:
        *values, seal = row
        if seal_of(*values) != seal:
            raise Damaged("a row of files")
        path, version, kind, place, file, size, sha256, h1, *_ = values
        source_kind, source_id, source_at, evidence, _proven, synthesised, fingerprint = values[8:]
        try:
            key = key or FileKey(ModuleVersion(path, version), FileKind(kind))
            return StoredFile(
                key=key,
                path=Path(file) if place else self._layout.file(key),
                size=size,
                sha256=sha256,
                h1=h1,
                source=Source(SourceKind(source_kind), source_id, source_at),
                evidence=tuple(evidence_from_json(item) for item in json.loads(evidence)),
                fingerprint=fingerprint,
                in_module_cache=bool(place),
                synthesised=bool(synthesised),
            )
        except (ValueError, TypeError, P2pmodsError) as error:
            raise Damaged("a row of files") from error


def _held_zip(path: str, version: str, size: int, sha256: str, used: float, is_cached: int, kind: str) -> HeldZip:
    key = FileKey(_module(path, version), FileKind.ZIP)
    return HeldZip(key, size, sha256, used, bool(is_cached), kind == SourceKind.VCS)


def _module(path: str, version: str) -> ModuleVersion:
    try:
        return ModuleVersion(path, version)
    except P2pmodsError as error:
        raise Damaged("a name in files") from error
