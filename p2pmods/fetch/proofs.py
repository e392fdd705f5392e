"""A checksum-database proof for every public `.mod` and zip that is held, though no client asks for it.

A client that has a go.sum never asks the database for what go.sum lists. So the node fetches each record by
itself: beside the bytes when they arrive, else from the store's durable queue, which resumes at start and lets a
build that fetches hundreds of files go first. A proof that contradicts the bytes always wins, also when it comes
late: the bytes leave the store and an alarm stays.
"""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Final

import structlog
import trio

from p2pmods.errors import NotFound, SourceError, StoreError, SumdbError
from p2pmods.fetch.alarms import Alarms, Contradiction, Receivers
from p2pmods.fetch.sharing import Sharing, Work
from p2pmods.gomod.module import FileKey, FileKind, ModuleVersion
from p2pmods.gomod.paths import is_toolchain
from p2pmods.trust.evidence import SumdbProof
from p2pmods.trust.files import Statement

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from p2pmods.fetch.checksums import Checksums, Proof
    from p2pmods.fetch.storm import Storm
    from p2pmods.store.store import Store, StoredFile
    from p2pmods.trust.files import VerifiedFile

ANSWER_WAIT: Final = 0.25  # seconds that an answer waits at most for the proof of its bytes
NEEDED_WAIT: Final = 60.0  # seconds: toolchains and what peers gave are never served without their proof
AT_ONCE: Final = 16  # proofs under way from the queue
BATCH: Final = 256  # module versions taken from the queue at once
PAUSE: Final = 30.0  # seconds until the queue is looked at again when nothing wakes it
_NO_RECORD: Final = 24 * 3600.0  # seconds until a module is asked about again that the database has no record of
_LATER: Final = 60.0  # seconds until the next try when the database could not be reached
_EXPECTED: Final = (SourceError, SumdbError)

log = structlog.get_logger()


def statement_for(key: FileKey, proof: Proof) -> Statement | None:
    """What `proof` says about the h1 of this file; None for an `.info`, or when the record has no such line."""
    h1 = {FileKind.MOD: proof.mod_h1, FileKind.ZIP: proof.zip_h1}.get(key.kind)
    return None if h1 is None else Statement(h1, SumdbProof(proof.database, proof.record_id, proof.tree))


class Proofs:
    """Gets proofs, shares identical requests for them, and settles them with what is held."""

    def __init__(
        self,
        store: Store,
        checksums: Checksums,
        alarms: Alarms,
        receivers: Receivers,
        storm: Storm,
        *,
        is_public: Callable[[str], bool],
        nursery: trio.Nursery,
    ) -> None:
        self._store = store
        self._checksums = checksums
        self._alarms = alarms
        self._receivers = receivers
        self._is_public = is_public
        self._sharing: Sharing[Proof] = Sharing(nursery, _EXPECTED)
        self._nursery = nursery
        self._woken = trio.Event()
        self._storm = storm
        self._off = checksums.statistics().state == "off"

    def is_wanted(self, key: FileKey) -> bool:
        """Whether the database is asked about this file: a `.mod` or zip whose path is public."""
        return not self._off and key.kind is not FileKind.INFO and self._is_public(key.module.path)

    def start(self, module: ModuleVersion) -> Work[Proof]:
        """Begin, or join, the search for this module version's record; what is held is settled when it is found."""
        return self._sharing.start(module, partial(self._prove, module))

    async def statements(self, key: FileKey, *, is_needed: bool = False) -> list[Statement]:
        """What the database says about `key`, as far as it can be known within the time an answer may wait.

        In a storm an answer waits for nothing that go checks for itself: the queue gets the proof right after.
        `is_needed`: without it the bytes are worth nothing, as those of toolchains always are.
        """
        if not self.is_wanted(key):
            return []
        proof = self._checksums.held_proof(key.module)
        urgent = is_needed or is_toolchain(key.module.path)
        if proof is None and (urgent or not self._storm.is_on(now=trio.current_time())):
            with trio.move_on_after(NEEDED_WAIT if urgent else ANSWER_WAIT):
                try:
                    proof = await self.start(key.module).wait()
                except _EXPECTED as error:
                    log.debug("no proof beside the bytes", file=str(key), reason=str(error))
        statement = None if proof is None else statement_for(key, proof)
        return [] if statement is None else [statement]

    def begin(self, key: FileKey) -> None:
        """`key` is about to be fetched from outside: have its proof arrive beside the bytes, but in a storm."""
        now = trio.current_time()
        self._storm.note(now=now)
        if self.is_wanted(key) and not self._storm.is_on(now=now):
            self.start(key.module)

    def committed(self, verified: VerifiedFile) -> None:
        """When it came in without its proof, let the queue look; a proof that came since is held against it now."""
        key = verified.key
        if verified.proven or not self.is_wanted(key):
            return
        self._woken.set()
        if self._checksums.held_proof(key.module) is not None:
            self._sharing.start(key, partial(self._prove, key.module))

    def wake(self) -> None:
        """Let the queue look: files without proof may have been found."""
        self._woken.set()

    def count_unproven(self) -> int:
        """How many public `.mod`s and zips in the store or the module cache have no proof. Raises StoreError."""
        if self._off:
            return sum(self._store.unproven_by_path().values())
        return sum(count for path, count in self._store.unproven_by_path().items() if self._is_public(path))

    async def prove_all(self, modules: Sequence[ModuleVersion], *, within: float) -> int:
        """Have proofs for what is held of these, in `within` seconds at most: how many files are without one then.

        Raises StoreError.
        """
        unproven = [module for module in modules if self._unproven(module)]
        limiter = trio.CapacityLimiter(AT_ONCE)

        async def prove(module: ModuleVersion) -> None:
            async with limiter:
                with suppress(*_EXPECTED):
                    await self.start(module).wait()

        with trio.move_on_after(within):
            async with trio.open_nursery() as nursery:
                for module in unproven:
                    nursery.start_soon(prove, module)
        return sum(map(self._unproven, unproven))

    def _unproven(self, module: ModuleVersion) -> int:
        """How many of its held files want a proof and have none."""
        wanted = [key for kind in (FileKind.MOD, FileKind.ZIP) if self.is_wanted(key := FileKey(module, kind))]
        held = [self._store.held(key) for key in wanted]
        return sum(bool(files) and not any(file.proven for file in files) for files in held)

    async def _prove(self, module: ModuleVersion) -> Proof:
        proof = await self._checksums.prove(module)
        await self.settle(module, proof)
        return proof

    async def settle(self, module: ModuleVersion, proof: Proof) -> None:
        """Attach `proof` to the held files of `module`, or take those that it contradicts out of service."""
        for kind in (FileKind.MOD, FileKind.ZIP):
            key = FileKey(module, kind)
            statement = statement_for(key, proof)
            if statement is None:
                continue
            try:
                found = self._store.held(key)
            except StoreError as error:
                log.warning("a proof could not be held against the file", file=str(key), error=str(error))
                continue
            for held in found:
                if held.h1 is not None:
                    await self._settle_file(held, statement)

    async def _settle_file(self, held: StoredFile, statement: Statement) -> None:
        assert isinstance(statement.evidence, SumdbProof)
        try:
            if held.h1 == statement.h1:
                if not held.proven:
                    self._store.add_evidence(held, statement.evidence)
                    self._receivers.forget(held.key)
                return
            assert held.h1 is not None
            found = Contradiction(held.key, statement.h1, held.h1, statement.evidence, held.source)
            await trio.to_thread.run_sync(self._take_out, held, found)
        except StoreError as error:
            log.warning("a proof could not be recorded", file=str(held.key), error=str(error))

    def _take_out(self, held: StoredFile, found: Contradiction) -> None:
        self._alarms.contradicted(found, held.path)
        if held.proven:
            self._store.poison(held.key, "the checksum database has stated two hashes for it")
        elif not held.in_module_cache:  # that one is go's to keep; we refuse it each time it is asked for
            self._store.quarantine(held.key, "contradicts the checksum database")

    async def calm(self) -> None:
        """Until what can wait may go on: a build that fetches as fast as it can goes first, for a while."""
        while pause := self._storm.wait(now=trio.current_time()):  # noqa: ASYNC110 - it waits for silence
            await trio.sleep(pause)

    async def run(self) -> None:
        """Work through the durable queue until cancelled."""
        while not self._off:
            self._woken = trio.Event()
            try:
                await self._round()
            except* StoreError as errors:
                log.warning("the queue of proofs cannot be used", error=str(errors.exceptions[0]))
            with trio.move_on_after(PAUSE):
                await self._woken.wait()

    async def _round(self) -> None:
        limiter = trio.CapacityLimiter(AT_ONCE)
        while modules := self._store.unproven_due(BATCH, self._is_public):
            async with trio.open_nursery() as nursery:
                for module in modules:
                    nursery.start_soon(self._prove_queued, module, limiter)

    async def _prove_queued(self, module: ModuleVersion, limiter: trio.CapacityLimiter) -> None:
        """Whatever comes of it, the module leaves the front of the queue."""
        async with limiter:
            await self.calm()
            try:
                await self.start(module).wait()
                self._store.postpone_proof(module, seconds=_NO_RECORD, reason="the record has no line for it")
            except NotFound as error:
                self._store.postpone_proof(module, seconds=_NO_RECORD, reason=error.reason)
            except StoreError:
                raise
            except Exception as error:  # also a fault of ours (it is logged): the rest of the queue must not wait
                self._store.postpone_proof(module, seconds=_LATER, reason=str(error))
