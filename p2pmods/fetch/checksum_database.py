"""The checksum database as this node serves it: lookups and tiles that every client can merge, and proofs.

Every answer is made of held parts that were proven against one signed head S: the record with the note of S, tiles
cut to the width that is asked. What is missing is fetched once, however many ask, and proven before it is used.
"""

from __future__ import annotations

import contextlib
from functools import partial
from typing import TYPE_CHECKING, Final

import trio

from p2pmods.errors import MalformedData, NotFound, StoreError, SumdbError
from p2pmods.fetch.checksum_clients import LocalClients
from p2pmods.fetch.checksum_heads import Heads
from p2pmods.fetch.checksum_log import CheckedLog
from p2pmods.fetch.checksum_meeting import PeerHeads
from p2pmods.fetch.checksum_peers import NoPeers, PeerChecksumSource, levels_wanted
from p2pmods.fetch.checksum_records import ProvenRecord, Records
from p2pmods.fetch.checksum_remote import RemoteLog, SumdbSource
from p2pmods.fetch.checksum_serving import Replies
from p2pmods.fetch.checksum_sources import Sources
from p2pmods.fetch.checksums import Alarm, ChecksumStatistics
from p2pmods.store.checksum_files import ChecksumFiles
from p2pmods.sumdb.note import parse_verifier
from p2pmods.sumdb.records import Proof, format_lookup
from p2pmods.sumdb.tiles import parse_tile_path
from p2pmods.sumdb.tlog import HASH_SIZE, leaf_hash

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from p2pmods.fetch.checksum_meeting import PeerHead
    from p2pmods.gomod.module import ModuleVersion
    from p2pmods.sumdb.tiles import Tile
    from p2pmods.wire.proofs import Question, RecordBundle, Reply

LOOK_AT_CLIENTS: Final = 60.0  # seconds between looks at the heads that local clients hold


class DatabaseChecksums:
    """The database with the verifier key `key` (`name+hash+key`), kept below `data`, reached through `source`.

    `url` is the one that GOSUMDB may give it: then it is asked there and nowhere else.
    `gopath` and `module_cache` (GOMODCACHE) are the local go commands'; `nursery` runs the fetches that requests
    share, and must outlive this object. `on_alarm` is told once when the database is caught contradicting itself.
    `peers` are asked for what the source cannot deliver, and hear only of module paths that `may_name` allows.
    """

    def __init__(
        self,
        key: str,
        *,
        data: Path,
        source: SumdbSource,
        nursery: trio.Nursery,
        url: str | None = None,
        gopath: Path | None = None,
        module_cache: Path | None = None,
        on_alarm: Callable[[Alarm], None] = lambda _: None,
        peers: PeerChecksumSource | None = None,
        may_name: Callable[[str], bool] = lambda _: False,
    ) -> None:
        verifier = parse_verifier(key)
        files = ChecksumFiles(data, verifier.name)
        remote = RemoteLog(verifier.name, source, url)
        clients = LocalClients(verifier, gopath, module_cache)
        log = CheckedLog(verifier, files, clients.directory, nursery=nursery, on_alarm=on_alarm)
        sources = Sources(log, remote, peers or NoPeers(), may_name, nursery)
        heads = Heads(verifier, log, sources, clients, nursery=nursery)
        self.name = verifier.name
        self._files = files
        self._remote = remote
        self._log = log
        self._heads = heads
        self._sources = sources
        self._records = Records(verifier, files, sources, clients.directory, log, heads, nursery=nursery)
        self._replies = Replies(log, self._records, may_name)
        self._peer_heads = PeerHeads(verifier, log, heads, sources)

    async def supported(self) -> None:
        await self._heads.need()

    async def latest(self) -> bytes:
        return (await self._heads.need()).note

    async def lookup(self, module: ModuleVersion) -> bytes:
        proven = await self._records.get(module)
        return format_lookup(proven.record, (await self._heads.need()).note)

    async def prove(self, module: ModuleVersion) -> Proof:
        return self._proof(await self._records.get(module))

    def held_proof(self, module: ModuleVersion) -> Proof | None:
        held = self._records.held(module)
        return None if held is None else self._proof(held)

    async def tile(self, path: str) -> bytes:
        is_data = path.startswith("8/data/")
        try:
            tile = parse_tile_path(path.replace("8/data/", "8/0/", 1) if is_data else path)
        except MalformedData as error:
            raise NotFound(self.name, str(error)) from error
        await self._heads.reach(tile)
        hashes = (await self._sources.use(partial(self._log.tile, tile.position)))[: tile.size]
        return await self._data_tile(tile, hashes) if is_data else hashes

    async def receive(self, module: ModuleVersion, bundle: RecordBundle, node_id: str) -> Proof:
        return self._proof(await self._records.receive(module, bundle, node_id))

    def reply(self, question: Question) -> Reply:
        return self._replies.reply(question)

    def stand(self) -> tuple[int, int]:
        return self._log.head.size if self._log.head else 0, levels_wanted(self._log)

    async def note_peer_head(self, note: bytes, node_id: str) -> PeerHead:
        return await self._peer_heads.note(note, node_id)

    async def follow_clients(self) -> None:
        """Join the head that a local go command holds now; `statistics().problem` says why when that fails."""
        await self._heads.follow_clients()

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        await self._records.count_held()
        await self._heads.follow_clients(here=True)
        task_status.started()
        while True:
            await self.follow_clients()
            with contextlib.suppress(StoreError):
                await trio.to_thread.run_sync(self._files.flush)
            await trio.sleep(LOOK_AT_CLIENTS)

    def statistics(self) -> ChecksumStatistics:
        head, alarm = self._log.head, self._log.alarm
        return ChecksumStatistics(
            self.name,
            "frozen" if alarm else "ok" if head else "unreached",
            head.size if head else None,
            self._records.count,
            len(self._log.heads),
            alarm,
            self._files.problem or self._heads.problem,
        )

    def _proof(self, proven: ProvenRecord) -> Proof:
        head = self._log.head
        assert head is not None
        return Proof(self.name, proven.record.id, head.size, proven.hashes.mod_h1, proven.hashes.zip_h1)

    async def _data_tile(self, tile: Tile, hashes: bytes) -> bytes:
        """The records' texts under `tile`, from upstream, each of them with the hash that the log holds for it."""
        try:
            data = await self._remote.data_tile(tile)
        except MalformedData as error:
            raise SumdbError(f"{self.name}: {error}") from error
        texts = data.removesuffix(b"\n\n").split(b"\n\n")
        leaves = b"".join(leaf_hash(text + b"\n") for text in texts)
        if len(leaves) != tile.width * HASH_SIZE or leaves != hashes:
            raise SumdbError(f"{self.name}: the records of tile/{tile.path} are not those of the log")
        return data
