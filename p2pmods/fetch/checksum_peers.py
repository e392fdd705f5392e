"""The log as one peer has it: a source like the upstream, and nothing of it is believed before it is proven."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol, TypeVar

import trio

from p2pmods.errors import PeerError, Unavailable
from p2pmods.sumdb.bundle import MAX_LEVELS
from p2pmods.sumdb.note import trim_note
from p2pmods.sumdb.records import Record, format_lookup
from p2pmods.wire.proofs import (
    AskHead,
    AskRecord,
    AskTile,
    HeadBundle,
    NotHeld,
    Question,
    RecordBundle,
    TileBytes,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from p2pmods.fetch.checksum_log import CheckedLog
    from p2pmods.gomod.module import ModuleVersion
    from p2pmods.sumdb.tiles import Position, Tile

DEADLINE: Final = 5.0  # seconds for one answer, which a peer gives from what it holds
_FEW: Final = 8  # tiles of one level, above which they are not counted one by one

T = TypeVar("T")


class PeerChecksumSource(Protocol):
    """The mesh, as far as the checksum database needs it."""

    async def candidates(self, module: ModuleVersion | None) -> Sequence[str]:
        """Node ids worth asking, the best first: for the record of `module`, or for heads and tiles in general."""

    async def ask(self, node_id: str, question: Question) -> object:
        """The message that the peer answers, decoded. PeerError when it breaks the protocol, refuses or is gone."""

    def blame(self, error: PeerError) -> None:
        """What this peer gave was wrong or late."""


class NoPeers:
    """There is no mesh."""

    async def candidates(self, module: ModuleVersion | None) -> Sequence[str]:
        return ()

    async def ask(self, node_id: str, question: Question) -> object:
        raise PeerError(node_id, "cannot be asked: this node is in no swarm")

    def blame(self, error: PeerError) -> None:
        return


class PeerLog:
    """A LogSource for one piece of work. What the peer's first answer brought along is not asked for again.

    Of its notes only what the database signed is passed on: anybody can add signatures, and the note of S is kept and
    handed out.
    """

    def __init__(
        self, log: CheckedLog, peers: PeerChecksumSource, node_id: str, bundle: RecordBundle | None = None
    ) -> None:
        self.node_id = node_id
        self._log = log
        self._peers = peers
        self._bundle = bundle
        self._note: bytes | None = None
        self._brought: dict[Position, bytes] = {}

    async def latest(self) -> bytes:
        if self._note is None:
            question = AskHead(self._log.name, _size(self._log))
            return self._take(await self._ask(question, HeadBundle, "a tree head"))
        return self._note

    async def lookup(self, module: ModuleVersion) -> bytes:
        if self._bundle is None:
            self._bundle = await self._ask(self._question(module), RecordBundle, f"the record of {module}")
        bundle = self._bundle
        return format_lookup(Record(bundle.id, bundle.text), self._take(bundle))

    async def tile(self, tile: Tile) -> bytes:
        brought = self._brought.get(tile.position, b"")
        if len(brought) >= tile.size:
            return brought[: tile.size]
        question = AskTile(self._log.name, tile.level, tile.index, tile.width)
        answer = await self._ask(question, TileBytes, f"tile/{tile.path}")
        if len(answer.hashes) != tile.size:
            raise PeerError(self.node_id, f"sent {len(answer.hashes)} bytes for tile/{tile.path}")
        return answer.hashes

    def _question(self, module: ModuleVersion) -> AskRecord:
        try:
            return AskRecord(self._log.name, module.path, module.version, _size(self._log), levels_wanted(self._log))
        except ValueError as error:
            raise Unavailable(self.node_id, f"cannot be asked for {module}: {error}") from error

    def _take(self, bundle: RecordBundle | HeadBundle) -> bytes:
        """Remember the tiles that came along, and the note, which is returned. MalformedData when that is none."""
        self._note = trim_note(bundle.note, self._log.verifier)
        self._brought |= {(tile.level, tile.index): tile.hashes for tile in bundle.tiles}
        return self._note

    async def _ask(self, question: Question, wanted: type[T], what: str) -> T:
        try:
            with trio.fail_after(DEADLINE):
                answer = await self._peers.ask(self.node_id, question)
        except trio.TooSlowError:
            raise PeerError(self.node_id, f"did not answer for {what} within {DEADLINE:.0f} seconds") from None
        if isinstance(answer, NotHeld):
            raise Unavailable(self.node_id, f"does not hold {what}")
        if not isinstance(answer, wanted):
            raise PeerError(self.node_id, f"answered with a {type(answer).__name__} when asked for {what}")
        return answer


def levels_wanted(log: CheckedLog) -> int:
    """How many of the lowest tiles of a record's chain may be missing here: the levels above are held whole."""
    size = _size(log)
    if not size:
        return MAX_LEVELS
    for level in reversed(range((size.bit_length() + 7) // 8)):
        count = -(-(size >> 8 * level) // 256)
        if count > _FEW or any(log.held_tile((level, index)) is None for index in range(count)):
            return level + 1
    return 0


def _size(log: CheckedLog) -> int:
    return log.head.size if log.head else 0
