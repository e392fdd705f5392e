"""What an object that is given remembers of those who follow it."""

from __future__ import annotations

from p2pmods.mesh.seeds import Seed
from p2pmods.swarm.piecelist import PieceList
from p2pmods.swarm.pieces import ObjectName
from tests.mesh.people import ANN, BOB


async def test_what_was_sent_is_counted_while_one_follows_and_not_kept_beyond() -> None:
    name = ObjectName("example.org/acme/widget", "v1.0.0", bytes(32), None)
    seed = Seed(PieceList(name, None), lambda _offset, length: bytes(length))
    seed.follow(ANN, b"record")
    seed.sent(ANN, 0, 100)
    seed.sent(ANN, 1, 7)
    seed.sent(BOB, 0, 50)
    assert seed.unfollow(ANN) == 107
    seed.sent(ANN, 2, 100)  # it left while this was on its way
    seed.follow(BOB, b"record")
    assert (seed.unfollow(ANN), seed.unfollow(BOB)) == (0, 0)
