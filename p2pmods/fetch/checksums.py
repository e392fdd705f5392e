"""What the rest of the node sees of a checksum database, and the one that is switched off."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

import trio

from p2pmods.errors import Unavailable
from p2pmods.fetch.checksum_meeting import PeerHead
from p2pmods.store.checksum_files import Alarm
from p2pmods.sumdb.records import Proof
from p2pmods.wire.proofs import NotHeld

if TYPE_CHECKING:
    from p2pmods.gomod.module import ModuleVersion
    from p2pmods.wire.proofs import Question, RecordBundle, Reply

__all__ = ["Alarm", "ChecksumStatistics", "Checksums", "NoChecksums", "PeerHead", "Proof"]


@dataclass(frozen=True, slots=True)
class ChecksumStatistics:
    """`state`: ok (a verified head is held), unreached (none yet), frozen (`alarm` says why, see DATA/evidence), off.

    `tree_size` and `heads` are those of S and H, `records` the lookup answers on disk, `problem` what went wrong
    last with the local clients' heads or the disk.
    """

    name: str
    state: Literal["ok", "unreached", "frozen", "off"]
    tree_size: int | None = None
    records: int = 0
    heads: int = 0
    alarm: Alarm | None = None
    problem: str | None = None


class Checksums(Protocol):
    """One checksum database. Errors: NotFound (it has no such thing), Unavailable (cannot answer now), SumdbError
    (an answer that proves nothing), SumdbSecurityError (the database contradicts itself; it is frozen).
    """

    @property
    def name(self) -> str: ...
    async def supported(self) -> None:
        """Returns when 200 may be said: a verified head is held, now at the latest."""

    async def lookup(self, module: ModuleVersion) -> bytes:
        """The lookup answer: the record and the note of S."""

    async def tile(self, path: str) -> bytes:
        """The tile at `8/<level>/<index>[.p/<width>]`, exactly that wide, or the data tile at `8/data/…`."""

    async def latest(self) -> bytes:
        """The note of S."""

    async def prove(self, module: ModuleVersion) -> Proof:
        """What the database states about `module`, proven; fetched when it is not held."""

    def held_proof(self, module: ModuleVersion) -> Proof | None:
        """The same without waiting, from what is held."""

    async def receive(self, module: ModuleVersion, bundle: RecordBundle, node_id: str) -> Proof:
        """As `prove`, from what the peer sent along; only what is missing in it is asked for, and of that peer.

        PeerError when it proves nothing; Unavailable when nothing connects the peer's tree with S.
        The record is kept, so lookups of the local go pass from then on.
        """

    def reply(self, question: Question) -> Reply:
        """The answer to a peer: from what is held and proven, without waiting."""

    def stand(self) -> tuple[int, int]:
        """What an AskRecord of this node says: the size of its tree, and how many levels of tiles it may lack."""

    async def note_peer_head(self, note: bytes, node_id: str) -> PeerHead:
        """A peer holds this tree head: compare it and, while there is an upstream, connect it with S.

        PeerError when the database did not sign it. Tell each head when it is first seen, and again in some minutes
        after LATER.
        """

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Watch the heads that local clients hold, until cancelled."""

    def statistics(self) -> ChecksumStatistics: ...


class NoChecksums:
    """GOSUMDB=off: proves nothing, and says so."""

    name = "off"

    async def supported(self) -> None:
        raise Unavailable("checksum database", "is off (GOSUMDB)")

    async def lookup(self, module: ModuleVersion) -> bytes:
        raise Unavailable("checksum database", f"is off (GOSUMDB), no lookup of {module}")

    async def tile(self, path: str) -> bytes:
        raise Unavailable("checksum database", f"is off (GOSUMDB), no tile/{path}")

    async def latest(self) -> bytes:
        raise Unavailable("checksum database", "is off (GOSUMDB)")

    async def prove(self, module: ModuleVersion) -> Proof:
        raise Unavailable("checksum database", f"is off (GOSUMDB), no proof of {module}")

    def held_proof(self, module: ModuleVersion) -> Proof | None:
        return None

    async def receive(self, module: ModuleVersion, bundle: RecordBundle, node_id: str) -> Proof:
        raise Unavailable("checksum database", f"is off (GOSUMDB), no proof of {module}")

    def reply(self, question: Question) -> Reply:
        return NotHeld()

    async def note_peer_head(self, note: bytes, node_id: str) -> PeerHead:
        return PeerHead.LATER

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        task_status.started()

    def stand(self) -> tuple[int, int]:
        return 0, 0

    def statistics(self) -> ChecksumStatistics:
        return ChecksumStatistics(self.name, "off")
