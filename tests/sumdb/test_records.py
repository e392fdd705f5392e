"""Only text that states hashes of the very module version that was asked for proves anything (CVE-2026-42501)."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2pmods.errors import MalformedData
from p2pmods.gomod.module import ModuleVersion
from p2pmods.sumdb.records import MAX_LOOKUP, Record, format_lookup, lookup_path, parse_lookup, record_hashes

GO = json.loads((Path(__file__).parent / "vectors" / "tlog.json").read_text())
MODULE = ModuleVersion("github.com/BurntSushi/toml", "v1.2.0")
H1 = "h1:" + base64.b64encode(b"\1" * 32).decode()
H2 = "h1:" + base64.b64encode(b"\2" * 32).decode()
ZIP = f"{MODULE.path} {MODULE.version} {H1}\n"
MOD = f"{MODULE.path} {MODULE.version}/go.mod {H2}\n"


def hashes_of(text: str) -> tuple[str | None, str | None]:
    found = record_hashes(Record(0, text.encode()), MODULE)
    return found.zip_h1, found.mod_h1


def test_a_record_is_written_as_go_writes_it() -> None:
    assert format_lookup(Record(12, b"a v1 h1:x\n"), b"").decode() == GO["record"]


def test_a_lookup_answer_reads_back() -> None:
    record = Record(7, (ZIP + MOD).encode())
    assert parse_lookup(format_lookup(record, b"note\n")) == (record, b"note\n")


def test_uppercase_letters_are_escaped_in_the_path() -> None:
    assert lookup_path(MODULE) == "github.com/!burnt!sushi/toml@v1.2.0"


def test_both_hashes_are_read_whatever_their_order() -> None:
    assert hashes_of(ZIP + MOD) == hashes_of(MOD + ZIP) == (H1, H2)


def test_a_record_may_state_one_hash_only() -> None:
    assert hashes_of(MOD) == (None, H2)
    assert hashes_of(ZIP) == (H1, None)


def test_other_algorithms_are_passed_over() -> None:
    assert hashes_of(ZIP + ZIP.replace("h1:", "h2:") + MOD) == (H1, H2)


@pytest.mark.parametrize(
    ("what", "text"),
    [
        ("nothing", "\n"),
        ("another module", ZIP.replace("toml", "yaml")),
        ("another module besides", ZIP + MOD + ZIP.replace("toml", "yaml")),
        ("another version besides", ZIP + MOD + ZIP.replace("v1.2.0", "v1.2.1")),
        ("a longer version", ZIP.replace("v1.2.0", "v1.2.0-x")),
        ("the escaped path", ZIP.replace("BurntSushi", "!burnt!sushi")),
        ("the zip's hash twice", ZIP + ZIP),
        ("two zip hashes", ZIP + ZIP.replace(H1, H2)),
        ("two go.mod hashes", MOD + MOD.replace(H2, H1)),
        ("no h1", ZIP.replace("h1:", "h2:")),
        ("a fourth word", ZIP.replace("\n", " x\n")),
        ("two spaces", ZIP.replace(" v1", "  v1")),
        ("a trailing space", ZIP.replace("\n", " \n")),
        ("a carriage return", ZIP.replace("\n", "\r\n")),
        ("a short hash", ZIP.replace(H1, "h1:AAAA")),
        ("a hash without base64", ZIP.replace(H1, "h1:????")),
        ("an empty hash", ZIP.replace(H1, "h1:")),
        ("a NUL", ZIP.replace("toml", "toml\0")),
        ("a comment", "# hello\n" + ZIP),
    ],
)
def test_a_record_about_anything_else_proves_nothing(what: str, text: str) -> None:
    with pytest.raises(MalformedData):
        hashes_of(text)


@pytest.mark.parametrize(
    ("what", "answer"),
    [
        ("empty", b""),
        ("no record", b"7\n"),
        ("no blank line", b"7\n" + ZIP.encode()),
        ("a signed id", b"+7\n" + ZIP.encode() + b"\nnote"),
        ("a negative id", b"-7\n" + ZIP.encode() + b"\nnote"),
        ("leading zeros", b"07\n" + ZIP.encode() + b"\nnote"),
        ("an id beyond all trees", b"9" * 19 + b"\n" + ZIP.encode() + b"\nnote"),
        ("a login page", b"<!doctype html>\n<p>\n\nhello"),
        ("too long", format_lookup(Record(7, ZIP.encode()), b"x" * MAX_LOOKUP)),
    ],
)
def test_a_malformed_lookup_answer_is_refused(what: str, answer: bytes) -> None:
    with pytest.raises(MalformedData):
        parse_lookup(answer)


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    try:
        record, note = parse_lookup(data)
    except MalformedData:
        return
    assert format_lookup(record, note) == data
    with pytest.raises(MalformedData):
        record_hashes(record, MODULE)
