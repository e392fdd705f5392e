"""DATA/identity.key: made once, readable by its owner alone, replaced only when another node has the same."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

from p2pmods.errors import MalformedData, StoreError
from p2pmods.identity.key import format_key, parse_key
from p2pmods.store import fs

if TYPE_CHECKING:
    from pathlib import Path

    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

FILE_NAME: Final = "identity.key"
_MAX_SIZE: Final = 1024


def load_or_create(data: Path, seed: bytes) -> Ed25519PrivateKey:
    """The node's key; a new one is made from `seed` (32 random bytes) when there is none. Raises StoreError."""
    path = data / FILE_NAME
    try:
        return _read(path)
    except FileNotFoundError:
        pass
    except OSError as error:
        raise fs.store_error("read", path, error) from error
    return replace(data, seed)


def replace(data: Path, seed: bytes) -> Ed25519PrivateKey:
    """A new key, made from `seed` (32 random bytes), in the place of what was there. Raises StoreError."""
    path = data / FILE_NAME
    try:
        fs.write_derived(path, path.with_suffix(f".{os.getpid()}"), format_key(seed))
        return _read(path)
    except OSError as error:
        raise fs.store_error("write", path, error) from error


def _read(path: Path) -> Ed25519PrivateKey:
    with fs.stream_regular(path) as file:
        data = file.read(_MAX_SIZE)
    if os.name != "nt":
        path.chmod(0o600)
    try:
        return parse_key(data)
    except MalformedData as error:
        raise StoreError(f"{path} is damaged: restore it from a backup, or remove it to become a new node") from error
