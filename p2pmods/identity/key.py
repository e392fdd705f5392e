"""The node's own key, and the name that follows from it."""

from __future__ import annotations

import base64
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from p2pmods.errors import MalformedData

SEED_SIZE: Final = 32  # bytes, RFC 8032
_HEADER: Final = "p2pmods-ed25519-seed-v1:"


def node_id(key: Ed25519PrivateKey) -> str:
    """Unpadded lower-case base32 of the public key: 52 characters, which fit a DNS label."""
    public = key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    return base64.b32encode(public).decode("ascii").rstrip("=").lower()


def format_key(seed: bytes) -> bytes:
    """The text of `identity.key` for a secret seed of 32 random bytes."""
    if len(seed) != SEED_SIZE:
        raise ValueError(f"a seed has {SEED_SIZE} bytes, not {len(seed)}")
    return f"{_HEADER}{seed.hex()}{_checksum(seed)}\n".encode()


def parse_key(data: bytes) -> Ed25519PrivateKey:
    """The key in the text of `identity.key`. Raises MalformedData when a single bit of it is not as written."""
    try:
        text = data.decode("ascii")
        body = bytes.fromhex(text.removeprefix(_HEADER).rstrip("\n"))
    except ValueError:
        body = b""
    seed = body[:SEED_SIZE]
    if len(body) != SEED_SIZE + 4 or format_key(seed) != data:
        raise MalformedData("identity key", "it is not as p2pmods wrote it")
    return Ed25519PrivateKey.from_private_bytes(seed)


def _checksum(seed: bytes) -> str:
    """Four bytes of the public key: another seed by accident would silently be another node."""
    public = Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    return public[:4].hex()
