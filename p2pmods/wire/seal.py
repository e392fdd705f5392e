"""Datagrams that only members of a swarm can read or write: ChaCha20-Poly1305 under the swarm's datagram key."""

from __future__ import annotations

from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from p2pmods.errors import MalformedData

MAX_DATAGRAM: Final = 1200  # bytes of a sealed one: what every IPv6 path carries in one piece
NONCE_SIZE: Final = 12  # bytes, random: RFC 8439
MAGIC: Final = b"p2p\x01"  # the last byte is the version
OVERHEAD: Final = len(MAGIC) + NONCE_SIZE + 16
MAX_PLAIN: Final = MAX_DATAGRAM - OVERHEAD


def seal(key: bytes, plain: bytes, nonce: bytes) -> bytes:
    """`plain`, at most MAX_PLAIN bytes, sealed. A nonce of 12 random bytes is used once."""
    if len(plain) > MAX_PLAIN:
        raise ValueError(f"a datagram of {len(plain)} bytes, more than {MAX_PLAIN}")
    return MAGIC + nonce + ChaCha20Poly1305(key).encrypt(nonce, plain, MAGIC)


def unseal(key: bytes, sealed: bytes) -> bytes:
    """What was sealed. Raises MalformedData for bytes of no member, of another version, or of another length."""
    if not OVERHEAD <= len(sealed) <= MAX_DATAGRAM:
        raise MalformedData("datagram", f"{len(sealed)} bytes")
    if not sealed.startswith(MAGIC):
        raise MalformedData("datagram", "another protocol or version")
    nonce = sealed[len(MAGIC) : len(MAGIC) + NONCE_SIZE]
    try:
        return ChaCha20Poly1305(key).decrypt(nonce, sealed[len(MAGIC) + NONCE_SIZE :], MAGIC)
    except InvalidTag as error:
        raise MalformedData("datagram", "not sealed with this swarm's key") from error
