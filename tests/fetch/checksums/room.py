"""Nodes that hear each other, each question and answer through its bytes; who lies, and who was blamed for it."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import trio

from p2pmods.errors import PeerError
from p2pmods.fetch.checksum_database import DatabaseChecksums
from p2pmods.wire.codec import decode, encode

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence
    from pathlib import Path

    from p2pmods.fetch.checksums import Alarm
    from p2pmods.gomod.module import ModuleVersion
    from p2pmods.wire.proofs import Question
    from tests.fetch.checksums.world import LogSource

    Lie = Callable[[object, object], object]


@dataclass
class Room:
    """The nodes by their ids. `lies` turn a peer's answers into others; who is in `away` is not heard."""

    nodes: dict[str, DatabaseChecksums] = field(default_factory=dict)
    lies: dict[str, Lie] = field(default_factory=dict)
    away: set[str] = field(default_factory=set)
    questions: list[object] = field(default_factory=list)
    blamed: list[PeerError] = field(default_factory=list)
    alarms: list[Alarm] = field(default_factory=list)

    @asynccontextmanager
    async def open(
        self,
        node_id: str,
        data: Path,
        source: LogSource,
        *,
        key: str | None = None,
        gopath: Path | None = None,
        private: str = "",
    ) -> AsyncIterator[DatabaseChecksums]:
        """A node of the room from its start to its end; its state is in `data`."""
        async with trio.open_nursery() as nursery:
            self.nodes[node_id] = DatabaseChecksums(
                key or source.log.verifier_key,
                data=data,
                source=source,
                nursery=nursery,
                gopath=gopath,
                on_alarm=self.alarms.append,
                peers=Seat(self, node_id),
                may_name=lambda path: path != private,
            )
            yield self.nodes[node_id]
            del self.nodes[node_id]
            nursery.cancel_scope.cancel()


@dataclass
class Seat:
    """The room as one node hears it."""

    room: Room
    node_id: str

    async def candidates(self, module: ModuleVersion | None) -> Sequence[str]:
        if self.node_id in self.room.away:
            return ()
        return [other for other in self.room.nodes if other != self.node_id and other not in self.room.away]

    async def ask(self, node_id: str, question: Question) -> object:
        await trio.lowlevel.checkpoint()
        asked = decode(encode(question))
        self.room.questions.append(asked)
        if node_id not in self.room.nodes:
            raise PeerError(node_id, "is gone")
        answer: object = self.room.nodes[node_id].reply(asked)
        lie = self.room.lies.get(node_id)
        return decode(encode(answer if lie is None else lie(asked, answer)))

    def blame(self, error: PeerError) -> None:
        self.room.blamed.append(error)
