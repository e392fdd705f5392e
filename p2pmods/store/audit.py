"""DATA/audit.jsonl: one JSON line for each file that entered or was refused, and for each act that must not be lost.

It is only ever appended to, and it is the second source of truth beside the files themselves: evidence, marks and
alarms are taken from it when the index has to be rebuilt. A line that cannot be read (torn by a crash) is skipped.
"""

from __future__ import annotations

import json
import os
import threading
from typing import TYPE_CHECKING, Any, Final

from p2pmods.store import fs
from p2pmods.trust.evidence import evidence_to_json

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from p2pmods.gomod.module import FileKey, ModuleVersion
    from p2pmods.store.stored import StoredFile
    from p2pmods.trust.evidence import Source

MAX_LINE: Final = 64 << 10  # bytes; a line has some four hundred


class Audit:
    """Appends lines. A line that cannot be written is never a reason to fail what it tells of."""

    def __init__(self, path: Path, clock: Callable[[], float]) -> None:
        self._path = path
        self._clock = clock
        self._lock = threading.Lock()
        self.lost = 0  # lines that could not be written
        self._torn = not _ends_well(path)

    def entered(self, stored: StoredFile) -> None:
        self._write("entered", **_file(stored), source=_source(stored.source), evidence=_evidence(stored))

    def proved(self, stored: StoredFile) -> None:
        """The evidence for a held file grew."""
        self._write("evidence", **_file(stored), evidence=_evidence(stored))

    def refused(self, key: FileKey, source: Source, reason: str) -> None:
        self._write("refused", **_key(key), source=_source(source), reason=_cut(reason))

    def quarantined(self, key: FileKey, reason: str, kept_as: str | None) -> None:
        self._write("quarantined", **_key(key), reason=_cut(reason), kept_as=kept_as)

    def evicted(self, stored: StoredFile, reason: str) -> None:
        """It left for the room that it took."""
        self._write("evicted", **_file(stored), reason=_cut(reason))

    def marked(self, event: str, module: ModuleVersion, kind: str = "", reason: str = "") -> None:
        """`event` is poisoned, absolved, removed or allowed."""
        self._write(event, path=module.path, version=module.version, kind=kind, reason=_cut(reason))

    def alarm(self, event: str, alarm_id: str, text: str = "", evidence: str | None = None) -> None:
        """`event` is alarm or acknowledged."""
        self._write(event, id=alarm_id, text=_cut(text), evidence=evidence)

    def _write(self, event: str, **fields: Any) -> None:
        # ensure_ascii: no control character gets into the log raw, and one write() is one whole line.
        line = json.dumps({"at": self._clock(), "event": event, **fields}, separators=(",", ":")).encode() + b"\n"
        with self._lock:
            try:
                descriptor = fs.open_to_append(self._path)
                try:
                    fs.write_all(descriptor, b"\n" + line if self._torn else line)
                finally:
                    os.close(descriptor)
            except OSError:
                self.lost += 1
                self._torn = True  # part of the line may be there: do not let it spoil the next one
            else:
                self._torn = False


def read_audit(path: Path) -> Iterator[dict[str, Any]]:
    """The lines of the log that are whole, oldest first; none when there is no log. Raises OSError."""
    try:
        stream = fs.stream_regular(path)
    except FileNotFoundError:
        return
    with stream:
        while line := stream.readline(MAX_LINE):
            try:
                entry = json.loads(line)
            except (ValueError, RecursionError):
                continue
            if isinstance(entry, dict):
                yield entry


def _ends_well(path: Path) -> bool:
    try:
        with fs.stream_regular(path) as stream:
            if stream.seek(0, os.SEEK_END) == 0:
                return True
            stream.seek(-1, os.SEEK_END)
            return stream.read() == b"\n"
    except OSError:
        return True


def _key(key: FileKey) -> dict[str, str]:
    return {"path": key.module.path, "version": key.module.version, "kind": key.kind.value}


def _file(stored: StoredFile) -> dict[str, Any]:
    return {**_key(stored.key), "size": stored.size, "sha256": stored.sha256, "h1": stored.h1}


def _cut(text: str) -> str:
    return text[:2000]  # a reason may quote what a stranger sent


def _source(source: Source) -> dict[str, Any]:
    return {"kind": source.kind.value, "id": source.id, "at": source.at}


def _evidence(stored: StoredFile) -> list[dict[str, Any]]:
    return [evidence_to_json(item) for item in stored.evidence]
