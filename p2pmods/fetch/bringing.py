"""Zips that are got for other nodes: from one peer into the store, verified and proven as for this node itself."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from p2pmods.fetch.peerzip import take_peer_zip
from p2pmods.fetch.receiving import Receiver

if TYPE_CHECKING:
    from collections.abc import Callable

    from p2pmods.directory.messages import Growing as Fetching
    from p2pmods.directory.messages import Holder
    from p2pmods.fetch.intake import Intake
    from p2pmods.fetch.proofs import Proofs
    from p2pmods.gomod.module import FileKey
    from p2pmods.mesh.growing import Backing, Growing
    from p2pmods.mesh.mesh import Mesh
    from p2pmods.store.store import Store


class Bringing:
    """What a mesh's errands are done with."""

    def __init__(self, store: Store, intake: Intake, proofs: Proofs, *, clock: Callable[[], float]) -> None:
        self._store = store
        self._intake = intake
        self._proofs = proofs
        self._clock = clock

    def serve(self, mesh: Mesh) -> None:
        """The errands of this mesh are done here."""
        mesh.errands.bring = partial(self._bring, mesh)

    async def _bring(
        self, mesh: Mesh, key: FileKey, source: Holder | Fetching, watch: Callable[[Backing], Growing]
    ) -> None:
        """The zip from there, and from nowhere else; what `watch` makes of the sink sees the bytes arrive.

        Raises PeerError, SourceError, StoreError.
        """
        self._proofs.start(key.module)
        sink = Receiver(self._store.temp)
        try:
            watched = watch(sink)
            node = await mesh.receiving.whole(key, source, watched)
            watched.finish()
            content, at = sink.content(), self._clock()
            await take_peer_zip(self._intake, mesh.blame, key, content, giver=node, culprit=node, at=at)
        except BaseException:
            sink.discard()
            raise
