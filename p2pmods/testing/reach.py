"""Who reaches whom on the virtual network."""

from __future__ import annotations


class Reach:
    """Everyone, at first. Partitions cut both ways, and datagrams and links alike; the rest is finer."""

    def __init__(self) -> None:
        self._group: dict[str, int] = {}
        self._blocked: set[tuple[str, str]] = set()
        self._without_datagrams: set[str] = set()
        self._without_links: set[str] = set()

    def partition(self, *groups: set[str]) -> None:
        """Instead of an earlier partition."""
        self._group = {name: number for number, names in enumerate(groups) for name in names}

    def heal(self) -> None:
        self._group.clear()
        self._blocked.clear()
        self._without_datagrams.clear()
        self._without_links.clear()

    def block(self, sender: str, receiver: str) -> None:
        """One way only: what `sender` sends does not reach `receiver`."""
        self._blocked.add((sender, receiver))

    def block_datagrams(self, name: str) -> None:
        """As a firewall that lets no UDP through, in or out."""
        self._without_datagrams.add(name)

    def block_links(self, name: str) -> None:
        """As a firewall that lets no TCP through, in or out."""
        self._without_links.add(name)

    def by_datagram(self, sender: str, receiver: str) -> bool:
        return not self._without_datagrams & {sender, receiver} and self._open(sender, receiver)

    def by_link(self, sender: str, receiver: str) -> bool:
        """A link needs both directions."""
        if self._without_links & {sender, receiver}:
            return False
        return self._open(sender, receiver) and self._open(receiver, sender)

    def _open(self, sender: str, receiver: str) -> bool:
        ours, theirs = self._group.get(sender), self._group.get(receiver)
        return (ours is None or theirs is None or ours == theirs) and (sender, receiver) not in self._blocked
