"""What this node has for peers: proven files, those still on their way to the disk too, and small ones.

Nothing leaves that the checksum database does not prove. Of an `.info` only Version and Time leave, beside a file
that is proven.
"""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING, Final

import trio

from p2pmods.errors import MalformedData, SourceError, StoreError, SumdbError
from p2pmods.fetch.outcome import FetchFailed
from p2pmods.gomod.info import for_peers, format_info, parse_info
from p2pmods.gomod.listing import in_order
from p2pmods.gomod.module import FileKey, FileKind, ModuleVersion
from p2pmods.mesh.giving import OpenFile
from p2pmods.store import fs
from p2pmods.swarm.messages import MAX_SMALL, GetSmall, Small, SmallFiles
from p2pmods.wire.proofs import AskRecord, RecordBundle

if TYPE_CHECKING:
    from collections.abc import Callable

    from p2pmods.fetch.checksums import Checksums
    from p2pmods.fetch.fetcher import Fetcher
    from p2pmods.fetch.holdings import Holdings
    from p2pmods.fetch.outcome import Served
    from p2pmods.fetch.proofs import Proofs
    from p2pmods.mesh.policy import SharingPolicy
    from p2pmods.store.store import Store
    from p2pmods.store.stored import StoredFile

MOST_LISTED: Final = 200  # versions of one module that a peer is told of
PROOF_TIME: Final = 15.0  # seconds that a peer's question waits for the proof of what was fetched for it


class Shelf:
    """`fetcher` may be set later than the rest, for it needs the mesh that needs the shelf."""

    def __init__(
        self,
        store: Store,
        checksums: Checksums,
        proofs: Proofs,
        policy: SharingPolicy,
        holdings: Holdings,
        fetcher: Callable[[], Fetcher],
    ) -> None:
        self._store = store
        self._checksums = checksums
        self._proofs = proofs
        self._policy = policy
        self._holdings = holdings
        self._fetcher = fetcher

    def open_file(self, key: FileKey, sha256: str | None) -> OpenFile | None:
        """A proven file that may be given, of any bytes when `sha256` is None; the caller closes it."""
        if not self._policy.may_ask(key.module.path):
            return None
        for stored in self._store.held(key):
            if self._policy.may_give(stored) and sha256 in (None, stored.sha256):
                try:
                    return OpenFile(stored.size, stored.sha256, self._store.open_file(stored))
                except StoreError:
                    continue  # it changed: see look_again
        served = self._fetcher().on_its_way(key)
        if served is None or sha256 not in (None, served.sha256) or not self._is_proven(served):
            return None
        if served.open is not None:
            return OpenFile(served.size, served.sha256, served.open())
        assert served.body is not None
        return OpenFile(served.size, served.sha256, None, served.body)

    async def look_again(self, module: ModuleVersion) -> bool:
        """Verify anew what was changed since it was verified: a copied or restored store is as good as before."""
        changed = [key for kind in (FileKind.MOD, FileKind.ZIP) if self._has_changed(key := FileKey(module, kind))]
        for key in changed:
            with suppress(FetchFailed, StoreError):
                await self._fetcher().get(key, only_held=True)
        return bool(changed)

    def _has_changed(self, key: FileKey) -> bool:
        for stored in self._store.held(key):
            if self._policy.may_give(stored):
                try:
                    os.close(self._store.open_file(stored))
                except StoreError:
                    return True
        return False

    def versions(self, path: str) -> list[str]:
        """The versions of a module whose `.mod` and zip may be given, at most MOST_LISTED of the highest."""
        if not self._policy.may_ask(path) or not self._policy.gives:
            return []
        highest = in_order(self._holdings.deliverable(path))[-MOST_LISTED:]
        return [version for version in highest if self._gives_all(ModuleVersion(path, version))]

    def _gives_all(self, module: ModuleVersion) -> bool:
        kinds = (FileKind.MOD, FileKind.ZIP)
        return all(any(map(self._policy.may_give, self._store.held(FileKey(module, kind)))) for kind in kinds)

    def held_small(self, question: GetSmall) -> Small | None:
        """What is held and may be given of the version; None when the kind that was asked for is not."""
        key = question.key
        small = self._collect(key.module, question)
        wanted = small.files.info if key.kind is FileKind.INFO else small.files.mod
        return small if wanted is not None else None

    async def fetch_small(self, question: GetSmall) -> Small | None:
        """The same, after asking upstream as anybody could. None when that brought nothing that may be given."""
        key = question.key
        proof = self._proofs.start(key.module)  # beside the bytes: whoever asks waits for both
        try:
            await self._fetcher().get_for_peer(key)
            with trio.move_on_after(PROOF_TIME):
                await proof.wait()
        except (FetchFailed, SourceError, SumdbError, StoreError):
            return None
        return self.held_small(question)

    def _collect(self, module: ModuleVersion, question: GetSmall) -> Small:
        mod = self._mod(module)
        info = self._info(module) if mod is not None or self._checksums.held_proof(module) is not None else None
        bundle = None
        if mod is not None or info is not None:
            bundle = self._checksums.reply(
                AskRecord(self._checksums.name, module.path, module.version, question.tree, question.levels)
            )
        return Small(SmallFiles(info, mod), bundle if isinstance(bundle, RecordBundle) else None)

    def _mod(self, module: ModuleVersion) -> bytes | None:
        key = FileKey(module, FileKind.MOD)
        opened = self.open_file(key, None)
        if opened is None:
            return None
        with opened:
            if opened.size > MAX_SMALL:
                return None
            return opened.read(0, opened.size)

    def _info(self, module: ModuleVersion) -> bytes | None:
        key = FileKey(module, FileKind.INFO)
        data = self._small_bytes(key)
        if data is None:
            return None
        try:
            body = format_info(for_peers(parse_info(data)))
        except MalformedData:
            return None
        return body if len(body) <= MAX_SMALL else None

    def _small_bytes(self, key: FileKey) -> bytes | None:
        served = self._fetcher().on_its_way(key)
        if served is not None:
            return served.body
        for stored in self._store.held(key):
            try:
                return self._read(stored)
            except (StoreError, OSError):
                continue
        return None

    def _read(self, stored: StoredFile) -> bytes:
        descriptor = self._store.open_file(stored)
        try:
            return fs.pread(descriptor, 0, stored.size)
        finally:
            os.close(descriptor)

    def _is_proven(self, served: Served) -> bool:
        """Its own evidence says so, or a proof that came since."""
        if served.proven:
            return True
        proof = self._checksums.held_proof(served.key.module)
        h1 = None if proof is None else {FileKind.MOD: proof.mod_h1, FileKind.ZIP: proof.zip_h1}.get(served.key.kind)
        return h1 is not None and h1 == served.h1
