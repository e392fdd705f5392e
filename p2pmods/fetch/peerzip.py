"""A zip that came whole from peers: verified and kept, or held against whoever is to blame for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog

from p2pmods.errors import PeerError, Refused
from p2pmods.trust.evidence import Source, SourceKind

if TYPE_CHECKING:
    from p2pmods.fetch.intake import Intake
    from p2pmods.fetch.outcome import Served
    from p2pmods.gomod.module import FileKey
    from p2pmods.mesh.blame import Blame
    from p2pmods.store.temp import TempFile

log = structlog.get_logger()


async def take_peer_zip(
    intake: Intake, blame: Blame, key: FileKey, content: TempFile | bytes, *, giver: str, culprit: str, at: float
) -> Served:
    """What `giver` gave, as received `at` this time. A file is still the caller's when this raises.

    Raises PeerError when it is wrong, for which `culprit` gets a strike, and SourceError when nobody can say.
    """
    try:
        return await intake.take_zip(key, content, Source(SourceKind.PEER, giver, at))
    except Refused as error:
        log.warning("a peer's zip was refused", file=str(key), peer=culprit, reason=error.reason)
        blame.strike(culprit)
        raise PeerError(culprit, error.reason) from error
