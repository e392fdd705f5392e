"""The tables of the index.

`files` holds one row for each file in the store (`place` 0) or seen in the user's module cache (`place` 1). `seal` is
a CRC-32 of what a row says, since SQLite does not notice a flipped bit inside a value: a row whose seal is wrong is
damage, and damage means a rebuild. `proof_next` (not to be tried before), `last_requested` and `last_read` (whole, to
verify it) are Unix seconds and outside the seal.
"""

from __future__ import annotations

import zlib
from typing import Final

VERSION: Final = 1  # PRAGMA user_version; a store with a higher one is left alone


def application_id(version: int) -> int:
    """PRAGMA application_id of every version there will be: tells a newer store from a damaged version number."""
    return 0x70320000 ^ version


SCHEMA: Final = (
    """CREATE TABLE files (
        path TEXT NOT NULL, version TEXT NOT NULL, kind TEXT NOT NULL, place INTEGER NOT NULL,
        file TEXT NOT NULL, size INTEGER NOT NULL, sha256 TEXT NOT NULL, h1 TEXT,
        source_kind TEXT NOT NULL, source_id TEXT NOT NULL, source_at REAL NOT NULL,
        evidence TEXT NOT NULL, proven INTEGER NOT NULL, synthesised INTEGER NOT NULL, fingerprint TEXT NOT NULL,
        seal INTEGER NOT NULL,
        proof_next REAL NOT NULL DEFAULT 0, last_requested REAL NOT NULL DEFAULT 0, last_read REAL NOT NULL DEFAULT 0,
        PRIMARY KEY (path, version, kind, place)
    ) WITHOUT ROWID""",
    "CREATE INDEX files_unproven ON files (proof_next) WHERE proven = 0 AND kind != 'info'",
    "CREATE INDEX files_unverified ON files (place) WHERE sha256 = '' AND fingerprint = ''",
    "CREATE INDEX files_held ON files (path, version, size) WHERE place = 0 AND synthesised = 0",
    "CREATE INDEX files_read ON files (last_read) WHERE place = 0",
    """CREATE TABLE marks (
        path TEXT NOT NULL, version TEXT NOT NULL, state TEXT NOT NULL, kind TEXT NOT NULL, reason TEXT NOT NULL,
        at REAL NOT NULL, seal INTEGER NOT NULL, PRIMARY KEY (path, version, state)
    ) WITHOUT ROWID""",
    """CREATE TABLE refusals (
        id INTEGER PRIMARY KEY, path TEXT NOT NULL, version TEXT NOT NULL, kind TEXT NOT NULL,
        source_kind TEXT NOT NULL, source_id TEXT NOT NULL, at REAL NOT NULL, reason TEXT NOT NULL
    )""",
    "CREATE INDEX refusals_module ON refusals (path, version)",
    """CREATE TABLE alarms (
        id TEXT PRIMARY KEY, since REAL NOT NULL, text TEXT NOT NULL, evidence TEXT, acknowledged INTEGER NOT NULL
    ) WITHOUT ROWID""",
    """CREATE TABLE answers (
        path TEXT NOT NULL, query TEXT NOT NULL, body BLOB NOT NULL,
        source_kind TEXT NOT NULL, source_id TEXT NOT NULL, at REAL NOT NULL, seal INTEGER NOT NULL,
        PRIMARY KEY (path, query)
    ) WITHOUT ROWID""",
    "CREATE TABLE highest (path TEXT PRIMARY KEY, version TEXT NOT NULL, seal INTEGER NOT NULL) WITHOUT ROWID",
    """CREATE TABLE counters (
        start INTEGER NOT NULL, name TEXT NOT NULL, files INTEGER NOT NULL, bytes INTEGER NOT NULL,
        PRIMARY KEY (start, name)
    ) WITHOUT ROWID""",
)


def seal_of(*values: object) -> int:
    """The CRC-32 that a row with these values carries."""
    return zlib.crc32("\0".join(map(str, values)).encode())
