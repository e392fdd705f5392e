"""From bytes that arrived to bytes that are kept and answered: check, ask what the database says, admit, commit."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

import structlog
import trio

from p2pmods.errors import (
    HashMismatch,
    MalformedData,
    Poisoned,
    Refused,
    SourceError,
    StoreError,
    Tombstoned,
    Unavailable,
    ZipRefused,
)
from p2pmods.fetch.alarms import Alarms, Contradiction
from p2pmods.fetch.outcome import Served
from p2pmods.gomod.module import FileKey, FileKind
from p2pmods.gomod.paths import is_toolchain
from p2pmods.store import fs
from p2pmods.store.temp import TempFile
from p2pmods.store.verifying import check_file
from p2pmods.trust.evidence import Source, SourceKind, SumdbProof
from p2pmods.trust.files import CheckedFile, NeedsProof, VerifiedFile, admit, check_info, check_mod, check_zip

if TYPE_CHECKING:
    from p2pmods.fetch.proofs import Proofs
    from p2pmods.fetch.writing import Writing
    from p2pmods.store.store import Store
    from p2pmods.store.stored import StoredFile
    from p2pmods.trust.files import Statement

log = structlog.get_logger()

SMALL: Final = 256 << 10  # bytes; a `.mod` or `.info` up to this size is answered from memory
VERIFIERS: Final = 2  # worker threads that hash zips: one a core of a small machine

Content = TempFile | bytes | Path


class Intake:
    """The only way into the store. Every method raises a SourceError that says why the bytes were not let in."""

    def __init__(self, store: Store, proofs: Proofs, alarms: Alarms, writing: Writing) -> None:
        self._store = store
        self._proofs = proofs
        self._alarms = alarms
        self._writing = writing
        self._verifiers = trio.CapacityLimiter(VERIFIERS)

    async def take_small(self, key: FileKey, data: bytes, source: Source) -> Served:
        """An `.info` or `.mod` that `source` delivered."""
        try:
            checked = check_info(key, data) if key.kind is FileKind.INFO else check_mod(key, data)
        except MalformedData as error:
            raise self._refused(key, source, error) from error
        return await self._keep(checked, source, data)

    async def take_zip(self, key: FileKey, content: TempFile | bytes, source: Source) -> Served:
        """A zip that `source` delivered, hashed whole before anyone gets a byte.

        A TempFile is still the caller's when this raises, and used up when it returns.
        """
        try:
            stranger = source.kind is SourceKind.PEER
            checked = await trio.to_thread.run_sync(_check_received, key, content, stranger, limiter=self._verifiers)
        except ZipRefused as error:
            raise self._refused(key, source, error) from error
        except StoreError as error:
            raise Unavailable("store", str(error)) from error
        return await self._keep(checked, source, content)

    async def take_external(self, key: FileKey, path: Path, source: Source) -> Served:
        """A file of the user's module cache, which is linked into the store when it passes."""
        try:
            checked = await trio.to_thread.run_sync(_check_external, key, path, limiter=self._verifiers)
        except (MalformedData, ZipRefused) as error:
            raise self._refused(key, source, error) from error
        except OSError as error:
            raise Unavailable(source.id, f"cannot be read: {error.strerror}") from error
        return await self._keep(checked, source, path)

    def from_store(self, stored: StoredFile, source: SourceKind = SourceKind.STORE) -> Served:
        """A held file as an answer. Raises StoreChanged when it changes at this moment, StoreError."""
        body, opener = None, None
        if stored.key.kind is not FileKind.ZIP and stored.size <= SMALL:
            body = self._read(stored)
        else:
            opener = partial(self._store.open_file, stored)
        return Served(stored.key, source, stored.size, stored.sha256, stored.h1, stored.proven, True, body, opener)

    def _read(self, stored: StoredFile) -> bytes:
        descriptor = self._store.open_file(stored)
        try:
            return fs.pread(descriptor, 0, stored.size)
        except OSError as error:
            raise fs.store_error("read", stored.path, error) from error
        finally:
            os.close(descriptor)

    async def _keep(self, checked: CheckedFile, source: Source, content: Content) -> Served:
        key = checked.key
        is_from_peer = source.kind is SourceKind.PEER
        statements = await self._proofs.statements(key, is_needed=is_from_peer)
        try:
            verified = admit(checked, source, statements, require_proof=is_toolchain(key.module.path))
        except HashMismatch as error:
            reason = f"its bytes hash to {error.got}, the checksum database says {error.want}"
            if is_from_peer:  # nobody signed it: an alarm that any peer can raise would be a weapon
                self._store.refuse(key, source, reason)
            else:
                await trio.to_thread.run_sync(self._contradicted, checked, source, statements, content)
            raise Refused(source.id, reason) from error
        except NeedsProof as error:
            what = "what a peer gives" if is_from_peer else "a toolchain"
            raise Unavailable(source.id, f"{what} is served only with its proof; there is none now") from error
        return await self._into_store(verified, content)

    async def _into_store(self, verified: VerifiedFile, content: Content) -> Served:
        served = await self._writing.put(verified, content)
        if not isinstance(content, Path):
            return served
        try:
            stored = await self._store.get(verified.key)  # what was read there may be another file by now
            if stored is not None and stored.sha256 == verified.file.sha256:
                return self.from_store(stored, verified.source.kind)
        except (Poisoned, Tombstoned) as error:
            raise Refused("store", str(error)) from error
        except StoreError as error:
            raise Unavailable("store", str(error)) from error
        raise Unavailable(verified.source.id, "it could not be linked into the store, or changed meanwhile")

    def _refused(self, key: FileKey, source: Source, error: MalformedData | ZipRefused) -> SourceError:
        self._store.refuse(key, source, str(error))
        return (Refused if source.kind is SourceKind.PEER else Unavailable)(source.id, str(error))

    def _contradicted(
        self, checked: CheckedFile, source: Source, statements: list[Statement], content: Content
    ) -> None:
        for statement in statements:
            if isinstance(statement.evidence, SumdbProof) and checked.h1 is not None:
                found = Contradiction(checked.key, statement.h1, checked.h1, statement.evidence, source)
                self._alarms.contradicted(found, _blob(content))


def _check_received(key: FileKey, content: TempFile | bytes, from_stranger: bool) -> CheckedFile:
    if isinstance(content, TempFile):
        return check_zip(key, content.size, content.pread, from_stranger=from_stranger)
    return check_zip(key, len(content), lambda at, length: content[at : at + length], from_stranger=from_stranger)


def _check_external(key: FileKey, path: Path) -> CheckedFile:
    descriptor, status = fs.open_regular(path)
    try:
        return check_file(key, status.st_size, descriptor)
    finally:
        os.close(descriptor)


def _blob(content: Content) -> bytes | Path | None:
    """What of `content` can be kept as evidence: nothing when the disk was too full to receive it into the store."""
    if isinstance(content, TempFile):
        return content.path if content.trouble is None else None
    return content
