"""Signatures of nodes over bytes, each for one purpose: what was signed as one thing cannot pass for another."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from p2pmods.errors import MalformedData

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

SIGNATURE_SIZE: Final = 64  # bytes, RFC 8032


def sign(key: Ed25519PrivateKey, domain: str, data: bytes) -> bytes:
    """64 bytes. `domain` says what `data` is, as in "record"."""
    return key.sign(_signed(domain, data))


def check_signature(public_key: bytes, domain: str, data: bytes, signature: bytes) -> None:
    """Raises MalformedData unless the owner of the 32-byte `public_key` signed `data` as a `domain`."""
    try:
        Ed25519PublicKey.from_public_bytes(public_key).verify(signature, _signed(domain, data))
    except (InvalidSignature, ValueError) as error:
        raise MalformedData(domain, "a wrong signature") from error


def _signed(domain: str, data: bytes) -> bytes:
    return b"p2pmods v1 %s\0%s" % (domain.encode(), data)
