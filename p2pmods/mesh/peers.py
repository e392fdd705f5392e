"""What the fetcher asks of the mesh: small files of their home, and where things are."""

from __future__ import annotations

import time
from collections import OrderedDict
from typing import TYPE_CHECKING, Final

import trio

from p2pmods.directory.lookup import LookupRound
from p2pmods.directory.messages import Found
from p2pmods.errors import MalformedData, PeerError, PeerRefused
from p2pmods.gomod.module import FileKey, FileKind
from p2pmods.mesh.desk import seconds_until
from p2pmods.mesh.names import key_of_file, name_of
from p2pmods.mesh.receiving import read_small
from p2pmods.mesh.sightings import Sightings
from p2pmods.mesh.tallies import Tallies
from p2pmods.swarm.messages import KINDS, YOURSELF, GetSmall, Small, SmallHead, unpack_small

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from p2pmods.directory.actions import Ask
    from p2pmods.directory.asking import Surroundings
    from p2pmods.directory.lookup import Latency
    from p2pmods.directory.messages import Holder, Location
    from p2pmods.gomod.module import ModuleVersion
    from p2pmods.identity.swarm import Swarm
    from p2pmods.mesh.answer import Answer
    from p2pmods.mesh.desk import Desk
    from p2pmods.mesh.links import Links

HOLDER_PATIENCE: Final = 0.25  # seconds for the first word of one who holds them, which may take a new link
PATIENCE: Final = 0.05  # seconds for a home's first word; who hears nothing goes to its own upstream
MOST_PATIENCE: Final = 0.3  # where that is no sooner there: a busy machine's line, or processors
HOME_DEADLINE: Final = 5.0  # seconds for small files that a home fetches
HELD_DEADLINE: Final = 3.0  # seconds for those that somebody holds
HOMES_DEADLINE: Final = 8.0  # seconds for all homes that may fetch what the own upstream does not deliver
MOST_ASKED: Final = 4
AT_ONCE: Final = 2048  # files located in one round
_REMEMBERED: Final = 256


class Peers:
    """`tree` gives the size of the checksum database's tree that is proven here, and how many levels of tiles of a
    record may be missing."""

    def __init__(
        self,
        swarm: Swarm,
        links: Links,
        desk: Desk,
        around: Surroundings,
        latency: Latency,
        tree: Callable[[], tuple[int, int]],
    ) -> None:
        self._swarm = swarm
        self._links = links
        self._desk = desk
        self._around = around
        self._latency = latency
        self._tree = tree
        self._brought: OrderedDict[ModuleVersion, tuple[str, Small]] = OrderedDict()
        self.small_by_peer = Tallies()
        self.sightings = Sightings(time.time)

    @property
    def is_alone(self) -> bool:
        """Whether there is nobody to ask. An only director has the leaves that it has links to."""
        return not self.known and not self._links.linked()

    @property
    def known(self) -> frozenset[str]:
        """The directors to ask, this node left out."""
        return frozenset(self._around.rendezvous.directors - {self._around.node})

    # Small files

    async def small(self, key: FileKey, elsewhere: float) -> tuple[str, Small] | None:
        """Files of the version of `key` from its home, and who gave them; None when this node should fetch them.

        What the last answer brought along for the other file of the version is used first. `elsewhere` is how long
        the own upstream takes, in seconds: so long a home's first word is worth waiting for.
        """
        if (brought := self._take_brought(key)) is not None:
            return brought
        struck = self._around.strikes.struck(now=trio.current_time())
        homes = self._around.rendezvous.homes(self._mod_key(key.module), struck)
        if not homes:
            return None
        if homes[0] == self._around.node:
            return await self.small_of_own_key(key)
        try:
            patience = min(max(PATIENCE, elsewhere), MOST_PATIENCE)
            small = await self._ask_small(homes[0], key, held_only=False, patience=patience)
        except PeerError:
            return None
        return self._note(key, homes[0], small)

    async def small_of_own_key(self, key: FileKey) -> tuple[str, Small] | None:
        """From one who told this node, their home, that it holds them; None when that brings nothing at once."""
        holders = [one.node for one in self._desk.holders(self._mod_key(key.module)) if one.node != self._around.node]
        return await self.first_small(key, holders[:1], held_only=True, patience=HOLDER_PATIENCE)

    async def small_from_anyone(self, key: FileKey) -> tuple[str, Small] | None:
        """When the own upstream does not deliver: from whoever holds the `.mod` of the version, or from a home that
        still gets it from its own."""
        holders = [one.node for one in await self.locate(FileKey(key.module, FileKind.MOD))]
        found = await self.first_small(key, holders[:MOST_ASKED], held_only=True)
        if found is None:
            useless = self._around.strikes.struck(now=trio.current_time()) | {self._around.node}
            homes = self._around.rendezvous.homes(self._mod_key(key.module), useless)
            with trio.move_on_after(HOMES_DEADLINE):
                found = await self.first_small(key, homes, held_only=False)
        return found

    async def first_small(
        self, key: FileKey, nodes: Sequence[str], *, held_only: bool, patience: float = HELD_DEADLINE
    ) -> tuple[str, Small] | None:
        """From the first of these nodes that has it, or (unless `held_only`) gets it for us."""
        for node in nodes:
            try:
                small = await self._ask_small(node, key, held_only=held_only, patience=patience)
            except PeerError:
                continue
            if small is not None:
                return self._note(key, node, small)
        return None

    async def _ask_small(self, node: str, key: FileKey, *, held_only: bool, patience: float) -> Small | None:
        """Raises PeerError, which counts against the node unless it just says that it has not got them."""
        try:
            return await self._question_small(node, key, held_only=held_only, patience=patience)
        except PeerRefused:
            raise
        except PeerError:
            self._around.strikes.strike(node, now=trio.current_time(), is_silence=True)
            raise

    async def _question_small(self, node: str, key: FileKey, *, held_only: bool, patience: float) -> Small | None:
        tree, levels = self._tree()
        module = key.module
        question = GetSmall(module.path, module.version, KINDS.index(key.kind), held_only, tree, levels)
        deadline = trio.current_time() + HOME_DEADLINE
        with trio.move_on_after(patience) as waiting:
            answer = await self._links.request(node, question, deadline=deadline)
        if waiting.cancelled_caught:
            return None
        return await self._read(answer)

    async def _read(self, answer: Answer) -> Small | None:
        head = answer.message
        if not isinstance(head, SmallHead):
            await answer.discard()
            raise PeerError(answer.node_id, f"answers with a {type(head).__name__} when asked for small files")
        if head.state == YOURSELF:
            await answer.discard()
            return None
        try:
            small = unpack_small(await read_small(answer))
        except MalformedData as error:
            raise PeerError(answer.node_id, str(error)) from error
        for data in (small.files.info, small.files.mod):
            if data is not None:
                self.small_by_peer.add(answer.node_id, len(data), files=1)
        return small

    def _note(self, key: FileKey, node: str, small: Small | None) -> tuple[str, Small] | None:
        if small is None:
            return None
        self._brought[key.module] = (node, small)
        self._brought.move_to_end(key.module)
        if len(self._brought) > _REMEMBERED:
            self._brought.popitem(last=False)
        return node, small

    def _take_brought(self, key: FileKey) -> tuple[str, Small] | None:
        found = self._brought.get(key.module)
        if found is None:
            return None
        files = found[1].files
        return found if (files.info if key.kind is FileKind.INFO else files.mod) is not None else None

    def forget_brought(self, module: ModuleVersion) -> None:
        """What came along for it was wrong, or has been used."""
        self._brought.pop(module, None)

    # Where things are

    async def locate(self, file: FileKey) -> tuple[Holder, ...]:
        """Who holds a zip or `.mod`: what its home says, or the next."""
        return (await self.locate_all([file])).get(file, ())

    async def locate_all(self, files: Sequence[FileKey]) -> dict[FileKey, tuple[Holder, ...]]:
        """The same for many zips and `.mod`s at once; what nobody is known to hold is left out."""
        found: dict[FileKey, tuple[Holder, ...]] = {}
        for start in range(0, len(files), AT_ONCE):
            keys = {key_of_file(self._swarm, file): file for file in files[start : start + AT_ONCE]}
            locations = await self._look_up({key: name_of(file) for key, file in keys.items()})
            for key, location in locations.items():
                if location.holders:
                    found[keys[key]] = location.holders
                    self.sightings.note(keys[key], location.holders)
        return found

    async def _look_up(self, names: dict[bytes, str]) -> dict[bytes, Location]:
        now = trio.current_time()
        search = LookupRound(names, self._around.rendezvous, self._around.strikes, self._latency, now=now)
        async with trio.open_nursery() as nursery:

            async def ask(one: Ask) -> None:
                answer = await self._desk.ask(one)
                now = trio.current_time()
                if isinstance(answer, Found):
                    begin(search.answered(one.ask, answer, now=now))
                else:
                    begin(search.unanswered(one.ask, now=now))
                changed.unpark_all()

            def begin(asks: list[Ask]) -> None:
                for one in asks:
                    nursery.start_soon(ask, one)

            changed = trio.lowlevel.ParkingLot()
            begin(search.start(now=now))
            while not search.is_done:
                with trio.move_on_after(seconds_until(search.next_timer())):
                    await changed.park()
                begin(search.handle_timer(now=trio.current_time()))
            nursery.cancel_scope.cancel()
        return search.found

    async def likely(self, module: ModuleVersion) -> list[str]:
        """Nodes that are likely to know about a module version: its holders and the homes of its small files."""
        holders = await self.locate(FileKey(module, FileKind.MOD)) if not self.is_alone else ()
        homes = self._around.rendezvous.homes(self._mod_key(module))
        return list(dict.fromkeys([*(holder.node for holder in holders), *homes]))

    def _mod_key(self, module: ModuleVersion) -> bytes:
        return key_of_file(self._swarm, FileKey(module, FileKind.MOD))
