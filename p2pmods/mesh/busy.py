"""Patience with a node that gives to others at the moment."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import trio

from p2pmods.errors import PeerError, PeerRefused
from p2pmods.swarm.messages import BUSY

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from p2pmods.mesh.answer import Answer

PAUSE: Final = 0.3  # seconds until it is asked again
TRIES: Final = 10


async def patiently(node: str, ask: Callable[[], Awaitable[Answer]]) -> Answer:
    """What `ask` of `node` comes to in the end. Raises PeerError, also when it is always BUSY."""
    for _ in range(TRIES):
        try:
            return await ask()
        except PeerRefused as error:
            if error.code != BUSY:
                raise
        await trio.sleep(PAUSE)
    raise PeerError(node, "gives to others all the time")
