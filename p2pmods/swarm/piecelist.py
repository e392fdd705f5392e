"""The list of an object's pieces: their SHA-256s, signed by whoever made it, and growing while it fetches.

A list is signed as far as it goes, by its length so far and a hash over all of it; so whoever holds it can pass it
on, and nobody but its maker can make it longer. Who holds the list can tell a wrong piece by itself. What the list
does not tell is whether the object is the right one: that is verified when it is whole.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final

from p2pmods.errors import MalformedData
from p2pmods.identity.signing import check_signature, sign
from p2pmods.swarm.messages import SHA256_SIZE
from p2pmods.swarm.pieces import MAX_PIECES, STEP, ListGrew, count_of

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    from p2pmods.swarm.pieces import ObjectName

_DOMAIN: Final = "piece list"
_GROWING: Final = (1 << 64) - 1


class PieceList:
    """As much of the list as is known. `signer` is the maker's public key; None until somebody's list is taken."""

    def __init__(self, name: ObjectName, signer: bytes | None = None) -> None:
        self.name = name
        self.signer = signer
        self.hashes: list[bytes] = []
        self.length: int | None = None  # of the object in bytes, once the list is complete
        self._chain = [hashlib.sha256(name.text).digest()]  # over the first 0, 1, … hashes
        self._signatures: dict[int, bytes] = {}  # by how many hashes they cover, of every STEP and the latest

    @property
    def is_complete(self) -> bool:
        return self.length is not None

    def append(self, digest: bytes) -> None:
        """The SHA-256 of the next piece; for others than its maker see `extend`."""
        self.hashes.append(digest)
        self._chain.append(hashlib.sha256(self._chain[-1] + digest).digest())

    def finish(self, length: int) -> None:
        """By its maker: there are no more. A signature that said less does not count any more."""
        self.length = length
        self._signatures.pop(len(self.hashes), None)

    def part(self, start: int, key: Ed25519PrivateKey | None) -> ListGrew | None:
        """What comes after the first `start` hashes, as far as one message carries; its maker signs with `key`.

        None when there is nothing more, or nothing that is signed.
        """
        end = self._end_of_part(start, key is not None)
        if end is None:
            return None
        if key is not None and end not in self._signatures:
            self._note(end, sign(key, _DOMAIN, self._statement(end)))
        assert self.signer is not None
        length = self.length if end == len(self.hashes) else None
        hashes = b"".join(self.hashes[start:end])
        return ListGrew(start, hashes, length, self.signer, self._signatures[end])

    def extend(self, part: ListGrew) -> bool:
        """What another node says the list is. True when it agrees with what is known, which it may make longer.

        Raises MalformedData when it is no part of a list, is not signed by its maker, or leaves a gap.
        """
        if self.signer not in (None, part.signer) and self.name.token is not None:
            raise MalformedData("piece list", "not by the fetcher")
        hashes = [part.hashes[at : at + SHA256_SIZE] for at in range(0, len(part.hashes), SHA256_SIZE)]
        end = part.start + len(hashes)
        if part.start > len(self.hashes) or end > MAX_PIECES:
            raise MalformedData("piece list", "a gap, or too long")
        if part.length is not None and count_of(part.length) != end:
            raise MalformedData("piece list", "its length is not that of its pieces")
        known = self.hashes[part.start : end]
        if known != hashes[: len(known)] or (self.is_complete and not self._agrees(part, end)):
            return False
        if len(known) < len(hashes) or (part.length is not None and not self.is_complete):
            self._take(part, hashes[len(known) :], end)
        return True

    def _agrees(self, part: ListGrew, end: int) -> bool:
        assert self.length is not None
        return end <= len(self.hashes) and part.length in (None, self.length)

    def _take(self, part: ListGrew, fresh: list[bytes], end: int) -> None:
        before = len(self.hashes)
        for one in fresh:
            self.append(one)
        self.length = part.length
        try:
            check_signature(part.signer, _DOMAIN, self._statement(end), part.signature)
        except MalformedData:
            del self.hashes[before:], self._chain[before + 1 :]
            self.length = None
            raise
        self.signer = part.signer
        self._note(end, part.signature)

    def _note(self, end: int, signature: bytes) -> None:
        for old in [at for at in self._signatures if at % STEP and at < end]:
            del self._signatures[old]
        self._signatures[end] = signature

    def _end_of_part(self, start: int, is_maker: bool) -> int | None:
        whole = len(self.hashes)
        if start > whole or (start == whole and not self.is_complete):
            return None
        step = (start // STEP + 1) * STEP
        if whole > step:
            return step if is_maker or step in self._signatures else None
        return whole if is_maker or whole in self._signatures else None

    def _statement(self, end: int) -> bytes:
        length = self.length if end == len(self.hashes) and self.length is not None else _GROWING
        return self._chain[end] + end.to_bytes(4, "big") + length.to_bytes(8, "big")
