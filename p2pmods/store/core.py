"""What the parts of the store share: the tables, the log, the locks, and the acts that several of them need."""

from __future__ import annotations

import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from p2pmods.errors import StoreError
from p2pmods.store import fs, keeping, recovery
from p2pmods.store.audit import Audit
from p2pmods.store.counters import Counters
from p2pmods.store.database import Database
from p2pmods.store.memory import Memory
from p2pmods.store.notes import Marks, Notes
from p2pmods.store.publishing import Published
from p2pmods.store.rows import FileRows

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from p2pmods.store.layout import Layout
    from p2pmods.store.stored import StoredFile

_STRIPES: Final = 64
QUARANTINED: Final = "quarantined"  # the counter's name


class Core:
    """One open store, seen from the inside. May be used from any thread."""

    def __init__(self, layout: Layout, clock: Callable[[], float]) -> None:
        """Raises StoreError."""
        self.layout: Final = layout
        self.clock: Final = clock
        self.audit: Final = Audit(layout.audit, clock)
        self.database: Final = Database(
            layout.index, lambda connection: recovery.rebuild(connection, layout, clock())
        )
        self.rows: Final = FileRows(self.database, layout)
        self.memory: Final = Memory(self.database)
        self.notes: Final = Notes(self.database)
        try:
            self.marks: Final = Marks(self.database)
            self.counters: Final = Counters(self.database, clock())
        except BaseException:
            self.database.close()
            raise
        self.published: Final = Published(layout, self.rows, self.memory, clock)
        self.generation = 0
        self.trouble: str | None = None
        self._stripes = tuple(threading.RLock() for _ in range(_STRIPES))
        self._root = layout.modules.lstat().st_ino

    def stripe(self, path: str) -> threading.RLock:
        """The lock under which files of the module path `path` are put, moved and removed."""
        return self._stripes[hash(path) % _STRIPES]

    def is_there(self) -> bool:
        """False when modules/ was deleted, replaced or unmounted while we run: then a missing file means nothing."""
        try:
            return self.layout.modules.lstat().st_ino == self._root
        except OSError:
            return False

    def publish(self, path: str) -> None:
        """Bring `list` and the like up to date; a failure is trouble, not the end of what was being done."""
        try:
            self.published.update(path)
        except OSError as error:
            self.trouble = str(fs.store_error("write the list of", self.layout.list_file(path), error))
        except StoreError as error:
            self.trouble = str(error)

    def forget(self, stored: Iterable[StoredFile]) -> None:
        """Drop the rows of files that are gone, if the index lets us. Under the path's lock."""
        gone = list(stored)
        if not gone or not self.is_there():
            return
        self.generation += 1
        with suppress(StoreError):
            self.rows.delete(gone)
        self.publish(gone[0].key.module.path)

    def quarantine(self, stored: StoredFile, reason: str) -> None:
        """Take the file at its place out of service. Under the path's lock. Raises StoreError when it cannot be."""
        self.generation += 1
        try:
            kept_as = keeping.set_aside(self.layout, stored.key, stored.path, self.clock())
        except FileNotFoundError:
            kept_as = None
        except OSError as error:
            raise fs.store_error("quarantine", stored.path, error) from error
        self.audit.quarantined(stored.key, reason, kept_as)
        self.counters.add(QUARANTINED, 1, stored.size)
        self.forget([stored])
