"""Who was last said to hold a file: for the day on which nobody does."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from p2pmods.directory.messages import Holder
    from p2pmods.gomod.module import FileKey

MAX_FILES: Final = 8192  # remembered, the latest


@dataclass(frozen=True, slots=True)
class Sighting:
    """The directory named `node` as a holder; `at` is Unix time."""

    node: str
    at: float


class Sightings:
    """By file, from the directory's answers. `clock` gives Unix time."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._last: OrderedDict[FileKey, Sighting] = OrderedDict()

    def note(self, file: FileKey, holders: Iterable[Holder]) -> None:
        """An answer about `file`; one that names nobody changes nothing."""
        for holder in holders:
            self._last[file] = Sighting(holder.node, self._clock())
            self._last.move_to_end(file)
            if len(self._last) > MAX_FILES:
                self._last.popitem(last=False)
            return

    def last(self, file: FileKey) -> Sighting | None:
        return self._last.get(file)
