"""Sets of pieces, as the bits of an integer: bit i is piece i."""

from __future__ import annotations

from typing import TYPE_CHECKING

from p2pmods.errors import MalformedData

if TYPE_CHECKING:
    from collections.abc import Iterator

    from p2pmods.wire.entropy import Entropy


def first_bits(count: int) -> int:
    """The pieces before `count`."""
    return (1 << count) - 1


def span(first: int, count: int) -> int:
    """`count` pieces from `first`."""
    return first_bits(count) << first


def lowest(bits: int) -> int:
    """The first piece of a set that is not empty."""
    return (bits & -bits).bit_length() - 1


def run_length(bits: int, first: int, most: int) -> int:
    """How many pieces from `first` on are in the set without a gap, `most` at most."""
    missing = ~(bits >> first) & first_bits(most)
    return lowest(missing) if missing else most


def some_piece(bits: int, entropy: Entropy) -> int:
    """A random piece of a set that is not empty: the first one from a random place on."""
    start = int(entropy.random() * bits.bit_length())
    return start + lowest(rest) if (rest := bits >> start) else lowest(bits)


def pieces_of(bits: int) -> Iterator[int]:
    """All of them, in order."""
    while bits:
        yield (one := lowest(bits))
        bits ^= 1 << one


def pack(bits: int, count: int) -> bytes:
    """The pieces before `count`: piece 0 is the lowest bit of the first byte."""
    return (bits & first_bits(count)).to_bytes((count + 7) // 8, "little")


def unpack(data: bytes, most: int) -> int:
    """The inverse. Raises MalformedData for a piece from `most` on."""
    bits = int.from_bytes(data, "little")
    if bits >> most:
        raise MalformedData("piece set", f"a piece from {most} on")
    return bits
