"""Which links there are, and which of two to one peer remains."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

    from p2pmods.mesh.link import Link

SAME_MOMENT: Final = 2.0  # seconds within which two nodes may have dialled each other without knowing it


class Table:
    """Links by peer. Of each pair of nodes one link remains, the same one at both ends."""

    def __init__(self, node_id: str) -> None:
        self._node_id = node_id
        self._all: dict[Link, None] = {}
        self._current: dict[str, Link] = {}

    def __iter__(self) -> Iterator[Link]:
        return iter(list(self._all))

    def __len__(self) -> int:
        return len(self._all)

    def find(self, peer: str) -> Link | None:
        """The link over which `peer` is asked."""
        link = self._current.get(peer)
        if link is None or link.is_usable:
            return link
        others = [other for other in self._all if other.peer == peer and other.is_usable]
        if others:
            self._current[peer] = others[-1]
            return others[-1]
        del self._current[peer]
        return None

    def linked(self) -> frozenset[str]:
        return frozenset(peer for peer, link in self._current.items() if link.is_usable)

    def add(self, link: Link) -> None:
        """A connection, to whomever."""
        self._all[link] = None

    def admit(self, link: Link) -> Link | None:
        """`link` leads to its peer. Returns the link that is to be given up by this side for it, if one is."""
        rival = self.find(link.peer)
        if rival is None or rival is link:
            self._current[link.peer] = link
            return None
        survivor = self._survivor(rival, link)
        loser = rival if survivor is link else link
        self._current[link.peer] = survivor
        # Of two that one side dialled, that side alone says which: the other may have seen them in another order.
        return loser if loser.is_dialler or survivor.is_dialler else None

    def remove(self, link: Link) -> None:
        self._all.pop(link, None)
        if self._current.get(link.peer) is link:
            self.find(link.peer)

    def _survivor(self, older: Link, newer: Link) -> Link:
        if older.is_dialler is newer.is_dialler or newer.began - older.began > SAME_MOMENT:
            return newer  # whoever dials again has lost the older one, or will
        return min(older, newer, key=self._dialler_of)

    def _dialler_of(self, link: Link) -> str:
        return self._node_id if link.is_dialler else link.peer
