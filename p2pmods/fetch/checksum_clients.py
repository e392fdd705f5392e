"""What this machine's go commands hold of a checksum database, read and never written.

A go command keeps the newest tree head it ever saw in `$GOPATH/pkg/sumdb/<name>/latest`, also after
`go clean -modcache`, and never sends it to anyone. Tiles and lookup answers are in
`$GOMODCACHE/cache/download/sumdb/<name>`, each answer with the head of its time.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import TYPE_CHECKING, Final

from p2pmods.errors import MalformedData
from p2pmods.store.sumdb_directory import SumdbDirectory
from p2pmods.sumdb.note import MAX_NOTE
from p2pmods.sumdb.records import parse_lookup
from p2pmods.sumdb.tlog import Head, open_head

if TYPE_CHECKING:
    from collections.abc import Iterable

    from p2pmods.sumdb.note import Verifier

MAX_LOOKUPS_READ: Final = 20_000  # of the module cache, when a first head is looked for


class LocalClients:
    """Reads the heads that go commands hold. `gopath` may be a list; go keeps its head below the first."""

    def __init__(self, verifier: Verifier, gopath: Path | None, module_cache: Path | None) -> None:
        self._verifier = verifier
        first = next((part for part in str(gopath).split(os.pathsep) if part), None) if gopath else None
        self._latest = Path(first, "pkg", "sumdb", verifier.name, "latest") if first else None
        download = module_cache / "cache" / "download" if module_cache else None
        self.directory = SumdbDirectory(download / "sumdb" / verifier.name) if download else None

    def latest(self) -> Head | None:
        """The head in GOPATH, if there is one with a good signature."""
        if self._latest is None:
            return None
        note = SumdbDirectory(self._latest.parent).read(self._latest, MAX_NOTE)
        return self._newest([note] if note else [])

    def newest_in_cache(self) -> Head | None:
        """The largest well-signed head that came with a cached lookup answer. Reads them all: call in a thread."""
        notes = set()
        for answer in self.directory.lookups(MAX_LOOKUPS_READ) if self.directory else ():
            with contextlib.suppress(MalformedData):
                notes.add(parse_lookup(answer)[1])
        return self._newest(notes)

    def _newest(self, notes: Iterable[bytes]) -> Head | None:
        newest: Head | None = None
        for note in notes:
            with contextlib.suppress(MalformedData):
                head = open_head(note, self._verifier)
                if newest is None or head.size > newest.size:
                    newest = head
        return newest
