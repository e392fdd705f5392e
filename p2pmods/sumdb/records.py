"""Records: the go.sum lines of one module version, and the database's answer that brings them.

A lookup answer is `<id>\\n`, the record text, a blank line and the signed tree head.
"""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from p2pmods.errors import MalformedData, printable
from p2pmods.gomod.escape import escape_path, escape_version
from p2pmods.sumdb.tlog import leaf_hash

if TYPE_CHECKING:
    from p2pmods.gomod.module import ModuleVersion

MAX_LOOKUP: Final = 64 << 10  # bytes; two go.sum lines and a note are some 500

_DECIMAL: Final = re.compile(rb"0|[1-9][0-9]{0,17}")
_HASH: Final = re.compile(r"[a-z][0-9a-z]*:[!-~]+", re.ASCII)


@dataclass(frozen=True, slots=True)
class Record:
    """Record number `id` of the log; `text` is its go.sum lines."""

    id: int
    text: bytes

    @property
    def leaf(self) -> bytes:
        """The hash that the log holds for it."""
        return leaf_hash(self.text)


@dataclass(frozen=True, slots=True)
class RecordHashes:
    """The `h1:` hashes of a module version's go.mod and zip; None for one that the record does not state."""

    mod_h1: str | None
    zip_h1: str | None


@dataclass(frozen=True, slots=True)
class Proof:
    """Record `record_id` of `database`, proven included in its signed tree of size `tree`, states these hashes."""

    database: str
    record_id: int
    tree: int
    mod_h1: str | None
    zip_h1: str | None


def lookup_path(module: ModuleVersion) -> str:
    """`<escaped path>@<escaped version>`: what follows `lookup/` in URLs and file names."""
    return f"{escape_path(module.path)}@{escape_version(module.version)}"


def parse_lookup(answer: bytes) -> tuple[Record, bytes]:
    """The record and the note of a lookup answer, neither of them verified yet. Raises MalformedData."""
    if len(answer) > MAX_LOOKUP:
        raise MalformedData("lookup answer", f"more than {MAX_LOOKUP} bytes")
    number, _, rest = answer.partition(b"\n")
    text, separator, note = rest.partition(b"\n\n")
    if not separator or not _DECIMAL.fullmatch(number):
        raise MalformedData("lookup answer", "is no record and tree head")
    return Record(int(number), text + b"\n"), note


def format_lookup(record: Record, note: bytes) -> bytes:
    """The lookup answer that carries `record` with the tree head `note`."""
    return b"%d\n%b\n%b" % (record.id, record.text, note)


def record_hashes(record: Record, module: ModuleVersion) -> RecordHashes:
    """What `record` states about `module`. Raises MalformedData when any line is about something else.

    A record without an `h1:` line, with two for one file, or with a word too many proves nothing.
    """
    try:
        lines = record.text.decode("utf-8").removesuffix("\n").split("\n")
    except UnicodeDecodeError:
        raise MalformedData("record", "is not UTF-8") from None
    found: dict[str, str] = {}
    for line in lines:
        name, value = _split_line(line, module)
        algorithm, _, encoded = value.partition(":")
        if algorithm != "h1":
            continue
        if name in found:
            raise MalformedData("record", f"states the hash of {name} twice")
        _check_h1(encoded)
        found[name] = value
    if not found:
        raise MalformedData("record", f"states no h1: hash of {module}")
    return RecordHashes(found.get("go.mod"), found.get("zip"))


def _split_line(line: str, module: ModuleVersion) -> tuple[str, str]:
    for name, subject in (
        ("zip", f"{module.path} {module.version} "),
        ("go.mod", f"{module.path} {module.version}/go.mod "),
    ):
        value = line.removeprefix(subject)
        if line.startswith(subject) and _HASH.fullmatch(value):
            return name, value
    raise MalformedData("record", f"has the line {printable(line)!r}, which is not about {module}")


def _check_h1(encoded: str) -> None:
    try:
        size = len(base64.b64decode(encoded, validate=True))
    except ValueError:
        size = 0
    if size != 32:
        raise MalformedData("record", "an h1: hash is not 32 bytes in base64")
