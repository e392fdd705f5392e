"""Who is asked for what is missing of a checksum database, and in which order: the upstream, and soon peers."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final, Generic, TypeVar

import trio

from p2pmods.errors import (
    MalformedData,
    NotFound,
    PeerError,
    SourceError,
    SumdbError,
    SumdbSecurityError,
    Unavailable,
)
from p2pmods.fetch.checksum_peers import PeerLog

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from p2pmods.fetch.checksum_log import CheckedLog
    from p2pmods.fetch.checksum_peers import PeerChecksumSource
    from p2pmods.fetch.checksum_remote import LogSource
    from p2pmods.gomod.module import ModuleVersion
    from p2pmods.wire.proofs import RecordBundle

UPSTREAM_DEADLINE: Final = 60.0  # seconds for a record with all that proves it
PEER_DEADLINE: Final = 15.0  # seconds for the same from one peer
MAX_PEERS: Final = 4  # asked for one thing
PATIENCE: Final = 1.0  # seconds that the upstream has before peers are asked beside it

T = TypeVar("T")


class Sources:
    """Runs one attempt with one source after the other, and puts what was wrong down to the source that sent it.

    `may_name` says whether peers may hear of a module path.
    """

    def __init__(
        self,
        log: CheckedLog,
        upstream: LogSource,
        peers: PeerChecksumSource,
        may_name: Callable[[str], bool],
        nursery: trio.Nursery,
    ) -> None:
        self._log = log
        self._upstream = upstream
        self._peers = peers
        self._may_name = may_name
        self._nursery = nursery

    async def use(self, attempt: Callable[[LogSource], Awaitable[T]], module: ModuleVersion | None = None) -> T:
        """What `attempt` makes of the first source that it succeeds with.

        Peers are asked when the upstream failed, and beside it once it has taken PATIENCE: an uplink that is dead may
        keep silent for long. The upstream's "not found" is final, and so is a database that contradicts itself. The
        upstream's failure is what is told when no peer helps either.
        """
        asked: Sequence[str] = ()
        race = _Race[T]()
        # To its end even when a peer is sooner: those who come next are to know that the upstream is out of reach.
        self._nursery.start_soon(race.upstream, partial(self.with_upstream, attempt))
        with trio.move_on_after(PATIENCE):
            await race.upstream_ended.wait()
        with race.scope:
            await trio.lowlevel.checkpoint()
            asked = await self._whom(module)
            for node_id in asked:
                await race.peer(partial(self._from_peer, node_id, attempt))
            await race.upstream_ended.wait()
        if race.results:
            return race.results[0]
        failure = race.final or race.failure or Unavailable(self._log.name, "this node stops")
        if race.final is not None or not asked:
            raise failure
        raise Unavailable(self._log.name, f"{failure}; no help from peers ({len(asked)} asked)") from failure

    async def _whom(self, module: ModuleVersion | None) -> Sequence[str]:
        if module is not None and not self._may_name(module.path):
            return ()
        return (await self._peers.candidates(module))[:MAX_PEERS]

    async def _from_peer(self, node_id: str, attempt: Callable[[LogSource], Awaitable[T]]) -> T:
        try:
            return await self.with_peer(node_id, attempt)
        except PeerError as error:
            self._peers.blame(error)
            raise Unavailable(node_id, error.reason) from error

    async def with_upstream(self, attempt: Callable[[LogSource], Awaitable[T]]) -> T:
        """`attempt` with the upstream alone, as long as it may take."""
        try:
            with trio.fail_after(UPSTREAM_DEADLINE):
                return await attempt(self._upstream)
        except trio.TooSlowError:
            reason = f"the proof did not arrive within {UPSTREAM_DEADLINE:.0f} seconds"
            raise Unavailable(self._log.name, reason) from None

    async def with_peer(
        self, node_id: str, attempt: Callable[[LogSource], Awaitable[T]], bundle: RecordBundle | None = None
    ) -> T:
        """`attempt` with one peer, whose `bundle` is here already. PeerError when what it sent proves nothing.

        What only takes long is no fault of the peer: the attempt may wait for others (PeerLog watches each answer).
        """
        source = PeerLog(self._log, self._peers, node_id, bundle)
        try:
            with trio.fail_after(PEER_DEADLINE):
                return await attempt(source)
        except trio.TooSlowError:
            raise Unavailable(node_id, f"no proof from it within {PEER_DEADLINE:.0f} seconds") from None
        except SumdbSecurityError:
            raise
        except (SumdbError, MalformedData) as error:
            raise PeerError(node_id, f"sent what proves nothing: {error}") from error


class _Race(Generic[T]):
    """Attempts under way. The first result ends the others, and so does an error after which none can help."""

    def __init__(self) -> None:
        self.results: list[T] = []
        self.failure: Exception | None = None  # of the upstream
        self.final: Exception | None = None
        self.upstream_ended = trio.Event()
        self.scope = trio.CancelScope()

    async def upstream(self, call: Callable[[], Awaitable[T]]) -> None:
        try:
            self._found(await call())
        except (NotFound, SumdbSecurityError) as error:
            self._end(error)
        except Exception as error:  # whoever waits is told, and logs what is a fault of ours
            self.failure = error
        finally:
            self.upstream_ended.set()

    async def peer(self, call: Callable[[], Awaitable[T]]) -> None:
        try:
            self._found(await call())
        except SumdbSecurityError as error:
            self._end(error)
        except SourceError:
            pass  # it cannot help

    def _found(self, result: T) -> None:
        self.results.append(result)
        self.scope.cancel()

    def _end(self, error: Exception) -> None:
        self.final = error
        self.scope.cancel()
