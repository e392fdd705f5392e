"""The checksum database among peers: their questions answered, and ours put to those who are likely to know."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import trio

from p2pmods.errors import PeerError
from p2pmods.wire.proofs import AskHead, AskRecord, AskTile, HeadBundle

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from p2pmods.directory.strikes import Strikes
    from p2pmods.gomod.module import ModuleVersion
    from p2pmods.mesh.call import Call
    from p2pmods.mesh.links import Links
    from p2pmods.mesh.peers import Peers
    from p2pmods.wire.proofs import Question, Reply

DEADLINE: Final = 5.0  # seconds for an answer, which a peer gives from what it holds
MOST: Final = 8  # nodes named as worth asking


class ChecksumPeers:
    """What the checksum database's client needs of the mesh (a PeerChecksumSource)."""

    def __init__(
        self, links: Links, peers: Peers, strikes: Strikes, reply: Callable[[Question], Reply], database: str
    ) -> None:
        self._links = links
        self._peers = peers
        self._strikes = strikes
        self._reply = reply
        self._database = database
        for question in (AskRecord, AskTile, AskHead):
            links.on(question, self._answer)

    async def candidates(self, module: ModuleVersion | None) -> Sequence[str]:
        """Who holds the module's files, then its homes, then whoever is linked."""
        likely = await self._peers.likely(module) if module is not None else []
        found = dict.fromkeys([*likely, *sorted(self._links.linked())])
        struck = self._strikes.struck(now=trio.current_time())
        return [node for node in found if node not in struck and node != self._links.node_id][:MOST]

    async def ask(self, node_id: str, question: Question) -> object:
        """Raises PeerError."""
        answer = await self._links.request(node_id, question, deadline=trio.current_time() + DEADLINE)
        await answer.discard()
        message: object = answer.message
        return message

    async def head_of(self, node_id: str) -> bytes | None:
        """The note of the peer's tree head, None when it has none. Raises PeerError."""
        answer = await self.ask(node_id, AskHead(self._database, None))
        return answer.note if isinstance(answer, HeadBundle) else None

    async def compare_heads(self, node_id: str, note_head: Callable[[bytes, str], Awaitable[object]]) -> None:
        """The database must have told this peer the same story: hand its tree head to `note_head`."""
        try:
            note = await self.head_of(node_id)
            if note is not None:
                await note_head(note, node_id)
        except PeerError as error:
            self.blame(error)

    def blame(self, error: PeerError) -> None:
        """What this peer gave was wrong or late."""
        self._strikes.strike(error.node_id, now=trio.current_time())

    async def _answer(self, call: Call) -> None:
        await call.reply(self._reply(call.message))
