"""Files and bytes by where they came from, and how many were given away: in memory, and now and then on disk."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Final

from p2pmods.store.stored import Traffic

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Mapping

    from p2pmods.store.database import Database

KEPT_STARTS: Final = 20  # older starts are added up into one row, `start` 0
_UPSERT: Final = (
    "INSERT INTO counters VALUES (?, ?, ?, ?)"
    " ON CONFLICT DO UPDATE SET files = files + excluded.files, bytes = bytes + excluded.bytes"
)


class Counters:
    """One counter for each name ("store", "upstream", …, "given", "quarantined")."""

    def __init__(self, database: Database, started: float) -> None:
        """Raises StoreError. `started` (Unix seconds) names this start."""
        self._database = database
        self._start = int(started)
        self._lock = threading.Lock()
        self._before: dict[str, Traffic] = database.write(_fold_and_read)
        self._now: dict[str, Traffic] = {}
        self._unsaved: dict[str, Traffic] = {}

    def add(self, name: str, files: int, size: int) -> None:
        with self._lock:
            for table in (self._now, self._unsaved):
                old = table.get(name, Traffic())
                table[name] = Traffic(old.files + files, old.bytes + size)

    def now(self) -> Mapping[str, Traffic]:
        """Since this start."""
        with self._lock:
            return dict(self._now)

    def total(self) -> Mapping[str, Traffic]:
        """Since the store was made."""
        with self._lock:
            total = dict(self._before)
            for name, more in self._now.items():
                old = total.get(name, Traffic())
                total[name] = Traffic(old.files + more.files, old.bytes + more.bytes)
            return total

    def flush(self) -> None:
        """Raises StoreError; what could not be saved is tried again the next time."""
        with self._lock:
            unsaved, self._unsaved = self._unsaved, {}
        rows = [(self._start, name, more.files, more.bytes) for name, more in unsaved.items()]
        try:
            if rows:
                self._database.write(lambda connection: connection.executemany(_UPSERT, rows))
        except BaseException:
            with self._lock:
                for name, more in unsaved.items():
                    old = self._unsaved.get(name, Traffic())
                    self._unsaved[name] = Traffic(old.files + more.files, old.bytes + more.bytes)
            raise


def _fold_and_read(connection: sqlite3.Connection) -> dict[str, Traffic]:
    starts = connection.execute("SELECT DISTINCT start FROM counters WHERE start > 0 ORDER BY start DESC").fetchall()
    for (start,) in starts[KEPT_STARTS - 1 :]:
        rows = connection.execute("SELECT 0, name, files, bytes FROM counters WHERE start = ?", (start,)).fetchall()
        connection.executemany(_UPSERT, rows)
        connection.execute("DELETE FROM counters WHERE start = ?", (start,))
    rows = connection.execute("SELECT name, SUM(files), SUM(bytes) FROM counters GROUP BY name").fetchall()
    return {name: Traffic(files, size) for name, files, size in rows}
