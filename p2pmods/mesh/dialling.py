"""From a node id to a link: addresses raced against each other, one dial for all who want the same node."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

import structlog
import trio

from p2pmods.errors import PeerError
from p2pmods.upstream.dial import race

if TYPE_CHECKING:
    from p2pmods.identity.records import Endpoint
    from p2pmods.mesh.link import Link

log = structlog.get_logger()

Open = Callable[["Endpoint", "str | None"], "Awaitable[Link]"]


@dataclass(slots=True)
class _Dial:
    done: trio.Event = field(default_factory=trio.Event)
    link: Link | None = None
    error: PeerError | None = None


class Dialler:
    """`open_link` dials one address and raises PeerError; `addresses` says where a node may be found."""

    def __init__(self, addresses: Callable[[str], list[Endpoint]], open_link: Open, timeout: float) -> None:
        self._addresses = addresses
        self._open_link = open_link
        self._timeout = timeout
        self._under_way: dict[str, _Dial] = {}

    async def reach(self, node_id: str, deadline: float, nursery: trio.Nursery) -> Link:
        """A new link to the node. Raises PeerError."""
        dial = self._under_way.get(node_id)
        if dial is None:
            dial = self._under_way[node_id] = _Dial()
            # Not in the task of who asks first: others wait for the same link when that one is cancelled.
            nursery.start_soon(self._dial, node_id, dial)
        with trio.move_on_at(deadline):
            await dial.done.wait()
        if dial.link is not None:
            return dial.link
        raise dial.error or PeerError(node_id, "no link in time")

    async def _dial(self, node_id: str, dial: _Dial) -> None:
        try:
            with trio.move_on_after(self._timeout):
                dial.link = await self._race(node_id)
        except PeerError as error:
            dial.error = PeerError(node_id, error.reason)
        except Exception as error:  # the border between one dial and the node
            log.exception("a dial failed by a fault of p2pmods", peer=node_id, exc_info=error)
        finally:
            del self._under_way[node_id]
            dial.done.set()

    async def _race(self, node_id: str) -> Link:
        endpoints = self._addresses(node_id)
        if not endpoints:
            raise PeerError(node_id, "no address of it is known")
        attempts = [partial(self._open_link, endpoint, node_id) for endpoint in endpoints]
        return await race(attempts, failure=PeerError, close=lambda link: link.retire("another address was quicker"))
