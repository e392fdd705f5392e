"""A small file that came from a peer: verified and kept, or held against the peer."""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog

from p2pmods.errors import MalformedData, PeerError, Refused, SourceError, SumdbError
from p2pmods.gomod.info import for_peers, format_info, parse_info
from p2pmods.gomod.module import FileKind
from p2pmods.trust.evidence import Source, SourceKind

if TYPE_CHECKING:
    from p2pmods.fetch.checksums import Checksums
    from p2pmods.fetch.intake import Intake
    from p2pmods.fetch.outcome import Served
    from p2pmods.gomod.module import FileKey
    from p2pmods.mesh.blame import Blame
    from p2pmods.swarm.messages import Small

log = structlog.get_logger()


async def take_peer_small(
    intake: Intake, checksums: Checksums, blame: Blame, key: FileKey, node: str, small: Small, *, at: float
) -> Served | None:
    """The `.info` or `.mod` that is `key` out of what `node` gave `at` this time; None when it is not among it.

    Raises PeerError when it was not taken.
    """
    data = small.files.info if key.kind is FileKind.INFO else small.files.mod
    if data is None:
        return None
    try:
        if key.kind is FileKind.INFO:
            data = format_info(for_peers(parse_info(data)))
        if small.record is not None:
            await checksums.receive(key.module, small.record, node)
        return await intake.take_small(key, data, Source(SourceKind.PEER, node, at))
    except (SourceError, SumdbError, PeerError, MalformedData) as error:
        log.info("a peer's file was not taken", file=str(key), peer=node, reason=str(error))
        if isinstance(error, (Refused, PeerError, MalformedData)):
            blame.strike(node)
        raise PeerError(node, str(error)) from error
