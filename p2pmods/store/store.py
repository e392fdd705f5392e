"""The files that this machine keeps, on disk in GOMODCACHE layout, and everything that is known about them.

Methods that say "blocks" read or sync files and belong into a worker thread; all others are quick. Everything may be
called from any thread. A full or failing disk makes commits fail with StoreError while reading goes on.
"""

from __future__ import annotations

import os
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Final

import trio

from p2pmods.errors import StoreChanged, StoreError
from p2pmods.gomod.module import FileKey
from p2pmods.store import fs, preparing
from p2pmods.store.committing import Committer, Content
from p2pmods.store.core import Core
from p2pmods.store.evicting import Evictor
from p2pmods.store.layout import Layout
from p2pmods.store.ledger import Ledger
from p2pmods.store.notes import Mark, State
from p2pmods.store.scanning import Scanner
from p2pmods.store.scrub import AGE, RATE, Scrubber, ScrubReport
from p2pmods.store.stored import HeldVersion, Refusal, RemoveReport, StoredFile
from p2pmods.store.temp import TempFile
from p2pmods.store.verifying import Verifier
from p2pmods.store.withdrawing import Withdrawer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    import filelock

    from p2pmods.gomod.module import ModuleVersion
    from p2pmods.store.modcache import ModuleCache
    from p2pmods.store.thinning import HeldZip
    from p2pmods.trust.evidence import Evidence, Source
    from p2pmods.trust.files import VerifiedFile

__all__ = ["Store", "StoredFile"]

VERIFIERS: Final = 2  # threads that read whole files at once
PAGE: Final = 500  # rows looked at together


class Store(Ledger):
    """One data directory, opened by one process at a time."""

    def __init__(self, core: Core, lock: filelock.BaseFileLock) -> None:
        """Use `Store.open`."""
        super().__init__(core)
        self._lock = lock
        self._verifier = Verifier(core)
        self._committer = Committer(core, self._verifier)
        self._withdrawer = Withdrawer(core)
        self._evictor = Evictor(core, self._requested)
        self._scrubber = Scrubber(core, self._verifier)
        self._limiter = trio.CapacityLimiter(VERIFIERS)

    @classmethod
    def open(cls, data: Path, *, clock: Callable[[], float] = time.time) -> Store:
        """Make or open the store in directory `data`. Raises StoreError, which says the cure."""
        layout = Layout(data)
        preparing.prepare(layout)
        lock = preparing.lock(layout)
        try:
            preparing.sweep(layout)
            return cls(Core(layout, clock), lock)
        except BaseException:
            lock.release()
            raise

    def close(self) -> None:
        """Save the counters and let another process in. Harmless when called again."""
        if self._lock.is_locked:
            super().close()
            self._lock.release()

    @property
    def modules(self) -> Path:
        """The directory for `GOPROXY=file://…`."""
        return self._core.layout.modules

    @property
    def generation(self) -> int:
        """Grows whenever something that was served may have become invalid: caches of answers drop everything."""
        return self._core.generation

    # Reading

    def get_nowait(self, key: FileKey) -> StoredFile | None:
        """The file, if its status is that of its last verification; None when it is not held.

        Raises trio.WouldBlock when it must be read first (call `get`), Poisoned and Tombstoned.
        """
        self._core.marks.check(key.module)
        try:
            row = self._core.rows.get(key)
        except StoreError as error:
            self._core.trouble = str(error)
            return None
        try:
            status = os.lstat(row.path if row is not None else self._core.layout.file_name(key))
        except OSError:
            if row is None:
                return None
            raise trio.WouldBlock from None  # gone: `get` tidies up
        if row is None or fs.fingerprint(status) != row.fingerprint:
            raise trio.WouldBlock  # written by a process that died before its row, or changed since
        if row.synthesised:
            return None
        self._requested[key] = self._core.clock()
        return row

    async def get(self, key: FileKey) -> StoredFile | None:
        """The file, verified again in a thread when its status has changed.

        None when it is not held, and that without a checkpoint; or not any more: a damaged file is put in quarantine,
        to be fetched anew. Raises Poisoned and Tombstoned.
        """
        try:
            found = self.get_nowait(key)
        except trio.WouldBlock:
            found = await trio.to_thread.run_sync(self._verify_or_none, key, limiter=self._limiter)
            if found is not None:
                self._requested[key] = self._core.clock()
        else:
            if found is not None:
                await trio.lowlevel.checkpoint()
        return found

    def _verify_or_none(self, key: FileKey) -> StoredFile | None:
        try:
            return self._verifier.verify(key)
        except StoreError as error:
            self._core.trouble = str(error)
            return None

    def verify(self, key: FileKey, *, thoroughly: bool = True) -> StoredFile | None:
        """Blocks: read the file even if its status has not changed; None when it is not held (any more).

        Raises StoreError.
        """
        return self._verifier.verify(key, thoroughly=thoroughly)

    async def scrub(self, *, rate: float = RATE, age: float = AGE) -> ScrubReport:
        """Read every file that was not read for `age` seconds, at `rate` bytes a second: one round.

        Rot is found though no status changed; files that a dying process left without a row are taken in.
        Raises StoreError.
        """
        return await self._scrubber.scrub(rate=rate, age=age)

    def scanner(self, module_cache: ModuleCache) -> Scanner:
        """What takes stock of the user's module cache, so that it can be counted, proven and offered."""
        return Scanner(self._core, module_cache)

    def forget_module_cache(self) -> None:
        """The user turned the module cache off: nothing of it counts any more. Raises StoreError."""
        self._core.rows.forget_module_cache()

    def open_file(self, stored: StoredFile) -> int:
        """A descriptor to read `stored`, which is the caller's to close.

        Raises StoreChanged when it is no longer the file that was verified, StoreError when it cannot be opened.
        """
        try:
            descriptor, status = fs.open_regular(stored.path)
        except (FileNotFoundError, NotADirectoryError):
            raise StoreChanged(f"{stored.key} is gone") from None
        except OSError as error:
            raise fs.store_error("open", stored.path, error) from error
        if fs.fingerprint(status) != stored.fingerprint:
            os.close(descriptor)
            raise StoreChanged(f"{stored.key} has changed since it was verified")
        return descriptor

    def held(self, key: FileKey) -> list[StoredFile]:
        """What is recorded of `key`, in the store and in the module cache; not looked at, maybe not verified.

        Empty for what is poisoned or was removed.
        """
        if self._core.marks.of(key.module):
            return []
        rows = (self._core.rows.get(key), self._core.rows.get(key, in_module_cache=True))
        return [row for row in rows if row is not None and not row.synthesised]

    def watch(self, on_change: Callable[[Iterable[FileKey]], None] | None) -> None:
        """Have `on_change` told of every file, in either place, of which something was recorded, in any thread."""
        self._core.rows.on_change = on_change

    def proven_page(self, after: FileKey | None, *, in_module_cache: bool) -> tuple[list[StoredFile], FileKey | None]:
        """Blocks a little: the next files of one place that have a proof, and where to go on; None at the end.

        Raises StoreError.
        """
        page = self._core.rows.page(after, PAGE, in_module_cache=in_module_cache)
        proven = [row for row in page if row.proven and not self._core.marks.of(row.key.module)]
        return proven, page[-1].key if page else None

    def keys(self) -> list[FileKey]:
        """Every file in the store (not in the module cache), in order. Raises StoreError."""
        return sorted(stored.key for stored in self._core.rows.select("place = ?", (0,)))

    def versions(self, path: str) -> list[HeldVersion]:
        """The versions of a module path of which any file is in the store, in semver order."""
        return self._core.published.versions(path)

    # Writing

    def temp(self) -> TempFile:
        """A new file to receive into. Raises StoreError only when no disk of this machine takes it."""
        return TempFile(self._core.layout.tmp)

    def commit(self, verified: VerifiedFile, content: Content) -> StoredFile:
        """Blocks: keep a file. `content` is a TempFile, bytes, or a path in the module cache (linked or copied).

        A TempFile is used up when this returns, and still the caller's when it raises. When the same file is held,
        its evidence grows; when other bytes with no worse evidence are held, they stay and are returned.
        Raises StoreError (disk full, …: nothing is left behind), HashMismatch when `content` is not what was
        verified, Poisoned, Tombstoned.
        """
        return self._committer.commit(verified, content)

    def add_evidence(self, held: StoredFile | FileKey, *evidence: Evidence) -> StoredFile | None:
        """`held` (a key means the file in the store) with more that speaks for it.

        None when it is gone, or when other bytes have taken its place. Raises StoreError.
        """
        row = self._core.rows.get(held) if isinstance(held, FileKey) else held
        return None if row is None or not row.sha256 else self._committer.merge(row, evidence)

    def refuse(self, key: FileKey, source: Source, reason: str) -> None:
        """Note that bytes for `key` were not let in, for the log and for `why`."""
        self._core.audit.refused(key, source, reason)
        with suppress(StoreError):
            self._core.notes.add_refusal(Refusal(key, source, reason))

    def refusals(self, module: ModuleVersion) -> list[Refusal]:
        return self._core.notes.refusals(module)

    # Taking out of service

    def zips_page(self, after: FileKey | None) -> tuple[list[HeldZip], FileKey | None]:
        """Blocks a little: the next zips that may have to make room, and where to go on; None at the end.

        Raises StoreError.
        """
        page = self._core.rows.zips(after, PAGE)
        return page, page[-1].key if page else None

    def evict(self, found: HeldZip, reason: str) -> int:
        """Blocks a little: remove a zip for the room that it takes, from the store alone; the bytes that it had.

        0 when it stays, because it was asked for or changed since it was found. Whoever has it open reads on.
        Raises StoreError when it cannot be removed.
        """
        return self._evictor.evict(found, reason)

    def quarantine(self, key: FileKey, reason: str) -> None:
        """Take a held file out of service. Raises StoreError when it cannot be moved away."""
        with self._core.stripe(key.module.path):
            row = self._core.rows.get(key)
            if row is not None:
                self._core.quarantine(row, reason)

    def poison(self, key: FileKey, reason: str) -> None:
        """Two authorities contradict each other about `key`: nothing of its version is served from now on.

        All its files leave modules/. Raises StoreError; the mark is in force even then.
        """
        self._withdrawer.poison(key, reason)

    def absolve(self, module: ModuleVersion) -> bool:
        """A person decided: lift the poison mark. False when there was none."""
        return self._withdrawer.lift(module, State.POISONED)

    def remove(self, module: ModuleVersion) -> RemoveReport:
        """Remove all files of `module` and leave a tombstone. Raises StoreError; the tombstone stands even then."""
        return self._withdrawer.remove(module)

    def allow(self, module: ModuleVersion) -> bool:
        """The user asks for `module` again: lift the tombstone. False when there was none."""
        return self._withdrawer.lift(module, State.REMOVED)

    def check_allowed(self, module: ModuleVersion) -> None:
        """Raises Poisoned or Tombstoned when nothing of `module` may be served, not from the module cache either."""
        self._core.marks.check(module)

    def marks(self, module: ModuleVersion) -> tuple[Mark, ...]:
        return self._core.marks.of(module)
