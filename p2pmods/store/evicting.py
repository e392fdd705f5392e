"""Taking one zip out of the store for the room that it takes. No mark stays: it is fetched again like any miss."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from p2pmods.errors import StoreError
from p2pmods.store import fs

if TYPE_CHECKING:
    from collections.abc import Container

    from p2pmods.gomod.module import FileKey
    from p2pmods.store.core import Core
    from p2pmods.store.stored import StoredFile
    from p2pmods.store.thinning import HeldZip


class Evictor:
    """`requested` are files that were asked for and whose rows may not say so yet."""

    def __init__(self, core: Core, requested: Container[FileKey]) -> None:
        self._core = core
        self._requested = requested

    def evict(self, found: HeldZip, reason: str) -> int:
        """See `Store.evict`. The file goes before its row: a row without a file is dropped by whoever looks next,
        while a file without a row would come back."""
        core, key = self._core, found.key
        with core.stripe(key.module.path):
            row = core.rows.get(key)
            if row is None or not core.is_there() or self._is_wanted(found):
                return 0
            cached = self._cached(row)
            if found.is_cached and cached is None:
                return 0  # it was counted on, and has gone or changed since
            try:
                row.path.unlink()
            except (FileNotFoundError, NotADirectoryError):
                pass  # gone already, by another hand
            except OSError as error:
                raise fs.store_error("remove", row.path, error) from error
            core.audit.evicted(row, reason)
            core.forget([row])
            if cached is not None:
                self._refresh(cached)
            return row.size

    def _is_wanted(self, found: HeldZip) -> bool:
        """It was asked for, or is another one, since it was found. In this order: the row says it later."""
        return found.key in self._requested or self._core.rows.zip(found.key) != found

    def _cached(self, row: StoredFile) -> StoredFile | None:
        """The same zip in the module cache, when that is there as it was verified."""
        cached = self._core.rows.get(row.key, in_module_cache=True)
        if cached is None or cached.h1 != row.h1:
            return None
        try:
            return cached if fs.fingerprint(os.lstat(cached.path)) == cached.fingerprint else None
        except OSError:
            return None

    def _refresh(self, cached: StoredFile) -> None:
        """When both were names of one file its ctime has moved now: its row must not look changed for that."""
        with suppress(OSError, StoreError):
            fingerprint = fs.fingerprint(os.lstat(cached.path))
            self._core.rows.update(
                cached.key,
                lambda row: replace(row, fingerprint=fingerprint) if row == cached else row,
                in_module_cache=True,
            )
