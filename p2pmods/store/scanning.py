"""What lies in the user's module cache, as rows of the index: to be counted, proven and offered where it lies.

A scan takes stock by names and status alone; verifying reads each file once, slowly. Nothing is written there.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import trio

from p2pmods.errors import MalformedData, ZipRefused
from p2pmods.store import fs
from p2pmods.store.scrub import RATE, SMALLEST
from p2pmods.store.stored import StoredFile
from p2pmods.store.verifying import check_file
from p2pmods.trust.evidence import FromModuleCache, Source, SourceKind

if TYPE_CHECKING:
    from pathlib import Path

    from p2pmods.gomod.module import FileKey
    from p2pmods.store.core import Core
    from p2pmods.store.modcache import ModuleCache
    from p2pmods.trust.evidence import Evidence

_BATCH: Final = 500


@dataclass(frozen=True, slots=True)
class ScanReport:
    """How many files are in the module cache, and how many rows came and went."""

    files: int
    new: int
    gone: int


class Scanner:
    """Keeps the rows of one module cache up to date."""

    def __init__(self, core: Core, module_cache: ModuleCache) -> None:
        self._core = core
        self._module_cache = module_cache

    def scan(self) -> ScanReport:
        """Blocks: take stock. Raises StoreError."""
        rows = self._core.rows
        known = self._known()
        files, new, batch = 0, 0, []
        for key, path in self._module_cache.scan():
            files += 1
            row = known.pop(key, None)
            seen = self._seen(key, path, row)
            if seen is None:
                continue
            new += 1
            batch.append(seen)
            if len(batch) == _BATCH:
                rows.put_many(batch)
                batch = []
        rows.put_many(batch)
        rows.delete(known.values())
        return ScanReport(files, new, len(known))

    def _known(self) -> dict[FileKey, StoredFile]:
        known: dict[FileKey, StoredFile] = {}
        last = None
        while page := self._core.rows.page(last, _BATCH, in_module_cache=True):
            known.update((row.key, row) for row in page)
            last = page[-1].key
        return known

    def _seen(self, key: FileKey, path: Path, row: StoredFile | None) -> StoredFile | None:
        """The row to write for a file, or None when there is nothing to change."""
        if self._core.marks.of(key.module):
            return None
        try:
            status = path.lstat()
        except OSError:
            return None
        if row is not None and row.path == path and row.fingerprint in ("", fs.fingerprint(status)):
            return None
        source = Source(SourceKind.MODULE_CACHE, str(self._module_cache.directory), self._core.clock())
        return StoredFile(key, path, status.st_size, "", None, source, (), "", in_module_cache=True)

    async def verify(self, *, rate: float = RATE) -> int:
        """Read every file that no one has verified yet, at `rate` bytes a second; how many. Raises StoreError."""
        count = 0
        while batch := await trio.to_thread.run_sync(self._unverified):
            for row in batch:
                await trio.to_thread.run_sync(self._verify, row)
                count += 1
                await trio.sleep(max(row.size, SMALLEST) / rate)
        return count

    def _unverified(self) -> list[StoredFile]:
        return self._core.rows.select("place = 1 AND sha256 = '' AND fingerprint = '' LIMIT 64")

    def _verify(self, row: StoredFile) -> None:
        """A refused file keeps a row without a hash, so that it is not read again until it changes."""
        try:
            descriptor, before = fs.open_regular(row.path)
        except OSError:
            self._core.rows.delete([row])
            return
        try:
            checked = check_file(row.key, before.st_size, descriptor)
            after = replace(row, size=checked.size, sha256=checked.sha256, h1=checked.h1)
            after = replace(after, evidence=self._evidence(after), fingerprint=fs.fingerprint(before))
            if fs.fingerprint(os.fstat(descriptor)) != after.fingerprint:
                after = replace(row, fingerprint="changing")  # the next scan sees it anew
        except (MalformedData, ZipRefused, OSError) as error:
            self._core.audit.refused(row.key, row.source, str(error))
            after = replace(row, fingerprint=fs.fingerprint(before))
        finally:
            os.close(descriptor)
        if self._core.rows.get(row.key, in_module_cache=True) == row:
            self._core.rows.put(after)

    def _evidence(self, row: StoredFile) -> tuple[Evidence, ...]:
        """Where it lies, and what speaks for the file in the store when that has the same hash."""
        held = self._core.rows.get(row.key)
        same = held is not None and held.h1 is not None and held.h1 == row.h1
        proofs = tuple(item for item in held.evidence if item.proven) if held is not None and same else ()
        return (*proofs, FromModuleCache(str(self._module_cache.directory)))
