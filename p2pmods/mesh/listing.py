"""Which versions of a module the neighbours can deliver: asked of them when the own upstream does not answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import trio

from p2pmods.errors import InvalidPath, PeerError
from p2pmods.gomod.listing import in_order
from p2pmods.gomod.paths import check_path
from p2pmods.swarm.messages import MAX_VERSIONS, NOT_HELD, GetVersions, Versions

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from p2pmods.mesh.call import Call
    from p2pmods.mesh.links import Links

MOST_ASKED: Final = 16  # nodes; more would not know of many more versions
PATIENCE: Final = 2.0  # seconds for their answers


class Versioning:
    """Asks neighbours, and answers them with the versions that `deliverable` says this node can give."""

    def __init__(
        self, links: Links, directors: Callable[[], Iterable[str]], deliverable: Callable[[str], list[str]]
    ) -> None:
        self._links = links
        self._directors = directors
        self._deliverable = deliverable
        links.on(GetVersions, self._answer)

    async def ask(self, path: str) -> list[str]:
        """All that neighbours say they can deliver of the module `path`: texts that nobody has checked."""
        linked = self._links.linked()
        others = sorted((node for node in self._directors() if node not in linked), key=str)
        nodes = [node for node in (*sorted(linked), *others) if node != self._links.node_id][:MOST_ASKED]
        found: set[str] = set()

        async def ask_one(node: str) -> None:
            try:
                answer = await self._links.request(node, GetVersions(path), deadline=trio.current_time() + PATIENCE)
            except PeerError:
                return
            await answer.discard()
            if isinstance(answer.message, Versions):
                found.update(answer.message.versions)

        async with trio.open_nursery() as nursery:
            for node in nodes:
                nursery.start_soon(ask_one, node)
        return sorted(found)

    async def _answer(self, call: Call) -> None:
        path = call.message.path
        try:
            check_path(path)
        except InvalidPath as error:
            await call.refuse(NOT_HELD, str(error))
            return
        await call.reply(Versions(tuple(in_order(self._deliverable(path))[-MAX_VERSIONS:])))
