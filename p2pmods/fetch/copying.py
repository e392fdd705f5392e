"""A seed at work: it gets copies of what others fetched, from those who have it, so that they may go home.

Nothing is asked of an upstream: whoever told the seed paid for the one upstream copy. A copy is verified and proven
as everything that peers give. Two are got at once, after the builds of the moment, and none while this node gives to
many, or gives nothing itself.
"""

from __future__ import annotations

import shutil
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import structlog
import trio

from p2pmods.directory.entrusted import CopyQueue
from p2pmods.directory.messages import Entrust, Entrusted
from p2pmods.errors import InvalidPath, InvalidVersion, PeerError, SourceError, StoreError, SumdbError
from p2pmods.fetch.peersmall import take_peer_small
from p2pmods.fetch.peerzip import take_peer_zip
from p2pmods.fetch.receiving import Receiver
from p2pmods.gomod.module import FileKey, FileKind
from p2pmods.mesh.desk import seconds_until
from p2pmods.mesh.names import file_of_name
from p2pmods.mesh.partial import Partial
from p2pmods.mesh.peers import MOST_ASKED
from p2pmods.wire.events import FIRST_OWN_CODE

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from p2pmods.directory.entrusted import Copy
    from p2pmods.directory.messages import Holder
    from p2pmods.fetch.checksums import Checksums
    from p2pmods.fetch.intake import Intake
    from p2pmods.fetch.thinning import Thinning
    from p2pmods.mesh.call import Call
    from p2pmods.mesh.mesh import Mesh
    from p2pmods.store.seed_file import SeedFile
    from p2pmods.store.store import Store

NOT_OURS: Final = FIRST_OWN_CODE  # a stranger asks for copies
AT_ONCE: Final = 2  # module versions
COPY_TIME: Final = 600.0  # seconds for one
BUSY: Final = 4  # bodies that this node gives at once, while which it begins no copy …
BUSY_PAUSE: Final = 0.5  # … looks again after so many seconds …
BUSY_LOOKS: Final = 40  # … and begins one after so many looks all the same
FULL_PAUSE: Final = 60.0  # seconds until a seed that may not copy looks again
SAVE_EVERY: Final = 1.0  # seconds; a kill costs no more of the queue, and who was told by it is not told again
FREE_PART: Final = 10  # of the disk one part in so many stays free, or
FREE_BYTES: Final = 10 * 10**9  # so much of a large one

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class CopyingStatistics:
    """`copied` zips since there was a seed here; `waiting` module versions at this moment. `problem`: why nothing is
    copied now, None when there is no reason."""

    copied: int
    waiting: int
    problem: str | None


class Copying:
    """Of one node. What is copied goes again as everything does when the store holds too much, see `thinning`."""

    def __init__(
        self,
        store: Store,
        intake: Intake,
        checksums: Checksums,
        file: SeedFile,
        *,
        thinning: Thinning,
        clock: Callable[[], float],
    ) -> None:
        self._store = store
        self._intake = intake
        self._checksums = checksums
        self._file = file
        self._thinning = thinning
        self._clock = clock
        self._queue = CopyQueue()
        self._copied = 0
        self._problem: str | None = None
        self._is_saved = True
        self._changed = trio.lowlevel.ParkingLot()
        self._mesh: Mesh

    def serve(self, mesh: Mesh) -> None:
        """From now on copies are asked for, and got, over this mesh."""
        self._mesh = mesh
        mesh.links.on(Entrust, self._entrusted)

    def statistics(self) -> CopyingStatistics:
        return CopyingStatistics(self._copied, len(self._queue), self._problem)

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Until cancelled."""
        self._copied, waiting = await trio.to_thread.run_sync(self._file.read)
        self._queue.restore(waiting, now=trio.current_time())
        task_status.started()
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._save_now_and_then)
                for _ in range(AT_ONCE):
                    nursery.start_soon(self._work)
        finally:
            self._save()

    async def _entrusted(self, call: Call) -> None:
        if self._mesh.policy.is_public and not self._mesh.presence.is_within(call.host):
            await call.refuse(NOT_OURS, "copies are kept for this network alone")
            return
        now, at, taken = trio.current_time(), self._clock(), 0
        for name in call.message.files:
            with suppress(InvalidPath, InvalidVersion):  # which nobody has
                if not self._queue.put(file_of_name(name), call.peer, now=now, at=at):
                    break
            taken += 1
        self._turn()
        await call.reply(Entrusted(taken))

    def _turn(self) -> None:
        """Something about the queue changed."""
        self._is_saved = False
        self._changed.unpark_all()

    # One after the other

    async def _work(self) -> None:
        while True:
            copy = self._queue.next(now=trio.current_time())
            if copy is None:
                with trio.move_on_after(seconds_until(self._queue.next_timer())):
                    await self._changed.park()
                continue
            await self._wait_turn()
            is_done = await self._try(copy)
            now = trio.current_time()
            if is_done:
                self._queue.done(copy, now=now)
            else:
                self._queue.failed(copy, now=now, at=self._clock())
            self._turn()

    async def _wait_turn(self) -> None:
        """Until this node may copy, and does not give to many."""
        while (problem := self._why_not()) is not None:
            if problem != self._problem:
                log.warning("this seed copies nothing for now", reason=problem)
            self._problem = problem
            await trio.sleep(FULL_PAUSE)
        self._problem = None
        for _ in range(BUSY_LOOKS):
            if self._mesh.giving.statistics().now < BUSY:
                return
            await trio.sleep(BUSY_PAUSE)

    def _why_not(self) -> str | None:
        policy = self._mesh.policy
        if not policy.gives:
            return f"nothing is given: {policy.reluctance or 'paused'}"
        if (problem := self._thinning.why_full()) is not None:
            return problem
        with suppress(OSError):
            disk = shutil.disk_usage(self._file.path.parent)
            if disk.free < min(disk.total // FREE_PART, FREE_BYTES):
                return "the disk is nearly full"
        return None

    async def _try(self, copy: Copy) -> bool:
        """Whether it is here now, or is not wanted."""
        try:
            with trio.fail_after(COPY_TIME):
                await self._copy(copy)
        except (PeerError, SourceError, SumdbError, StoreError, trio.TooSlowError) as error:
            log.debug("no copy yet", module=str(copy.module), reason=str(error))
            return False
        except Exception as error:  # the border between one copy and the node
            log.exception("a copy failed by a fault of p2pmods", module=str(copy.module), exc_info=error)
            return False
        return True

    # One

    async def _copy(self, copy: Copy) -> None:
        """Raises PeerError, SourceError, SumdbError, StoreError."""
        if not self._mesh.policy.may_ask(copy.module.path) or self._store.marks(copy.module):
            return
        missing = [key for key in copy.names if not self._is_held(key)]
        if not missing:
            return
        found = await self._mesh.peers.locate_all(copy.names)
        holders = {key: [one for one in ones if self._may_give(one)] for key, ones in found.items()}
        await self._copy_small(copy, [one.node for ones in holders.values() for one in ones])
        for key in missing:
            if key.kind is FileKind.ZIP:
                await self._copy_zip(key, holders.get(key, []))
                self._copied += 1

    def _is_held(self, key: FileKey) -> bool:
        return any(map(self._mesh.policy.may_give, self._store.held(key)))

    def _may_give(self, holder: Holder) -> bool:
        return holder.node != self._mesh.node_id and not self._mesh.blame.is_struck(holder.node)

    async def _copy_small(self, copy: Copy, nodes: Sequence[str]) -> None:
        """The `.mod`, the `.info` and the record, by which all else is proven."""
        mod, info = FileKey(copy.module, FileKind.MOD), FileKey(copy.module, FileKind.INFO)
        if self._is_held(mod) and self._checksums.held_proof(copy.module) is not None:
            return
        found = await self._mesh.peers.first_small(mod, list(dict.fromkeys(nodes))[:MOST_ASKED], held_only=True)
        if found is None:
            if copy.with_zip:  # whose holders need not have the `.mod`
                return
            raise PeerError("", "nobody gives its go.mod")
        for key in (mod, info):
            if not self._store.held(key):
                node, small = found
                blame, at = self._mesh.blame, self._clock()
                await take_peer_small(self._intake, self._checksums, blame, key, node, small, at=at)

    async def _copy_zip(self, key: FileKey, holders: list[Holder]) -> None:
        if (problem := self._thinning.why_full(max((one.size for one in holders), default=0))) is not None:
            raise StoreError(problem)
        partial = Partial(Receiver(self._store.temp))
        try:
            givers = await self._mesh.receiving.from_holders(key, holders, partial, lambda _count: None)
            content, at = partial.room.content(), self._clock()
            await take_peer_zip(
                self._intake, self._mesh.blame, key, content, giver=givers[-1], culprit=givers[0], at=at
            )
        except BaseException:
            partial.discard()
            raise

    # From run to run

    async def _save_now_and_then(self) -> None:
        while True:
            await trio.sleep(SAVE_EVERY)
            if not self._is_saved:
                self._is_saved = True
                await trio.to_thread.run_sync(self._write, self._copied, self._queue.entries())

    def _save(self) -> None:
        self._write(self._copied, self._queue.entries())

    def _write(self, copied: int, entries: list[tuple[FileKey, float]]) -> None:
        try:
            self._file.write(copied, entries)
        except StoreError as error:
            log.warning("what is still to be copied is not kept", reason=str(error))
