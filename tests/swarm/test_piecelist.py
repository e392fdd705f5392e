"""A piece list is what its maker signed, whoever passed it on, and never grows by anybody else."""

from __future__ import annotations

import hashlib

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from p2pmods.errors import MalformedData
from p2pmods.identity.key import public_bytes
from p2pmods.swarm.piecelist import PieceList
from p2pmods.swarm.pieces import MAX_PIECES, PIECE, STEP, ListGrew, ObjectName
from p2pmods.wire.codec import evolve

MAKER, OTHER = (Ed25519PrivateKey.from_private_bytes(bytes([n]) * 32) for n in (1, 2))
SIGNER = public_bytes(MAKER)
GROWING = ObjectName("example.org/acme/widget", "v1.0.0", None, b"t" * 16)
WHOLE = ObjectName("example.org/acme/widget", "v1.0.0", b"s" * 32, None)


def digest(number: int) -> bytes:
    return hashlib.sha256(b"%d" % number).digest()


def made(
    count: int, *, name: ObjectName = GROWING, complete: bool = False, key: Ed25519PrivateKey = MAKER
) -> PieceList:
    pieces = PieceList(name, public_bytes(key))
    for number in range(count):
        pieces.append(digest(number))
    if complete:
        pieces.finish(count * PIECE)
    return pieces


def part_of(pieces: PieceList, start: int = 0, key: Ed25519PrivateKey | None = MAKER) -> ListGrew:
    part = pieces.part(start, key)
    assert part is not None
    return part


def test_a_list_travels_by_its_parts_and_is_passed_on() -> None:
    source = made(2 * STEP + 7)
    first, second = PieceList(GROWING, SIGNER), PieceList(GROWING, SIGNER)
    while (part := source.part(len(first.hashes), MAKER)) is not None:
        assert first.extend(part)
    source.finish((2 * STEP + 7) * PIECE - 5)
    assert first.extend(part_of(source, len(first.hashes)))
    assert (first.hashes, first.length) == (source.hashes, source.length)
    while not second.is_complete:
        assert second.extend(part_of(first, len(second.hashes), None))
    assert (second.hashes, second.length) == (source.hashes, source.length)


def test_a_length_that_is_not_that_of_the_pieces_is_refused() -> None:
    for length in (0, 2 * PIECE, 3 * PIECE + 1):
        source = made(3)
        source.finish(length)
        with pytest.raises(MalformedData):
            PieceList(GROWING, SIGNER).extend(part_of(source))


def test_there_are_no_more_pieces_than_the_largest_zip_has() -> None:
    source, pieces = made(MAX_PIECES + 1), PieceList(GROWING, SIGNER)
    while len(pieces.hashes) + STEP <= MAX_PIECES:
        assert pieces.extend(part_of(source, len(pieces.hashes)))
    with pytest.raises(MalformedData):
        pieces.extend(part_of(source, len(pieces.hashes)))


def test_what_is_known_already_changes_nothing() -> None:
    pieces, source = PieceList(GROWING, SIGNER), made(5)
    early = part_of(made(3))
    assert pieces.extend(part_of(source))
    assert pieces.extend(early)
    assert pieces.extend(evolve(early, signature=bytes(64)))  # it says nothing that is not known
    assert len(pieces.hashes) == 5
    assert pieces.part(5, None) is None


def test_only_its_maker_makes_a_list_longer() -> None:
    pieces = PieceList(GROWING, SIGNER)
    assert pieces.extend(part_of(made(3)))
    good = part_of(made(6), 3)
    for bad in (
        evolve(good, hashes=good.hashes[:-32] + digest(99)),
        evolve(good, hashes=good.hashes[:-32]),
        evolve(good, length=6 * PIECE),
        evolve(good, signature=bytes(64)),
    ):
        with pytest.raises(MalformedData):
            pieces.extend(bad)
        assert len(pieces.hashes) == 3
        assert not pieces.is_complete
    assert pieces.extend(good)


def test_a_list_for_another_object_is_none_for_this_one() -> None:
    for name in (evolve(GROWING, token=b"u" * 16), evolve(GROWING, version="v1.0.1"), WHOLE):
        with pytest.raises(MalformedData):
            PieceList(GROWING, SIGNER).extend(part_of(made(3, name=name)))


def test_of_a_growing_object_only_the_fetcher_makes_the_list() -> None:
    with pytest.raises(MalformedData, match="fetcher"):
        PieceList(GROWING, SIGNER).extend(part_of(made(3, key=OTHER), key=OTHER))


def test_of_a_whole_object_anybody_does_and_equal_lists_are_one() -> None:
    pieces = PieceList(WHOLE)
    assert pieces.extend(part_of(made(3, name=WHOLE)))
    theirs = made(4, name=WHOLE, key=OTHER, complete=True)
    assert pieces.extend(part_of(theirs, 0, OTHER))
    assert pieces.length == 4 * PIECE
    assert PieceList(WHOLE).extend(part_of(pieces, 0, None))  # signed by the other one, as far as it goes


def test_another_list_is_noticed() -> None:
    pieces = PieceList(WHOLE)
    assert pieces.extend(part_of(made(3, name=WHOLE, complete=True)))
    other = PieceList(WHOLE, public_bytes(OTHER))
    for number in (0, 1, 7):
        other.append(digest(number))
    assert not pieces.extend(part_of(other, 0, OTHER))
    assert not pieces.extend(part_of(made(4, name=WHOLE, key=OTHER), 0, OTHER))  # longer than the complete one
    shorter = made(3, name=WHOLE, key=OTHER)
    shorter.finish(3 * PIECE - 1)
    assert not pieces.extend(part_of(shorter, 0, OTHER))
    assert pieces.length == 3 * PIECE


def test_nonsense_is_refused() -> None:
    good = part_of(made(3))
    for bad in (evolve(good, start=1), evolve(good, length=5 * PIECE), evolve(good, length=0)):
        with pytest.raises(MalformedData):
            PieceList(GROWING, SIGNER).extend(bad)


def test_a_length_that_came_with_the_last_step_is_signed_anew() -> None:
    source, pieces = made(STEP), PieceList(GROWING, SIGNER)
    assert pieces.extend(part_of(source))
    source.finish(STEP * PIECE)
    assert pieces.extend(part_of(source, STEP))
    assert PieceList(GROWING, SIGNER).extend(part_of(pieces, 0, None))
