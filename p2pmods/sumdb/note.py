"""Signed notes, the form of every statement of a checksum database (`golang.org/x/mod/sumdb/note`).

A note is text that ends in a newline, a blank line, and signature lines `— <name> <base64(key hash ‖ signature)>`.
A verifier key is `<name>+<key hash in hex>+<base64(0x01 ‖ Ed25519 public key)>`.
"""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import dataclass, field
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from p2pmods.errors import MalformedData

MAX_NOTE: Final = 64 << 10  # bytes; the database's own are 200, and 100 witnesses would add 12,000
MAX_SIGNATURES: Final = 100  # note.Open

_ED25519: Final = b"\x01"
_HEX8: Final = re.compile(r"[0-9a-fA-F]{8}")
_CONTROL: Final = re.compile(r"[\x00-\x09\x0b-\x1f]")
_DASH: Final = "— "


@dataclass(frozen=True, slots=True)
class Verifier:
    """The public key of a database called `name`. `key_hash` is the 4 bytes that its signatures begin with."""

    name: str
    key_hash: bytes
    public_key: bytes = field(repr=False)

    def __str__(self) -> str:
        return _format_key(self.name, self.key_hash, self.public_key)

    def is_signed(self, text: bytes, signature: bytes) -> bool:
        """Whether `signature` (64 bytes) over `text` is this key's."""
        try:
            Ed25519PublicKey.from_public_bytes(self.public_key).verify(signature, text)
        except InvalidSignature:
            return False
        return True


@dataclass(frozen=True, slots=True)
class Signer:
    """The private key that belongs to `verifier`."""

    verifier: Verifier
    seed: bytes = field(repr=False)

    def sign(self, text: bytes) -> bytes:
        """The whole note. `text` must end in a newline."""
        if not text.endswith(b"\n"):
            raise ValueError("a note's text ends in a newline")
        signature = Ed25519PrivateKey.from_private_bytes(self.seed).sign(text)
        encoded = base64.b64encode(self.verifier.key_hash + signature).decode()
        return text + f"\n{_DASH}{self.verifier.name} {encoded}\n".encode()


def make_signer(name: str, seed: bytes) -> Signer:
    """The signer called `name` whose private key is made of `seed` (32 bytes)."""
    public = Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes_raw()
    _check_name(name)
    return Signer(Verifier(name, _key_hash(name, public), public), seed)


def parse_verifier(key: str) -> Verifier:
    """The verifier of a `name+hash+key` text. Raises MalformedData."""
    name, _, rest = key.partition("+")
    hash16, _, key64 = rest.partition("+")
    _check_name(name)
    if not _HEX8.fullmatch(hash16):
        raise MalformedData("verifier key", "the hash is not 8 hex digits")
    encoded = _decode(key64, "verifier key")
    if len(encoded) != 33 or encoded[:1] != _ED25519:
        raise MalformedData("verifier key", "is no Ed25519 key")
    if bytes.fromhex(hash16) != _key_hash(name, encoded[1:]):
        raise MalformedData("verifier key", "the hash is not that of the name and key")
    return Verifier(name, bytes.fromhex(hash16), encoded[1:])


def open_note(note: bytes, verifier: Verifier) -> bytes:
    """The text of `note`, once `verifier`'s signature on it is found good. Raises MalformedData.

    Signatures by other keys are passed over, but must be well formed; one that names this key must be good.
    """
    return _open(note, verifier)[0]


def trim_note(note: bytes, verifier: Verifier) -> bytes:
    """`note` with `verifier`'s signature alone: what anybody may have added is gone. Raises MalformedData."""
    text, signature = _open(note, verifier)
    return text + f"\n{signature}\n".encode()


def _open(note: bytes, verifier: Verifier) -> tuple[bytes, str]:
    """The text, and the line with the good signature."""
    if len(note) > MAX_NOTE:
        raise MalformedData("note", f"more than {MAX_NOTE} bytes")
    try:
        decoded = note.decode("utf-8")
    except UnicodeDecodeError:
        raise MalformedData("note", "is not UTF-8") from None
    if _CONTROL.search(decoded):
        raise MalformedData("note", "holds control characters")
    text, separator, signatures = decoded.rpartition("\n\n")
    if not separator or not signatures.endswith("\n"):
        raise MalformedData("note", "has no signatures")
    signed = f"{text}\n".encode()
    found = _find_signature(signed, signatures[:-1].split("\n"), verifier)
    if found is None:
        raise MalformedData("note", f"is not signed by {verifier.name}+{verifier.key_hash.hex()}")
    return signed, found


def _find_signature(text: bytes, lines: list[str], verifier: Verifier) -> str | None:
    if len(lines) > MAX_SIGNATURES:
        raise MalformedData("note", f"more than {MAX_SIGNATURES} signatures")
    found = None
    for line in lines:
        name, _, encoded = line.removeprefix(_DASH).partition(" ")
        if not line.startswith(_DASH):
            raise MalformedData("note", "a signature line does not begin with a dash")
        _check_name(name)
        signature = _decode(encoded, "note")
        if len(signature) < 5:
            raise MalformedData("note", "a signature is too short")
        # As note.Open: of several signatures that name the key, the first decides.
        if found is not None or name != verifier.name or signature[:4] != verifier.key_hash:
            continue
        if not verifier.is_signed(text, signature[4:]):
            raise MalformedData("note", f"the signature by {verifier.name} is wrong")
        found = line
    return found


def _check_name(name: str) -> None:
    if not name or "+" in name or any(c.isspace() for c in name):
        raise MalformedData("note", "a key's name is empty or holds a space or plus sign")


def _decode(encoded: str, what: str) -> bytes:
    try:
        return base64.b64decode(encoded, validate=True)
    except ValueError:
        raise MalformedData(what, "bad base64") from None


def _key_hash(name: str, public_key: bytes) -> bytes:
    return hashlib.sha256(f"{name}\n".encode() + _ED25519 + public_key).digest()[:4]


def _format_key(name: str, key_hash: bytes, public_key: bytes) -> str:
    return f"{name}+{key_hash.hex()}+{base64.b64encode(_ED25519 + public_key).decode()}"
