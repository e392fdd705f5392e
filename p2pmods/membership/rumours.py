"""What is still to be told: the least told first, each a limited number of times (SWIM, section 4.1)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from p2pmods.membership.messages import MAX_NEWS, Accusation, News
from p2pmods.wire.codec import encode_part

if TYPE_CHECKING:
    from collections.abc import Iterable

    from p2pmods.identity.records import SignedRecord

MAX_RUMOURS: Final = 512
_HEAD: Final = 3  # bytes before a record in a message

Key = tuple[bytes, bytes]  # whom it is about; who accuses it, empty for its own record
Item = bytes | Accusation


@dataclass(slots=True)
class _Rumour:
    item: Item
    told: int = 0


class NewsPaper:
    """News being put together within `room` bytes."""

    def __init__(self, room: int) -> None:
        self._room = room
        self._records: list[bytes] = []
        self._accusations: list[Accusation] = []

    def add(self, item: Item) -> bool:
        """Whether there was room, or it stands there already."""
        shelf: list[bytes] | list[Accusation] = self._records if isinstance(item, bytes) else self._accusations
        if item in shelf:
            return True
        cost = size_of(item)
        if cost > self._room or len(shelf) >= MAX_NEWS:
            return False
        self._room -= cost
        shelf.append(item)  # type: ignore[arg-type]
        return True

    def news(self) -> News:
        return News(tuple(self._records), tuple(self._accusations))


def size_of(item: Item) -> int:
    """Bytes of it in a message, at most."""
    return _HEAD + len(item) if isinstance(item, bytes) else len(encode_part(item))


class Rumours:
    """At most MAX_RUMOURS; beyond that, those go that were told most."""

    def __init__(self) -> None:
        self._rumours: dict[Key, _Rumour] = {}

    def __len__(self) -> int:
        return len(self._rumours)

    def add_record(self, record: SignedRecord) -> None:
        """A new record: what was said of the node before is refuted by it."""
        subject = record.record.public_key
        self.forget(subject)
        self._add((subject, b""), record.raw)

    def add_accusation(self, accusation: Accusation) -> None:
        self._add((accusation.subject, accusation.accuser), accusation)

    def forget(self, subject: bytes) -> None:
        """Nothing more is told about that node."""
        for key in [key for key in self._rumours if key[0] == subject]:
            del self._rumours[key]

    def tell(self, paper: NewsPaper, limit: int) -> None:
        """Fill `paper`; what went out `limit` times is no longer news."""
        for key, rumour in sorted(self._rumours.items(), key=lambda pair: pair[1].told):
            if paper.add(rumour.item):
                rumour.told += 1
                if rumour.told >= limit:
                    del self._rumours[key]

    def _add(self, key: Key, item: Item) -> None:
        if len(self._rumours) >= MAX_RUMOURS and key not in self._rumours:
            del self._rumours[max(self._rumours, key=lambda k: self._rumours[k].told)]
        self._rumours[key] = _Rumour(item)


def fill(room: int, first: Iterable[Item], rumours: Rumours, limit: int) -> News:
    """News of at most `room` bytes: what the receiver most needs, then rumours."""
    paper = NewsPaper(room)
    for item in first:
        paper.add(item)
    rumours.tell(paper, limit)
    return paper.news()
