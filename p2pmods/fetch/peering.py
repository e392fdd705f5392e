"""Files from peers: small ones of their home, zips by a claim, and everything verified as strangers' bytes are.

A peer's bytes are kept and answered with a proof of the checksum database only. The proof comes along from the peer
(it proves itself), or is fetched from wherever the database is reached.
"""

from __future__ import annotations

import functools
import math
import time
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING, Final, Protocol

import structlog
import trio

from p2pmods.directory.actions import FetchFrom, GoUpstream, Relay
from p2pmods.directory.messages import Holding
from p2pmods.errors import (
    InvalidPath,
    InvalidVersion,
    PeerError,
    SourceError,
    StoreError,
    SumdbError,
    Unavailable,
)
from p2pmods.fetch.peersmall import take_peer_small
from p2pmods.fetch.peerzip import take_peer_zip
from p2pmods.fetch.proofs import AT_ONCE
from p2pmods.fetch.receiving import IN_MEMORY, Receiver
from p2pmods.fetch.sharing import answer_of
from p2pmods.gomod.module import FileKey, FileKind, ModuleVersion
from p2pmods.gomod.semver import sort_key
from p2pmods.mesh.growing import Growing
from p2pmods.mesh.names import key_of_file
from p2pmods.mesh.partial import Partial

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from p2pmods.directory.tenure import Tenure
    from p2pmods.fetch.checksums import Checksums
    from p2pmods.fetch.intake import Intake
    from p2pmods.fetch.outcome import Served
    from p2pmods.fetch.proofs import Proofs
    from p2pmods.mesh.claims import Way, ZipClaim
    from p2pmods.mesh.growing import Backing
    from p2pmods.mesh.mesh import Mesh
    from p2pmods.store.store import Store
    from p2pmods.swarm.messages import Small

PEERS: Final = "peers"
SHOWN: Final = 8  # characters of a node id in a text
NAMED: Final = 3  # nodes named in one
LIST_TIME: Final = 5.0  # seconds for the proofs of a list's versions
MOST_PROVEN: Final = 32  # versions of a list, the highest
OTHERS_TIME: Final = 5.0  # seconds in which others may begin to fetch a zip that the own upstream did not deliver
VAIN_TIME: Final = 30.0  # seconds without another try of that
OTHERS_PAUSE: Final = 0.5  # seconds between two looks whether they have
PROOF_TIME: Final = 20.0  # seconds until a zip that was fetched for all is given up as an offer to others

log = structlog.get_logger()


class FromUpstream(Protocol):
    """Fetches the zip from upstream. What `watch` makes of the sink that receives it sees the bytes arrive."""

    def __call__(self, watch: Callable[[Backing], Growing] | None) -> Awaitable[Served]: ...


class Peering:
    """What the fetcher asks peers for."""

    def __init__(
        self,
        mesh: Mesh,
        store: Store,
        intake: Intake,
        checksums: Checksums,
        proofs: Proofs,
        *,
        nursery: trio.Nursery,
        clock: Callable[[], float],
    ) -> None:
        self._mesh = mesh
        self._store = store
        self._intake = intake
        self._checksums = checksums
        self._proofs = proofs
        self._nursery = nursery
        self._clock = clock
        self._proving = trio.CapacityLimiter(AT_ONCE)
        self._in_vain = -math.inf  # when the last wait for others ended that brought nothing

    def use(self, mesh: Mesh) -> None:
        """From now on this one is asked: the node goes on under another key."""
        self._mesh = mesh

    async def settled(self) -> None:
        """A node that has just started waits until it has met its neighbours; two seconds at most."""
        await self._mesh.claiming.settled()

    def may_ask(self, key: FileKey) -> bool:
        """Whether there is somebody to ask, and nothing private in the question."""
        return not self._mesh.peers.is_alone and self._mesh.policy.may_ask(key.module.path)

    def word_on(self, key: FileKey) -> SourceError:
        """What is to be said of the peers when nobody delivered `key`: who held it last, or whom there was to ask."""
        if not self._mesh.policy.may_ask(key.module.path):
            return Unavailable(PEERS, "not asked: a private pattern matches")
        kind = FileKind.MOD if key.kind is FileKind.INFO else key.kind
        seen = self._mesh.peers.sightings.last(FileKey(key.module, kind))
        known = sorted(self._mesh.peers.known)
        names = ", ".join([node[:SHOWN] for node in known[:NAMED]] + ["…"] * (len(known) > NAMED))
        there = f"{len(known)} known ({names})" if known else "none is there"
        if seen is None:
            return Unavailable(PEERS, f"{there}{', and none is said to hold it' if known else ''}")
        at = time.strftime("%Y-%m-%d %H:%M", time.localtime(seen.at))
        return Unavailable(PEERS, f"{there}; last held by {seen.node[:SHOWN]}, seen {at}")

    async def small(self, key: FileKey, elsewhere: float) -> Served | None:
        """An `.info` or `.mod` from the home of its version; None when this node should go upstream itself.

        `elsewhere`: the seconds that its own upstream takes for one.
        """
        found = await self._mesh.peers.small(key, elsewhere)
        return None if found is None else await self._take_small(key, *found)

    async def small_of_own_key(self, key: FileKey) -> Served | None:
        """The same for a home, from one who told it that it holds them; None when that brings nothing."""
        found = await self._mesh.peers.small_of_own_key(key)
        return None if found is None else await self._take_small(key, *found)

    async def small_from_anyone(self, key: FileKey) -> Served:
        """The same from whoever has it or can fetch it, when the upstream does not deliver. Raises SourceError."""
        found = await self._mesh.peers.small_from_anyone(key)
        served = None if found is None else await self._take_small(key, *found)
        if served is None:
            raise Unavailable(PEERS, "none that can be reached has it, with its proof")
        return served

    async def versions(self, path: str) -> list[str]:
        """The versions of a module that neighbours can deliver, as far as the checksum database knows them too."""
        if self._mesh.peers.is_alone or not self._mesh.policy.may_ask(path):
            return []
        named = []
        for version in await self._mesh.versioning.ask(path):
            with suppress(InvalidPath, InvalidVersion):
                named.append(ModuleVersion(path, version))
        named.sort(key=lambda module: sort_key(module.version))
        proven: list[str] = []

        async def prove(module: ModuleVersion) -> None:
            with suppress(SourceError, SumdbError, StoreError):
                proof = await self._proofs.start(module).wait()
                if proof.zip_h1 is not None and proof.mod_h1 is not None:
                    proven.append(module.version)

        with trio.move_on_after(LIST_TIME):
            async with trio.open_nursery() as nursery:
                for module in named[-MOST_PROVEN:]:
                    nursery.start_soon(prove, module)
        return proven

    async def _take_small(self, key: FileKey, node: str, small: Small) -> Served | None:
        try:
            return await take_peer_small(
                self._intake, self._checksums, self._mesh.blame, key, node, small, at=self._clock()
            )
        except PeerError:
            self._mesh.peers.forget_brought(key.module)
            return None

    async def zip(self, key: FileKey, from_upstream: FromUpstream) -> Served:
        """The zip from a peer, or from upstream, for all who want it or for this node alone. Raises SourceError."""
        try:
            return await self._start_claim(key, from_upstream)
        except Unavailable as error:
            return await self._zip_of_others(key, error)

    async def _zip_of_others(self, key: FileKey, failure: Unavailable) -> Served:
        """The own upstream is of no use: from another node that fetches the zip in the next seconds, if one does.

        When that was in vain a moment ago there is no waiting: one zip that is missing is enough for a build to fail.
        """

        async def not_again(watch: object) -> Served:
            raise failure

        began = trio.current_time()
        if began < self._in_vain + VAIN_TIME:
            raise failure
        while trio.current_time() < began + OTHERS_TIME:
            await trio.sleep(OTHERS_PAUSE)
            with suppress(Unavailable):
                return await self._start_claim(key, not_again, is_failing=True)
        self._in_vain = trio.current_time()
        raise failure

    async def _start_claim(self, key: FileKey, from_upstream: FromUpstream, *, is_failing: bool = False) -> Served:
        return await answer_of(
            self._nursery, functools.partial(self._claim, key, from_upstream, is_failing), str(key)
        )

    async def _claim(
        self, key: FileKey, from_upstream: FromUpstream, is_failing: bool, answer: Callable[[Served], None]
    ) -> None:
        """Goes on after the answer, until what was fetched for all is proven and others can get it here."""
        async with self._mesh.claiming.claim(key.module, is_failing=is_failing) as claim:
            partial = Partial(Receiver(self._store.temp))
            with ExitStack() as sharing:

                async def go(way: Way) -> Served:
                    sharing.close()  # what was shared before this way was chosen
                    if not isinstance(way, GoUpstream):
                        return await self._receive(key, way, claim, partial)
                    watch = self._watcher(key, way.tenure, claim, sharing) if way.tenure is not None else None
                    try:
                        served = await from_upstream(watch)
                    except BaseException:  # it was given up, perhaps before there is another way
                        sharing.close()
                        raise
                    partial.discard()  # of no more use
                    return served

                try:
                    served = await claim.obtain(go)
                except BaseException:
                    partial.discard()
                    raise
                answer(served)
                claim.finished(await self._holding(served) if claim.is_for_all else None)

    def _watcher(
        self, key: FileKey, tenure: Tenure, claim: ZipClaim, sharing: ExitStack
    ) -> Callable[[Backing], Growing]:
        def watch(backing: Backing) -> Growing:
            growing = Growing(backing, claim.progress, claim.limited)
            sharing.enter_context(self._mesh.growing.share(key, tenure.terms.token, growing))
            return growing

        return watch

    async def _holding(self, served: Served) -> Holding | None:
        """What others can get from here now, once it is proven. Until then the lease stands, and they read along.

        A large file can be read so only until it is in its place: its proof is not put off.
        """
        if not served.proven:
            if served.size <= IN_MEMORY:
                await self._proofs.calm()
            try:
                async with self._proving:
                    with trio.fail_after(PROOF_TIME):
                        proof = await self._proofs.start(served.key.module).wait()
            except (SourceError, SumdbError, StoreError, trio.TooSlowError):
                return None
            if proof.zip_h1 != served.h1:
                return None
        key = key_of_file(self._mesh.swarm, served.key)
        return Holding(key, bytes.fromhex(served.sha256), served.size)

    async def _receive(self, key: FileKey, way: FetchFrom | Relay, claim: ZipClaim, partial: Partial) -> Served:
        """The zip from peers, verified; what came of it stays in `partial` when that fails. Raises PeerError."""
        self._proofs.start(key.module)  # beside the bytes, which are worth nothing without it
        receiving = self._mesh.receiving
        try:
            if isinstance(way, FetchFrom):
                self._mesh.know(way.records)
                self._mesh.peers.sightings.note(key, way.holders)
                holders = [holder for holder in way.holders if not self._mesh.blame.is_struck(holder.node)]
                givers = await receiving.from_holders(key, holders, partial, claim.received)
            else:
                self._mesh.know([way.record] if way.record is not None else [])
                givers = await receiving.from_fetcher(key, way.growing, partial, claim.received)
            claim.complete()
            return await self._take_zip(key, partial, givers)
        except StoreError as error:
            raise PeerError("", f"there is no room to receive into: {error}") from error

    async def _take_zip(self, key: FileKey, partial: Partial, givers: list[str]) -> Served:
        """Of several givers the first is blamed: nobody gets another one struck by breaking off."""
        content, at = partial.room.content(), self._clock()
        try:
            return await take_peer_zip(
                self._intake, self._mesh.blame, key, content, giver=givers[-1], culprit=givers[0], at=at
            )
        except PeerError:
            partial.restart()
            raise
        except SourceError as error:
            raise PeerError(givers[0], error.reason) from error
