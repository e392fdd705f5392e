"""A hash over everything that happened: the same seed gives the same one, or something is not deterministic."""

from __future__ import annotations

import hashlib
import struct
import zlib


class Trace:
    """Grows with every event; `digest` can be asked for at any time."""

    def __init__(self) -> None:
        self._hash = hashlib.sha256()
        self.events = 0

    def note(self, at: float, kind: str, who: str, data: bytes = b"") -> None:
        """At `at` seconds `kind` happened to the node `who`, with `data`."""
        self.events += 1
        self._hash.update(struct.pack("<dI", at, zlib.crc32(data)) + f"{kind} {who}\0".encode())

    def digest(self) -> str:
        """Hex."""
        return self._hash.copy().hexdigest()
