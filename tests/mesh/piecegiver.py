"""What a member says and gives who has a large zip, and whatever may be wrong with it."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import trio

from p2pmods.identity.key import public_bytes
from p2pmods.swarm.bits import first_bits, pack
from p2pmods.swarm.piecelist import PieceList
from p2pmods.swarm.pieces import PIECE, Follow, Followed, GetPieces, Have, Pieces, count_of, pack_news

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    from p2pmods.mesh.call import Call, Handler
    from p2pmods.swarm.pieces import ObjectName
    from tests.mesh.hostile import Eve


class PieceGiver:
    """Honest about `data`, unless `listed` is something else; `bodies` stand in for pieces, by their number."""

    def __init__(self, data: bytes, listed: bytes | None = None, bodies: dict[int, bytes] | None = None) -> None:
        self.data = data
        self.listed = data if listed is None else listed
        self.bodies = bodies or {}
        self.asked: list[int] = []

    def give(self, eve: Eve) -> None:
        """She answers so from now on."""
        eve.answers[Follow] = self.following(eve.key)
        eve.answers[GetPieces] = self.get

    def following(self, key: Ed25519PrivateKey) -> Handler:
        async def follow(call: Call) -> None:
            await call.reply_stream(Followed())
            await call.send(self.news(call.message.name, key))
            await trio.sleep_forever()

        return follow

    def list(self, name: ObjectName, key: Ed25519PrivateKey) -> PieceList:
        made = PieceList(name, public_bytes(key))
        for at in range(0, len(self.listed), PIECE):
            made.append(hashlib.sha256(self.listed[at : at + PIECE]).digest())
        made.finish(len(self.listed))
        return made

    def news(self, name: ObjectName, key: Ed25519PrivateKey) -> bytes:
        """The whole list, and that everything is there."""
        part = self.list(name, key).part(0, key)
        assert part is not None
        count = count_of(len(self.listed))
        return pack_news(part) + pack_news(Have(pack(first_bits(count), count)))

    async def get(self, call: Call) -> None:
        wanted: GetPieces = call.message
        await call.reply_stream(Pieces())
        for piece in range(wanted.first, wanted.first + wanted.count):
            self.asked.append(piece)
            await call.send(self.bodies.get(piece, self.data[piece * PIECE : (piece + 1) * PIECE]))
        await call.end()
