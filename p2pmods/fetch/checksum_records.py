"""Records of the checksum database: held ones judged each time they are loaded, missing ones fetched and proven."""

from __future__ import annotations

import contextlib
from collections import OrderedDict
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final

import trio

from p2pmods.errors import MalformedData, PeerError, SourceError, StoreError, SumdbError, SumdbSecurityError
from p2pmods.fetch.sharing import Sharing
from p2pmods.sumdb.database import check_record
from p2pmods.sumdb.records import Record, RecordHashes, format_lookup, parse_lookup, record_hashes
from p2pmods.sumdb.tlog import open_head

if TYPE_CHECKING:
    from p2pmods.fetch.checksum_heads import Heads
    from p2pmods.fetch.checksum_log import CheckedLog
    from p2pmods.fetch.checksum_remote import LogSource
    from p2pmods.fetch.checksum_sources import Sources
    from p2pmods.gomod.module import ModuleVersion
    from p2pmods.store.checksum_files import ChecksumFiles
    from p2pmods.store.sumdb_directory import SumdbDirectory
    from p2pmods.sumdb.note import Verifier
    from p2pmods.wire.proofs import RecordBundle

IN_MEMORY: Final = 4096
ATTEMPTS: Final = 2  # of an answer that proves nothing; the source itself tries again what did not arrive


@dataclass(frozen=True, slots=True)
class ProvenRecord:
    """A record whose inclusion in S was checked, and what it states about the module version it was looked up for."""

    record: Record
    hashes: RecordHashes


class Records:
    """The records of one database, each proven against the S of `log`."""

    def __init__(
        self,
        verifier: Verifier,
        files: ChecksumFiles,
        sources: Sources,
        clients: SumdbDirectory | None,
        log: CheckedLog,
        heads: Heads,
        *,
        nursery: trio.Nursery,
    ) -> None:
        self._verifier = verifier
        self._files = files
        self._sources = sources
        self._clients = clients
        self._log = log
        self._heads = heads
        self._sharing: Sharing[ProvenRecord] = Sharing(nursery, (SourceError, SumdbError))
        self._proven: OrderedDict[ModuleVersion, ProvenRecord] = OrderedDict()
        self.count = 0

    def held(self, module: ModuleVersion) -> ProvenRecord | None:
        """The record when it and all that proves it are here and whole, else None."""
        if module in self._proven:
            self._proven.move_to_end(module)
            return self._proven[module]
        answer = self._files.lookup(module)
        if answer is None:
            return None
        try:
            record, _ = parse_lookup(answer)
            hashes = record_hashes(record, module)
            tile = self._log.held_tile((0, record.id >> 8))
            if tile is None:
                return None
            check_record(record, tile)
        except MalformedData:
            return None  # damaged: fetched again
        return self._remember(module, ProvenRecord(record, hashes))

    async def get(self, module: ModuleVersion) -> ProvenRecord:
        """The record, fetched when it is not held. Errors as of Checksums.lookup."""
        held = self.held(module)
        if held is not None:
            return held
        return await self._sharing.get(module, lambda: self._fetch(module))

    async def count_held(self) -> None:
        """Count the lookup answers on disk, once, at start."""
        self.count = await trio.to_thread.run_sync(self._files.count_lookups)

    async def receive(self, module: ModuleVersion, bundle: RecordBundle, node_id: str) -> ProvenRecord:
        """The record, from a peer's bundle when it is not held. Errors as of Checksums.receive."""
        held = self.held(module)
        if held is not None:
            return held
        self._log.refuse_when_frozen()
        return await self._sources.with_peer(node_id, partial(self._from_source, module), bundle)

    async def _fetch(self, module: ModuleVersion) -> ProvenRecord:
        self._log.refuse_when_frozen()
        return await self._sources.use(partial(self._fetch_with, module), module)

    async def _fetch_with(self, module: ModuleVersion, source: LogSource) -> ProvenRecord:
        return await self._from_clients(module, source) or await self._from_source(module, source)

    async def _from_clients(self, module: ModuleVersion, source: LogSource) -> ProvenRecord | None:
        answer = self._clients.lookup(module) if self._clients else None
        if answer is None:
            return None
        try:
            return await self._accept(module, answer, source, here=True)
        except SumdbSecurityError:
            raise
        except (MalformedData, PeerError, SourceError, SumdbError):
            return None  # stale or torn: the source itself is asked

    async def _from_source(self, module: ModuleVersion, source: LogSource) -> ProvenRecord:
        for attempt in range(1, ATTEMPTS + 1):
            try:
                return await self._accept(module, await source.lookup(module), source, here=False)
            except MalformedData as error:
                if attempt == ATTEMPTS:
                    raise SumdbError(f"{self._log.name}: {module}: {error}") from error
        raise AssertionError("the last attempt returns or raises")

    async def _accept(self, module: ModuleVersion, answer: bytes, source: LogSource, *, here: bool) -> ProvenRecord:
        """Verify a lookup answer from anywhere and keep it. MalformedData when it is not what it should be."""
        record, note = parse_lookup(answer)
        hashes = record_hashes(record, module)
        head = open_head(note, self._verifier)
        if record.id >= head.size:
            raise MalformedData("lookup answer", f"record {record.id} comes with a tree of size {head.size}")
        await self._heads.cover(record.id, head, source, here=here)
        check_record(record, await self._log.tile((0, record.id >> 8), source))
        await self._keep(module, record)
        return self._remember(module, ProvenRecord(record, hashes))

    async def _keep(self, module: ModuleVersion, record: Record) -> None:
        """Write it with the note of S, which is in H; a full disk does not keep a proven record from being used."""
        head = self._log.head
        assert head is not None
        self.count += self._files.lookup(module) is None
        with contextlib.suppress(StoreError):
            await trio.to_thread.run_sync(self._files.save_lookup, module, format_lookup(record, head.note))

    def _remember(self, module: ModuleVersion, proven: ProvenRecord) -> ProvenRecord:
        self._proven[module] = proven
        if len(self._proven) > IN_MEMORY:
            self._proven.popitem(last=False)
        return proven
