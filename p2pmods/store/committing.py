"""How a verified file gets its place: old or new afterwards, never torn, whatever happens in between.

Temp in the store's file system → verified from the file (by the caller, who then holds a VerifiedFile) → exact
length → fsync → rename → fsync of the directory → index row → log line → `list`. A crash before the rename leaves a
temp that the next start sweeps; one after it leaves a whole file without a row, which its first read verifies anew.
"""

from __future__ import annotations

import hashlib
import os
import uuid
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from p2pmods.errors import HashMismatch, StoreError
from p2pmods.gomod.module import FileKey, FileKind
from p2pmods.gomod.paths import is_toolchain
from p2pmods.store import fs
from p2pmods.store.adopting import adopt
from p2pmods.store.keeping import hash_file
from p2pmods.store.stored import StoredFile, rank
from p2pmods.store.temp import TempFile
from p2pmods.store.verifying import Verifier, stored_file
from p2pmods.trust.evidence import Evidence, SumdbProof

if TYPE_CHECKING:
    from p2pmods.store.core import Core
    from p2pmods.trust.files import VerifiedFile

MAX_EVIDENCE: Final = 16  # statements kept for one file

Content = TempFile | bytes | Path


class Committer:
    """Blocks while the disk syncs: for worker threads."""

    def __init__(self, core: Core, verifier: Verifier) -> None:
        self._core = core
        self._verifier = verifier

    def commit(self, verified: VerifiedFile, content: Content) -> StoredFile:
        """See `Store.commit`."""
        key = verified.key
        if is_toolchain(key.module.path) and key.kind is not FileKind.INFO and not verified.proven:
            raise StoreError(f"{key}: a toolchain is never kept without a proof")
        with self._core.stripe(key.module.path):
            self._core.marks.check(key.module)
            held = self._held_instead(verified)
            if held is not None:
                if isinstance(content, TempFile):
                    content.discard()
                return held
            try:
                stored = self._place(verified, content)
                self._core.rows.put(stored)
            except StoreError as error:
                self._core.trouble = str(error)
                raise
            self._core.trouble = None
            self._core.audit.entered(stored)
            self._core.publish(key.module.path)
            return stored

    def _held_instead(self, verified: VerifiedFile) -> StoredFile | None:
        """The file that is held already and stays, now with the new evidence too when it is the same."""
        row = self._core.rows.get(verified.key)
        if row is None or row.synthesised or not row.sha256:
            return None
        held = self._verifier.verify(verified.key)
        if held is None:
            return None
        checked = verified.file
        # One h1 has many byte forms: the go command cannot tell them apart, so the first one stays.
        if held.sha256 == checked.sha256 or (held.h1 is not None and held.h1 == checked.h1):
            return self.merge(held, verified.evidence)
        if rank(verified.evidence) <= rank(held.evidence):
            self._core.audit.refused(verified.key, verified.source, "other bytes with better evidence are held")
            return held
        if held.key.kind is FileKind.INFO:
            self._core.generation += 1  # no hash covers it, so other bytes accuse nobody: they are just replaced
            return None
        self._core.quarantine(held, f"other bytes with better evidence came from {verified.source.id}")
        return None

    def merge(self, held: StoredFile, evidence: tuple[Evidence, ...]) -> StoredFile | None:
        """`held` with `evidence` added to its row; None when that is gone, or of other bytes. Raises StoreError."""
        rows, key, place = self._core.rows, held.key, held.in_module_cache
        before = rows.get(key, in_module_cache=place)
        if before is None or not _is_same(before, held):
            return None
        if merged(before.evidence, evidence) == before.evidence:
            return before

        def add(row: StoredFile) -> StoredFile:
            return replace(row, evidence=merged(row.evidence, evidence)) if _is_same(row, held) else row

        after = rows.update(key, add, in_module_cache=place)
        if after is None or not _is_same(after, held):
            return None
        if not place:
            self._core.audit.proved(after)
        return after

    def _place(self, verified: VerifiedFile, content: Content) -> StoredFile:
        target = self._core.layout.file(verified.key)
        try:
            fs.make_directories(self._core.layout.modules, target.parent)
            match content:
                case TempFile():
                    self._place_temp(verified, content, target)
                case bytes():
                    self._place_bytes(verified, content, target)
                case Path():
                    self._place_external(verified, content, target)
            status = self._settle(target)
        except OSError as error:
            raise fs.store_error("commit", target, error) from error
        stored = stored_file(verified, target, status)
        if isinstance(content, Path):
            self._refresh_module_cache_row(verified.key, content, stored)
        return stored

    def _settle(self, target: Path) -> os.stat_result:
        try:
            fs.sync_directory(target.parent)
            return os.lstat(target)
        except OSError:
            fs.remove(target)  # whether the new name is on the disk is unknown: discard, never sync again
            raise

    def _place_temp(self, verified: VerifiedFile, temp: TempFile, target: Path) -> None:
        if temp.trouble is not None:
            raise temp.trouble
        if temp.size != verified.file.size:
            raise StoreError(f"{temp.path}: {temp.size} bytes, but {verified.file.size} were verified")
        temp.sync()
        temp.check_identity()
        temp.move_to(target)

    def _place_bytes(self, verified: VerifiedFile, data: bytes, target: Path) -> None:
        _check_hash(verified, hashlib.sha256(data).hexdigest())
        with TempFile(self._core.layout.tmp) as temp:
            temp.write(data)
            self._place_temp(verified, temp, target)

    def _place_external(self, verified: VerifiedFile, source: Path, target: Path) -> None:
        """Hashes again what it took: since the caller's check the name may have come to mean another file."""
        temporary = self._core.layout.tmp / f"{uuid.uuid4().hex}.adopted"
        try:
            adopt(source, temporary)
            descriptor, before = fs.open_regular(temporary)
            try:
                found = hash_file(descriptor)
                after = os.fstat(descriptor)
            finally:
                os.close(descriptor)
            _check_hash(verified, found)
            if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
                raise StoreError(f"{source} is being written to")
            os.replace(temporary, target)  # noqa: PTH105
        except BaseException:
            fs.remove(temporary)
            raise

    def _refresh_module_cache_row(self, key: FileKey, source: Path, stored: StoredFile) -> None:
        """A hard link moves the ctime of the file in the module cache: its row must not look changed for that."""
        try:
            fingerprint = fs.fingerprint(source.lstat())
            self._core.rows.update(
                key,
                lambda row: replace(row, fingerprint=fingerprint) if row.sha256 == stored.sha256 else row,
                in_module_cache=True,
            )
        except (OSError, StoreError):
            return  # it is verified again, no more


def _is_same(row: StoredFile, held: StoredFile) -> bool:
    return (row.sha256, row.h1) == (held.sha256, held.h1)


def _check_hash(verified: VerifiedFile, found: str) -> None:
    if found != verified.file.sha256:
        raise HashMismatch(str(verified.key), verified.file.sha256, found, "the verification before the commit")


def merged(old: tuple[Evidence, ...], new: tuple[Evidence, ...]) -> tuple[Evidence, ...]:
    """Both, each statement once, and of one database the newest proof; at most MAX_EVIDENCE, proofs first."""
    databases = {item.database for item in new if isinstance(item, SumdbProof)}
    kept = [item for item in old if not (isinstance(item, SumdbProof) and item.database in databases)]
    both = dict.fromkeys((*kept, *new))
    return tuple(sorted(both, key=lambda item: not item.proven))[:MAX_EVIDENCE]
