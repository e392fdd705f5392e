"""The SQLite file beneath the index: two connections, and a rebuild when it is damaged.

Readers never wait for a writer (WAL), so quick lookups may be made on the trio thread while a worker commits. Damage
may show at any time: then the file is set aside, a new one is built from what lies on disk, and the work is done
again, once.
"""

from __future__ import annotations

import sqlite3
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, TypeVar

from p2pmods.errors import StoreError
from p2pmods.store import fs
from p2pmods.store.schema import SCHEMA, VERSION, application_id

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

T = TypeVar("T")
Row = tuple[Any, ...]

_BUSY_SECONDS: Final = 5.0
# No damage: PERM, BUSY, LOCKED, NOMEM, READONLY, INTERRUPT, IOERR, FULL, CANTOPEN.
_NOT_DAMAGE: Final = frozenset({3, 5, 6, 7, 8, 9, 10, 13, 14})
_CAUSES: Final = {
    8: "it is read-only",
    10: "the disk reports an I/O error",
    13: "the disk is full: free some space",
    14: "it cannot be opened",
}


# sqlite3 decodes its messages, which may quote what is damaged.
_FAILURES: Final = (sqlite3.Error, UnicodeDecodeError)


class Damaged(Exception):
    """The index does not hold what was written into it."""


class Database:
    """One SQLite file. `build` fills a new one after damage, inside a transaction."""

    def __init__(self, path: Path, build: Callable[[sqlite3.Connection], None]) -> None:
        """Raises StoreError when it cannot be opened or was written by a newer p2pmods."""
        self._path = path
        self._build = build
        self._write_lock = threading.RLock()
        self._read_lock = threading.RLock()
        self.rebuilds = 0
        self.writes = 0  # grows before and after every transaction: what was read meanwhile may be old
        self._closed = False
        self._writer, self._reader = self._open_or_rebuild()

    def read(self, sql: str, values: Sequence[object] = ()) -> list[Row]:
        """All rows of a query. Raises StoreError."""
        return self.query(lambda connection: connection.execute(sql, values).fetchall())

    def query(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """`work` on the reading connection; it may raise Damaged. Raises StoreError."""

        def locked() -> T:
            with self._read_lock:
                return work(self._reader)

        return self._healing(locked)

    def write(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """`work` in a transaction of its own; nothing of it stays when it raises. Raises StoreError."""

        def locked() -> T:
            with self._write_lock:
                self.writes += 1
                try:
                    return _transaction(self._writer, work)
                finally:
                    self.writes += 1

        return self._healing(locked)

    def check(self) -> bool:
        """Blocks: look at every page, and rebuild when one is wrong; False when that was so. Raises StoreError.

        Opening looks at less, to be quick. This has a connection of its own, so nothing waits for it.
        """
        era = self.rebuilds

        def look() -> None:
            connection = self._connect()
            try:
                if connection.execute("PRAGMA integrity_check(1)").fetchall() != [("ok",)]:
                    raise Damaged("the pages")
            finally:
                connection.close()

        self._healing(look)
        return self.rebuilds == era

    def close(self) -> None:
        with self._write_lock, self._read_lock:
            self._closed = True
            self._reader.close()
            with suppress(sqlite3.Error):
                self._writer.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            self._writer.close()

    def _healing(self, work: Callable[[], T]) -> T:
        era = self.rebuilds
        try:
            return work()
        except Damaged:
            self._rebuild(era)
        except _FAILURES as error:
            if self._closed or not _is_damage(error):
                raise self._store_error(error) from error
            self._rebuild(era)
        try:
            return work()
        except (Damaged, *_FAILURES) as error:
            raise self._store_error(error) from error

    def _rebuild(self, era: int) -> None:
        with self._write_lock, self._read_lock:
            if self.rebuilds != era:
                return  # another thread met the same damage first
            self.writes += 1
            self._reader.close()
            self._writer.close()
            self._writer, self._reader = self._build_new()

    def _open_or_rebuild(self) -> tuple[sqlite3.Connection, sqlite3.Connection]:
        if not self._path.exists():
            return self._new()
        try:
            return self._open_existing()
        except Damaged:
            return self._build_new()
        except _FAILURES as error:
            if not _is_damage(error):
                raise self._store_error(error) from error
            return self._build_new()

    def _open_existing(self) -> tuple[sqlite3.Connection, sqlite3.Connection]:
        _check_header(self._path)
        writer = self._connect()
        try:
            (version,) = writer.execute("PRAGMA user_version").fetchone()
            (application,) = writer.execute("PRAGMA application_id").fetchone()
            if application != application_id(version):
                raise Damaged("the header")
            if version > VERSION:
                raise StoreError(
                    f"{self._path} was written by a newer p2pmods (store version {version}; this one knows"
                    f" {VERSION}): update p2pmods, or choose another --data directory"
                )
            if writer.execute("PRAGMA quick_check(1)").fetchall() != [("ok",)]:
                raise Damaged("the pages")
            return writer, self._connect()
        except BaseException:
            writer.close()
            raise

    def _new(self) -> tuple[sqlite3.Connection, sqlite3.Connection]:
        try:
            writer = self._connect()
            try:
                self._create(writer)
                return writer, self._connect()
            except BaseException:
                writer.close()
                raise
        except (OSError, *_FAILURES) as error:
            raise self._store_error(error) from error

    def _create(self, writer: sqlite3.Connection) -> None:
        def fill(connection: sqlite3.Connection) -> None:
            for statement in SCHEMA:
                connection.execute(statement)
            self._build(connection)
            connection.execute(f"PRAGMA user_version = {VERSION}")
            connection.execute(f"PRAGMA application_id = {application_id(VERSION)}")

        _transaction(writer, fill)

    def _build_new(self) -> tuple[sqlite3.Connection, sqlite3.Connection]:
        """Set the damaged file aside (one is kept, for whoever wants to know why) and build another."""
        self.rebuilds += 1
        try:
            aside = self._path.with_name(self._path.name + ".damaged")
            for ending in ("-wal", "-shm"):
                self._path.with_name(self._path.name + ending).unlink(missing_ok=True)
            if self._path.exists():
                self._path.replace(aside)
        except OSError as error:
            raise self._store_error(error) from error
        return self._new()

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self._path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False)
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = NORMAL")  # a lost last row is found again from its file
            connection.execute("PRAGMA cell_size_check = ON")
        except sqlite3.Error:
            connection.close()
            raise
        return connection

    def _store_error(self, error: Exception) -> StoreError:
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        return StoreError(f"cannot use the index {self._path}: {_CAUSES.get(code, str(error))}")


def _transaction(connection: sqlite3.Connection, work: Callable[[sqlite3.Connection], T]) -> T:
    connection.execute("BEGIN IMMEDIATE")
    try:
        result = work(connection)
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            with suppress(sqlite3.Error):
                connection.execute("ROLLBACK")
        raise
    return result


def _is_damage(error: Exception) -> bool:
    if isinstance(error, (sqlite3.ProgrammingError, sqlite3.InterfaceError)):
        return False
    return getattr(error, "sqlite_errorcode", 0) & 0xFF not in _NOT_DAMAGE


def _check_header(path: Path) -> None:
    """Raises Damaged for a format number that SQLite would take for a newer format, to be read but not written."""
    try:
        with fs.stream_regular(path) as stream:
            header = stream.read(20)
    except OSError:
        return  # connecting will tell
    if len(header) != 20 or header[18] not in (1, 2) or header[19] not in (1, 2):
        raise Damaged("the header")
