"""A new index from what lies on disk: audit.jsonl tells what was known of each file, modules/ tells what is there.

Nothing that is rebuilt counts as verified: fingerprints are empty, so the first read of each file hashes it and
compares with the hash in the log before its evidence counts. A file of which the log knows nothing gets a row without
a hash; its first read puts it through the strict reader, and it is unproven until its proof is found again. Traffic
counters and remembered answers begin anew.
"""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import PurePath, PurePosixPath
from typing import TYPE_CHECKING, Any

from p2pmods.errors import P2pmodsError
from p2pmods.gomod.module import FileKey, FileKind, ModuleVersion
from p2pmods.store.audit import read_audit
from p2pmods.store.layout import VERSIONS, parse_relative
from p2pmods.store.notes import Mark, State, put_alarm, put_mark, put_refusal
from p2pmods.store.rows import put_row
from p2pmods.store.stored import Alarm, Refusal, StoredFile
from p2pmods.trust.evidence import Evidence, Source, SourceKind, evidence_from_json

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator
    from pathlib import Path

    from p2pmods.store.layout import Layout


def rebuild(connection: sqlite3.Connection, layout: Layout, now: float) -> None:
    """Fill empty tables. Raises sqlite3.Error, and OSError when the log cannot be read."""
    replay = Replay(layout)
    for entry in read_audit(layout.audit):
        try:
            replay.take(entry)
        except (KeyError, TypeError, ValueError, AttributeError, P2pmodsError):
            continue  # not a line of ours
    for key in walk(layout.modules):
        stored = replay.files.get(key) or unknown_file(layout, key, now)
        put_row(connection, stored)
    for mark in replay.marks.values():
        put_mark(connection, mark)
    for alarm in replay.alarms.values():
        put_alarm(connection, alarm)
    for refusal in replay.refusals:
        put_refusal(connection, refusal)


def unknown_file(layout: Layout, key: FileKey, now: float) -> StoredFile:
    """The row of a file that nobody has verified yet."""
    source = Source(SourceKind.MODULE_CACHE, str(layout.modules), now)
    return StoredFile(key, layout.file(key), 0, "", None, source, (), "")


def walk(modules: Path) -> Iterator[FileKey]:
    """The files below a directory in cache/download layout. Links are not followed, other names are skipped."""
    for directory, below, names in os.walk(modules):
        below[:] = [name for name in below if name != "sumdb" or directory != str(modules)]
        if PurePath(directory).name != VERSIONS:
            continue
        below.clear()
        relative = PurePosixPath(PurePath(directory).relative_to(modules).as_posix())
        for name in names:
            key = parse_relative(relative / name)
            if key is not None:
                yield key


class Replay:
    """Follows the log to what it says is held, marked and raised at its end."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self.files: dict[FileKey, StoredFile] = {}
        self.marks: dict[tuple[ModuleVersion, State], Mark] = {}
        self.alarms: dict[str, Alarm] = {}
        self.refusals: list[Refusal] = []

    def take(self, entry: dict[str, Any]) -> None:
        """One line. Raises KeyError, TypeError, ValueError, AttributeError or P2pmodsError when it is not ours."""
        event, at = entry["event"], float(entry["at"])
        if event in ("alarm", "acknowledged"):
            self._take_alarm(entry, at)
            return
        module = ModuleVersion(entry["path"], entry["version"])
        if event in ("removed", "allowed", "poisoned", "absolved"):
            self._take_mark(event, Mark(module, _STATES[event], str(entry["kind"]), str(entry["reason"]), at))
            return
        key = FileKey(module, FileKind(entry["kind"]))
        match event:
            case "entered":
                self.files[key] = self._file(key, entry, _source(entry["source"]))
            case "evidence" if key in self.files and self.files[key].sha256 == entry["sha256"]:
                self.files[key] = replace(self.files[key], evidence=_evidence(entry))
            case "quarantined" | "evicted":
                self.files.pop(key, None)
            case "refused":
                self.refusals.append(Refusal(key, _source(entry["source"]), str(entry["reason"])))

    def _take_alarm(self, entry: dict[str, Any], at: float) -> None:
        alarm_id = str(entry["id"])
        if entry["event"] == "acknowledged":
            self.alarms[alarm_id] = replace(self.alarms[alarm_id], acknowledged=True)
            return
        evidence = entry["evidence"]
        since = self.alarms[alarm_id].since if alarm_id in self.alarms else at
        name = None if evidence is None else str(evidence)
        self.alarms[alarm_id] = Alarm(alarm_id, since, str(entry["text"]), name, acknowledged=False)

    def _take_mark(self, event: str, mark: Mark) -> None:
        if event in ("allowed", "absolved"):
            self.marks.pop((mark.module, mark.state), None)
            return
        self.marks[mark.module, mark.state] = mark
        for kind in FileKind:
            self.files.pop(FileKey(mark.module, kind), None)

    def _file(self, key: FileKey, entry: dict[str, Any], source: Source) -> StoredFile:
        h1 = entry["h1"]
        return StoredFile(
            key=key,
            path=self._layout.file(key),
            size=int(entry["size"]),
            sha256=str(entry["sha256"]),
            h1=None if h1 is None else str(h1),
            source=source,
            evidence=_evidence(entry),
            fingerprint="",
        )


_STATES = {
    "removed": State.REMOVED,
    "allowed": State.REMOVED,
    "poisoned": State.POISONED,
    "absolved": State.POISONED,
}


def _source(data: dict[str, Any]) -> Source:
    return Source(SourceKind(data["kind"]), str(data["id"]), float(data["at"]))


def _evidence(entry: dict[str, Any]) -> tuple[Evidence, ...]:
    return tuple(evidence_from_json(item) for item in entry["evidence"])
