"""What this node owes: zips that it fetched for all, until two others have them; a node that leaves gives them on."""

from __future__ import annotations

from collections import Counter, OrderedDict
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

import trio

if TYPE_CHECKING:
    from collections.abc import Iterator

    from p2pmods.directory.tenure import Tenure
    from p2pmods.gomod.module import FileKey

MAX_OWED: Final = 256  # the one fetched longest ago goes first
LULL: Final = 0.3  # seconds in which who took the beginning comes back for the rest, in pieces


class Handover:
    """Of one node in one swarm. Who gives says who takes."""

    def __init__(self) -> None:
        self._owed: OrderedDict[FileKey, Tenure] = OrderedDict()
        self._takers: Counter[FileKey] = Counter()
        self._changed = trio.lowlevel.ParkingLot()

    def owe(self, key: FileKey, tenure: Tenure) -> None:
        """This node fetches the zip under that lease."""
        self._owed[key] = tenure
        self._owed.move_to_end(key)
        if len(self._owed) > MAX_OWED:
            self._owed.popitem(last=False)

    @contextmanager
    def taking(self, key: FileKey) -> Iterator[None]:
        """While the block runs a peer takes the file from here."""
        self._takers[key] += 1
        self._changed.unpark_all()
        try:
            yield
        finally:
            self._takers[key] -= 1
            self._takers += Counter()  # nothing is kept for nobody
            self._changed.unpark_all()

    def took(self, key: FileKey, node: str) -> None:
        """`node` has all of it now."""
        tenure = self._owed.get(key)
        if tenure is not None:
            tenure.served(node)
            if not tenure.is_obliged:
                del self._owed[key]

    async def end(self) -> None:
        """Go on giving while somebody takes what is owed, two seconds at most; at once when nobody does."""
        now = trio.current_time()
        until = max((self._owed[key].leaves_at(now=now) for key in self._wanted()), default=now)
        with trio.move_on_at(until):
            while self._wanted():
                await self._changed.park()
                with trio.move_on_after(LULL):
                    while not self._wanted():
                        await self._changed.park()

    def _wanted(self) -> list[FileKey]:
        """What is owed and taken at this moment."""
        return [key for key in self._takers if key in self._owed and self._owed[key].is_obliged]
