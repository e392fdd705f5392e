"""Telling seeds what this node got from outside, so that they keep copies and this machine may go home.

Each file is named to two seeds at most, by rendezvous, once. Of what came more than a day before the start nothing is
told: no inventory goes over the network. On the public swarm, where anybody may call itself a seed, only one that is
at home in a private network hears of it.
"""

from __future__ import annotations

import math
from collections import deque
from typing import TYPE_CHECKING, Final

import structlog
import trio

from p2pmods.directory.messages import MAX_ENTRUSTED, MAX_NAME, Entrust, Entrusted
from p2pmods.directory.rendezvous import homes
from p2pmods.errors import PeerError
from p2pmods.mesh.names import key_of_file, name_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from p2pmods.directory.rendezvous import Rendezvous
    from p2pmods.gomod.module import FileKey
    from p2pmods.identity.swarm import Swarm
    from p2pmods.mesh.links import Links
    from p2pmods.mesh.standing import Standing

SEEDS: Final = 2  # that hear of a file, of as many as there are
MAX_FILES: Final = 8_192  # remembered for a seed that comes later
EVERY: Final = 5.0  # seconds between two looks for new seeds
TOGETHER: Final = 0.1  # seconds in which files come together
AGAIN: Final = 30.0  # seconds until a seed that did not answer, or has no room, is told again
ASK_TIME: Final = 5.0  # seconds for an answer

log = structlog.get_logger()


class Entrusting:
    """Of one node in one swarm. `rendezvous` has the directors that it knows; `is_within(host)` says whether an
    address is of a private network, and `is_public` whether strangers are members."""

    def __init__(
        self,
        swarm: Swarm,
        links: Links,
        standing: Standing,
        rendezvous: Rendezvous,
        is_within: Callable[[str], bool],
        *,
        is_public: bool,
    ) -> None:
        self._swarm = swarm
        self._links = links
        self._standing = standing
        self._rendezvous = rendezvous
        self._is_within = is_within
        self._is_public = is_public
        self._files: deque[FileKey] = deque()
        self._known: set[FileKey] = set()
        self._count = 0  # of all that were ever added
        self._told: dict[str, int] = {}  # how many of them each seed has heard of
        self._not_before: dict[str, float] = {}
        self._near: set[str] = set()  # seeds whose links showed that they are at home in a private network
        self._attended: set[str] = set()  # seeds that are being told something
        self._woken = trio.Event()

    def fetched(self, key: FileKey) -> None:
        """This node got the file from outside, and gives it."""
        if key in self._known or len(name_of(key)) > MAX_NAME:
            return
        if len(self._files) >= MAX_FILES:
            self._known.discard(self._files.popleft())
        self._files.append(key)
        self._known.add(key)
        self._count += 1
        self._woken.set()

    def seeds(self) -> list[str]:
        """Those that are known, this node left out."""
        own = self._links.node_id
        return sorted(node for node in self._standing.seeds & self._rendezvous.directors if node != own)

    async def run(self) -> None:
        """Until cancelled."""
        async with trio.open_nursery() as nursery:
            while True:
                self._woken = trio.Event()
                self._told = {node: told for node, told in self._told.items() if node in self._standing.seeds}
                self._near &= self._standing.seeds
                for node in self.seeds():
                    is_due = self._not_before.get(node, -math.inf) <= trio.current_time()
                    if is_due and node not in self._attended:
                        self._attended.add(node)
                        nursery.start_soon(self._attend, node)
                with trio.move_on_after(EVERY):
                    await self._woken.wait()
                await trio.sleep(TOGETHER)

    async def _attend(self, node: str) -> None:
        """Tell it all that it has not heard of; who is slow keeps no other waiting."""
        self._not_before.pop(node, None)
        try:
            if not self._is_public or await self._is_known_near(node):
                while self._told.get(node, 0) < self._count:
                    await self._tell_some(node)
        except PeerError as error:
            log.debug("a seed hears of nothing", seed=node, reason=error.reason)
            self._not_before[node] = trio.current_time() + AGAIN
        finally:
            self._attended.discard(node)

    async def _is_known_near(self, node: str) -> bool:
        """False when that was found out just now: the ranking is another one. Raises PeerError for a stranger's."""
        await self._check_place(node)
        if node in self._near:
            return True
        self._near.add(node)
        self._woken.set()
        return False

    def _ranked(self) -> list[str]:
        """The seeds that files are shared out among: strangers have no place there."""
        return [node for node in self.seeds() if not self._is_public or node in self._near]

    async def _tell_some(self, node: str) -> None:
        seeds = self._ranked()
        told = max(self._told.get(node, 0), self._count - len(self._files))
        names: list[str] = []
        ends: list[int] = []  # how much it has heard of after each of the names
        end = told
        for key in list(self._files)[told - self._count + len(self._files) :]:
            end += 1
            if node in homes(key_of_file(self._swarm, key), seeds, SEEDS):
                names.append(name_of(key))
                ends.append(end)
            if len(names) == MAX_ENTRUSTED:
                break
        taken = await self._ask(node, names) if names else 0
        if taken == len(names):
            self._told[node] = end
            return
        self._told[node] = ends[taken - 1] if taken else told
        raise PeerError(node, "has no room for more")

    async def _ask(self, node: str, names: list[str]) -> int:
        """How many of them it took. Raises PeerError."""
        deadline = trio.current_time() + ASK_TIME
        answer = await self._links.request(node, Entrust(tuple(names)), deadline=deadline)
        await answer.discard()
        if not isinstance(answer.message, Entrusted) or answer.message.taken > len(names):
            raise PeerError(node, "answers with something else")
        return answer.message.taken

    async def _check_place(self, node: str) -> None:
        """Raises PeerError for a seed that is not at a private address, as the link to it shows."""
        if self._links.host(node) is None:
            await self._ask(node, [])  # which makes a link, and tells nothing
        if not self._is_within(self._links.host(node) or ""):
            self._near.discard(node)
            raise PeerError(node, "it is a stranger's")
