"""From a node id to a link: addresses raced against each other, one dial for all who want the same node."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Final

import structlog
import trio

from p2pmods.errors import PeerError, PeerNotReached
from p2pmods.upstream.dial import race

if TYPE_CHECKING:
    from p2pmods.identity.records import Endpoint
    from p2pmods.mesh.link import Link

log = structlog.get_logger()

Open = Callable[["Endpoint", "str | None"], "Awaitable[Link]"]


HEAD_START: Final = 0.3  # seconds that the addresses of a node have before somebody is asked to bring it here


@dataclass(slots=True)
class _Dial:
    done: trio.Event = field(default_factory=trio.Event)
    link: Link | None = None
    error: PeerError | None = None


class Dialler:
    """`open_link` dials one address, `introduce` has a node dial this one; both raise PeerError. `addresses` says
    where a node may be found."""

    def __init__(
        self,
        addresses: Callable[[str], list[Endpoint]],
        open_link: Open,
        introduce: Callable[[str], Awaitable[None]],
        timeout: float,
    ) -> None:
        self._addresses = addresses
        self._open_link = open_link
        self._introduce = introduce
        self._timeout = timeout
        self._under_way: dict[str, _Dial] = {}

    async def reach(self, node_id: str, deadline: float, nursery: trio.Nursery) -> Link:
        """A new link to the node. Raises PeerError; PeerNotReached when that node does not reach this one either."""
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

    def arrived(self, node_id: str, link: Link) -> None:
        """The node dialled this one. A dial under way goes on: of two links that are up, one is given up then."""
        dial = self._under_way.pop(node_id, None)
        if dial is not None:
            dial.link = link
            dial.done.set()

    async def _dial(self, node_id: str, dial: _Dial) -> None:
        try:
            with trio.move_on_after(self._timeout):
                await self._both_ways(node_id, dial)
        except Exception as error:  # the border between one dial and the node
            log.exception("a dial failed by a fault of p2pmods", peer=node_id, exc_info=error)
        finally:
            if self._under_way.get(node_id) is dial:
                del self._under_way[node_id]
            dial.done.set()

    async def _both_ways(self, node_id: str, dial: _Dial) -> None:
        over = trio.Event()

        async def dial_it() -> None:
            try:
                dial.link = dial.link or await self._race(node_id)
            except PeerError as error:
                dial.error = PeerError(node_id, error.reason)
            else:
                dial.done.set()
            over.set()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(dial_it)
            with trio.move_on_after(HEAD_START):
                await over.wait()
            if not dial.done.is_set():
                try:
                    await self._introduce(node_id)
                except PeerNotReached as error:  # then it makes no sense to wait for an address that is silent
                    dial.error = error
                    nursery.cancel_scope.cancel()
                except PeerError:
                    pass  # what is said is why the node could not be dialled

    async def _race(self, node_id: str) -> Link:
        endpoints = self._addresses(node_id)
        if not endpoints:
            raise PeerError(node_id, "no address of it is known")
        attempts = [partial(self._open_link, endpoint, node_id) for endpoint in endpoints]
        return await race(attempts, failure=PeerError, close=lambda link: link.retire("another address was quicker"))
