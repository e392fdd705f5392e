"""The `h1:` hash of golang.org/x/mod/sumdb/dirhash (Hash1): what go.sum and the checksum database state."""

from __future__ import annotations

import base64
import hashlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


def hash1(entries: Iterable[tuple[bytes, bytes]]) -> str:
    """`h1:` + base64 of the hash over one line for each (file name, SHA-256 digest of its content).

    A name with a newline is a ValueError, as dirhash refuses it: its line could stand for two files.
    """
    summary = hashlib.sha256()
    for name, digest in sorted(entries):  # By bytes, as Hash1 sorts.
        if b"\n" in name:
            raise ValueError("file names with newlines cannot be hashed")
        summary.update(b"%b  %b\n" % (digest.hex().encode("ascii"), name))
    return "h1:" + base64.b64encode(summary.digest()).decode("ascii")


def hash_go_mod(data: bytes) -> str:
    """The `h1:` of a go.mod file, as it stands on a go.sum line that ends in `/go.mod`."""
    return hash1([(b"go.mod", hashlib.sha256(data).digest())])
