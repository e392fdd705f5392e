"""A room full of nodes that want the same modules: the directory's machines on the virtual network."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from p2pmods.directory.ability import DATABASE, PROXY, UPLOADS, Ability
from p2pmods.errors import MalformedData
from p2pmods.identity.key import node_id, public_bytes
from p2pmods.identity.records import DIRECTOR, Endpoint, NodeRecord, sign_record
from p2pmods.testing.conditions import LAN
from p2pmods.testing.network import Network
from p2pmods.testing.roomnode import RoomNode

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from p2pmods.testing.conditions import Conditions
    from p2pmods.testing.roomdownload import Download
    from p2pmods.testing.roomnode import Lie

ABLE: Final = Ability(PROXY, DATABASE | UPLOADS, 10)
UNABLE: Final = Ability(PROXY, UPLOADS, 10)  # its GOSUMDB is off
MODULE: Final = "example.com/m@v1.0.0"
PATIENCE: Final = 60.0  # seconds for a claim, unless told otherwise


@dataclass(slots=True)
class Member:
    """A node through all its lives."""

    key: Ed25519PrivateKey
    id: str
    record: bytes
    ability: Ability = ABLE
    lie: Lie | None = None


def member(number: int) -> Member:
    """The same one for the same number."""
    key = Ed25519PrivateKey.from_private_bytes(hashlib.sha256(b"member %d" % number).digest())
    endpoint = Endpoint(f"10.9.{number >> 8 & 255}.{number & 255}", 7000)
    record = NodeRecord(public_bytes(key), bytes(8), 0, (endpoint,), DIRECTOR)
    return Member(key, node_id(key), sign_record(record, key).raw)


class Room:
    """`nodes` members, the first `directors` of whom (64 at most, unless told) are directors and known to all."""

    def __init__(
        self, nodes: int, *, seed: int = 1, directors: int | None = None, conditions: Conditions = LAN
    ) -> None:
        self.network = Network(seed, conditions)
        self.members = [member(number) for number in range(nodes)]
        self.directors = frozenset(m.id for m in self.members[: min(nodes, 64) if directors is None else directors])
        self.views: dict[str, frozenset[str]] = {}  # who sees other directors than all
        self.cold = False  # whether nodes that start wait for others
        self.size = 4 << 20  # bytes of every zip
        self.first_byte = 0.3  # seconds until upstream begins to answer
        self.upstream_takes = 4.0  # seconds for all of it
        self.link_breaks_after = 0.3  # seconds until a node notices that its peer was killed
        self.detection = 3.0  # seconds until the membership knows of a death
        self.spread = 0.0  # seconds within which one node after the other notices that
        self.lost_copies = 0  # begun by nodes that were killed
        for one in self.members:
            self.network.add(one.id, self._starter(one))

    def __getitem__(self, number: int | str) -> RoomNode:
        """The node of a number or id, which is up."""
        name = self.members[number].id if isinstance(number, int) else number
        program = self.network.nodes[name].program
        assert isinstance(program, RoomNode)
        return program

    def key_of(self, module: str) -> bytes:
        """As a swarm names it; raises MalformedData for what is no path@version."""
        if "@" not in module:
            raise MalformedData("module", "no version")
        return hashlib.sha256(module.encode()).digest()[:16]

    def seen_by(self, node: str) -> frozenset[str]:
        """The directors that `node` knows."""
        return self.views.get(node, self.directors)

    def somebody(self) -> str:
        """Any member's id."""
        return self.members[self.network.chance.randrange(len(self.members))].id

    def homes(self, module: str = MODULE) -> tuple[str, ...]:
        """The homes of a module in everybody's view."""
        return self[self.up()[0]].rendezvous.homes(self.key_of(module))

    def is_up(self, name: str) -> bool:
        """Whether the node runs."""
        return self.network.nodes[name].is_up

    def up(self) -> list[str]:
        """The ids of the nodes that run."""
        return [m.id for m in self.members if self.network.nodes[m.id].is_up]

    # What happens in it.

    def want(self, who: Iterable[int | str], module: str = MODULE, *, patience: float = PATIENCE) -> None:
        """All of `who` claim it, in this instant."""
        for number in who:
            name = self.members[number].id if isinstance(number, int) else number
            self.network.touch(name, lambda _, now, name=name: self._want(name, module, now, patience))  # type: ignore[misc]

    def kill(self, name: str) -> None:
        """It dies; the others' membership learns of it a little later."""
        self.lost_copies += sum(download.copies for download in self[name].downloads.values())
        self.network.crash(name)
        self.directors -= {name}
        for other in self.up():
            self._later(self.detection, lambda other=other: self._tell(other))  # type: ignore[misc]
            self._later(self.link_breaks_after, lambda other=other: self._break_link(other, name))  # type: ignore[misc]

    def stop(self, name: str) -> None:
        """It leaves in good order: it says so to its homes, and to all, and is gone."""
        self.network.touch(name, lambda _, now: self[name].leave(now=now))
        self.kill(name)

    def partition(self, *groups: set[str]) -> None:
        """Nobody reaches another group, and after a while nobody counts on it."""
        self.network.partition(*groups)
        for group in groups:
            self.views.update(dict.fromkeys(group, self.directors & group))
        self.network.at(self.network.now + self.detection, self.tell_all)

    def heal(self) -> None:
        """All reach all again, and after a while know it."""
        self.network.heal()
        self.views.clear()
        self.network.at(self.network.now + self.detection, self.tell_all)

    def tell_all(self) -> None:
        """Everybody's membership has arrived at the present view."""
        for name in self.up():
            self._tell(name)

    # What came of it.

    def downloads(self, module: str = MODULE) -> dict[str, Download]:
        """Of the nodes that run and wanted it."""
        key = self.key_of(module)
        return {name: self[name].downloads[key] for name in self.up() if key in self[name].downloads}

    def fetchers(self, module: str = MODULE) -> list[str]:
        """Who fetches it for all, at this moment."""
        key = self.key_of(module)
        return [name for name in self.up() if key in self[name].fetching]

    def copies(self) -> int:
        """Downloads from upstream that were begun, by anyone."""
        alive = sum(d.copies for name in self.up() for d in self[name].downloads.values())
        return alive + self.lost_copies

    def run_until_all_have_it(self, module: str = MODULE, *, within: float = 60.0) -> float | None:
        """How long that took; None when it did not happen."""

        def all_have_it() -> bool:
            return all(download.got >= self.size for download in self.downloads(module).values())

        return self.network.run_until(all_have_it, within=within)

    def _later(self, seconds: float, do: Callable[[], None]) -> None:
        self.network.at(self.network.now + seconds + self.network.chance.uniform(0, self.spread), do)

    def _tell(self, name: str) -> None:
        self.network.touch(name, lambda _, now: self[name].see(self.seen_by(name), now=now))

    def _break_link(self, name: str, gone: str) -> None:
        self.network.touch(name, lambda _, now: self[name].link_broke(gone, now=now))

    def _want(self, name: str, module: str, now: float, patience: float) -> None:
        self[name].want(module, now=now, patience=patience)

    def _starter(self, one: Member) -> Callable[..., RoomNode]:
        return lambda now, chance: RoomNode(self, one, now, chance)
