"""Which zips leave a store that holds more than it may: a decision about figures, made without looking at a file.

Above high water zips leave, in the order of `in_order`, until low water is reached. What is in use stays whatever the
figures say: a store that is over its limit costs room, and a zip that goes while a build reads it costs the build.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from p2pmods.gomod.module import FileKey

HIGH_WATER: Final = 0.8  # parts of the limit
LOW_WATER: Final = 0.6
IN_USE: Final = 3600.0  # seconds since it was asked for, or came: a build may still be at work with it


@dataclass(frozen=True, slots=True)
class HeldZip:
    """A zip in the store, last `used` at a Unix time: asked for by a client of this machine, or else when it came.

    `is_cached`: the user's module cache has one with the same h1. `is_from_vcs`: it came from version control, where
    a tag or a repository may be gone tomorrow.
    """

    key: FileKey
    size: int
    sha256: str
    used: float
    is_cached: bool
    is_from_vcs: bool = False


def is_above(held: int, limit: int) -> bool:
    """Whether a store with `held` bytes is above high water."""
    return held > limit * HIGH_WATER


def surplus(held: int, limit: int) -> int:
    """How many of the `held` bytes should go: those above low water, once high water is passed."""
    return held - int(limit * LOW_WATER) if is_above(held, limit) else 0


def in_order(zips: Iterable[HeldZip], *, now: float) -> list[HeldZip]:
    """Those that may go, the first one first: what the module cache has too, then what was not used for longest, and
    after all others what came from version control, for no mirror need have it.

    A time in the future counts as now, for the clock may have been set back: what is in use is not known then.
    """
    free = [one for one in zips if now - one.used >= IN_USE]
    return sorted(free, key=lambda one: (not one.is_cached, one.is_from_vcs, one.used, one.key))


def last_copies_last(ordered: Iterable[HeldZip], elsewhere: Collection[FileKey]) -> list[HeldZip]:
    """The same, those last that are neither in the module cache nor `elsewhere`: they could not be had again."""
    return sorted(ordered, key=lambda one: not (one.is_cached or one.key in elsewhere))


def enough(ordered: Iterable[HeldZip], size: int) -> list[HeldZip]:
    """The first of them that together have `size` bytes, and not one more; all of them when they have less."""
    chosen = []
    for one in ordered:
        if size <= 0:
            break
        chosen.append(one)
        size -= one.size
    return chosen
