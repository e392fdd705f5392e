"""What the mesh is given by the node that it is a part of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from p2pmods.config.values import Address, UploadLimit
    from p2pmods.directory.ability import Ability
    from p2pmods.gomod.module import FileKey
    from p2pmods.mesh.giving import Shelf
    from p2pmods.wire.proofs import Question, Reply


@dataclass(frozen=True, slots=True)
class MeshSettings:
    """`mdns`: whether the network is asked for nodes, by multicast and by DNS. `may_meet`: False where nobody waits
    for others at the start (`CI`). `started`: when the process did, in trio's time. `metered`: the user's word on the
    connection, None without one."""

    data: Path
    listen: Address | None
    peers: tuple[Address, ...]
    mdns: bool
    upload_limit: UploadLimit
    metered: bool | None
    is_seed: bool
    may_meet: bool
    started: float


@dataclass(frozen=True, slots=True)
class Outlook:
    """What the mesh needs of the rest of the node. `tree`: see Peers; `reply` and `note_head` are the checksum
    database's side of things."""

    shelf: Shelf
    ability: Callable[[], Ability]
    tree: Callable[[], tuple[int, int]]
    reply: Callable[[Question], Reply]
    note_head: Callable[[bytes, str], Awaitable[object]]
    on_given: Callable[[str, FileKey, int], None]
    on_network_change: Callable[[], None]
