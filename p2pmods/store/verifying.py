"""Reading a file whose status is not the one of its last verification: verify it again, or take it out of service."""

from __future__ import annotations

import errno
import os
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from p2pmods.errors import MalformedData, ZipRefused
from p2pmods.gomod.info import MAX_INFO
from p2pmods.gomod.module import FileKey, FileKind
from p2pmods.gomod.paths import is_toolchain
from p2pmods.gomod.zipcheck import MAX_GO_MOD
from p2pmods.store import fs
from p2pmods.store.keeping import hash_file
from p2pmods.store.publishing import synthesised_info, synthesised_row
from p2pmods.store.recovery import unknown_file
from p2pmods.store.stored import StoredFile
from p2pmods.trust.evidence import Source, SourceKind
from p2pmods.trust.files import (
    CheckedFile,
    NeedsProof,
    VerifiedFile,
    admit,
    check_info,
    check_mod,
    check_zip,
)

if TYPE_CHECKING:
    from pathlib import Path

    from p2pmods.store.core import Core

_NOT_THE_FILES_FAULT: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM})


class Verifier:
    """All of it blocks for as long as a file takes to read: for worker threads."""

    def __init__(self, core: Core) -> None:
        self._core = core

    def verify(self, key: FileKey, *, thoroughly: bool = False) -> StoredFile | None:
        """The file, right now as it was when it was committed; None when there is none (any more).

        A damaged one is in quarantine afterwards. `thoroughly` reads it even when its status has not changed.
        Raises StoreError when the disk or the index fails so badly that nothing can be said.
        """
        with self._core.stripe(key.module.path):
            row = self._core.rows.get(key)
            known = row or unknown_file(self._core.layout, key, self._core.clock())
            try:
                descriptor, status = fs.open_regular(known.path)
            except (FileNotFoundError, NotADirectoryError):
                self._core.forget([row] if row else [])
                return None
            except OSError as error:
                if error.errno in _NOT_THE_FILES_FAULT:
                    raise fs.store_error("open", known.path, error) from error
                self._core.quarantine(known, f"cannot be opened: {error.strerror}")
                return None
            try:
                if row is not None and not thoroughly and fs.fingerprint(status) == row.fingerprint:
                    return None if row.synthesised else row
                if known.sha256:
                    return self._compare(known, descriptor)
                return self._examine(known, descriptor, status)
            finally:
                os.close(descriptor)

    def _compare(self, row: StoredFile, descriptor: int) -> StoredFile | None:
        """A file that has been verified once must have the same bytes still."""
        before = fs.fingerprint(os.fstat(descriptor))
        try:
            found = hash_file(descriptor)
        except OSError as error:
            self._core.quarantine(row, f"cannot be read: {error.strerror}")
            return None
        after = fs.fingerprint(os.fstat(descriptor))
        if found != row.sha256 or before != after:
            self._core.quarantine(row, f"sha256 is {found}, not {row.sha256} as when it was committed")
            return None
        if row.fingerprint == after:
            return None if row.synthesised else row
        fresh = self._core.rows.update(
            row.key, lambda now: replace(now, fingerprint=after, size=os.fstat(descriptor).st_size)
        )
        return None if fresh is None or fresh.synthesised else fresh

    def _examine(self, found: StoredFile, descriptor: int, status: os.stat_result) -> StoredFile | None:
        """A file of which nothing is known goes through the strict reader, as if it came from the module cache."""
        key, core = found.key, self._core
        source = Source(SourceKind.MODULE_CACHE, str(core.layout.modules), core.clock())
        try:
            if key.kind is FileKind.INFO and fs.pread(descriptor, 0, MAX_INFO) == synthesised_info(key.module):
                core.rows.put(synthesised_row(key, core.layout, synthesised_info(key.module), core.clock(), status))
                return None
            checked = check_file(key, status.st_size, descriptor)
            verified = admit(checked, source, (), require_proof=is_toolchain(key.module.path))
        except (MalformedData, ZipRefused, NeedsProof, OSError) as error:
            core.quarantine(found, f"found without a record of it, and refused: {error}")
            return None
        if fs.fingerprint(os.fstat(descriptor)) != fs.fingerprint(status):
            core.quarantine(found, "changed while it was read")
            return None
        stored = stored_file(verified, found.path, status)
        core.rows.put(stored)
        core.audit.entered(stored)
        core.publish(key.module.path)
        return stored


def check_file(key: FileKey, size: int, descriptor: int) -> CheckedFile:
    """Put the file behind `descriptor` through the checks of its kind. Raises MalformedData, ZipRefused, OSError."""
    match key.kind:
        case FileKind.INFO:
            return check_info(key, fs.pread(descriptor, 0, MAX_INFO + 1))
        case FileKind.MOD:
            return check_mod(key, fs.pread(descriptor, 0, MAX_GO_MOD + 1))
        case FileKind.ZIP:
            return check_zip(
                key, size, lambda offset, length: fs.pread(descriptor, offset, length), from_stranger=False
            )


def stored_file(verified: VerifiedFile, path: Path, status: os.stat_result) -> StoredFile:
    """The row of a file that was just verified and lies at `path`."""
    checked = verified.file
    return StoredFile(
        key=checked.key,
        path=path,
        size=checked.size,
        sha256=checked.sha256,
        h1=checked.h1,
        source=verified.source,
        evidence=verified.evidence,
        fingerprint=fs.fingerprint(status),
    )
