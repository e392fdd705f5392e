"""Following somebody for one object: what it says of its list, of its pieces, and of others who want them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import trio

from p2pmods.errors import MalformedData
from p2pmods.mesh.busy import patiently
from p2pmods.swarm.pieces import Follow, Followed, NewsReader

if TYPE_CHECKING:
    from collections.abc import Callable

    from p2pmods.mesh.links import Links
    from p2pmods.swarm.pieces import Have, ListGrew, Others

FOLLOW_TIME: Final = 900.0  # seconds


async def follow(
    links: Links,
    node: str,
    wanted: Follow,
    hear: Callable[[ListGrew | Have | Others], None],
    *,
    on_begun: Callable[[], None] = lambda: None,
) -> None:
    """`hear` all of its news until it says no more. Raises PeerError, MalformedData, and what `hear` raises."""
    deadline = trio.current_time() + FOLLOW_TIME
    answer = await patiently(node, lambda: links.request(node, wanted, deadline=deadline))
    try:
        if not isinstance(answer.message, Followed):
            raise MalformedData("answer", "not to what was asked")
        on_begun()
        reader = NewsReader()
        async for data in answer:
            for news in reader.feed(data):
                hear(news)
                await trio.lowlevel.checkpoint()  # one read may bring very many, and others have their turns
    finally:
        with trio.CancelScope(shield=True):
            await answer.discard()  # harmless when nothing is left
