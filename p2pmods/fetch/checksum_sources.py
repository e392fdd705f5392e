"""Who is asked for what is missing of a checksum database, and in which order: the upstream, then peers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeVar

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
    from collections.abc import Awaitable, Callable

    from p2pmods.fetch.checksum_log import CheckedLog
    from p2pmods.fetch.checksum_peers import PeerChecksumSource
    from p2pmods.fetch.checksum_remote import LogSource
    from p2pmods.gomod.module import ModuleVersion
    from p2pmods.wire.proofs import RecordBundle

UPSTREAM_DEADLINE: Final = 60.0  # seconds for a record with all that proves it
PEER_DEADLINE: Final = 15.0  # seconds for the same from one peer
MAX_PEERS: Final = 4  # asked for one thing

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
    ) -> None:
        self._log = log
        self._upstream = upstream
        self._peers = peers
        self._may_name = may_name

    async def use(self, attempt: Callable[[LogSource], Awaitable[T]], module: ModuleVersion | None = None) -> T:
        """What `attempt` makes of the first source that it succeeds with.

        The upstream's "not found" is final, and so is a database that contradicts itself. The upstream's failure is
        what is told when no peer helps either.
        """
        try:
            return await self.with_upstream(attempt)
        except (NotFound, SumdbSecurityError):
            raise
        except (SourceError, SumdbError) as error:
            failure = error
        if module is not None and not self._may_name(module.path):
            raise failure
        asked = (await self._peers.candidates(module))[:MAX_PEERS]
        for node_id in asked:
            try:
                return await self.with_peer(node_id, attempt)
            except PeerError as error:
                self._peers.blame(error)
            except SourceError:
                continue  # it cannot help, and has done nothing wrong
        if not asked:
            raise failure
        raise Unavailable(self._log.name, f"{failure}; no help from peers ({len(asked)} asked)") from failure

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
