"""Notes and verifier keys are accepted exactly where x/mod's note package accepts them."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2pmods.errors import MalformedData
from p2pmods.sumdb.note import MAX_NOTE, make_signer, open_note, parse_verifier, trim_note
from p2pmods.sumdb.tlog import Head, Tree, format_tree, open_head, parse_tree

GO = json.loads((Path(__file__).parent / "vectors" / "tlog.json").read_text())
SIGNER = make_signer("sum.example.org", b"\x05" * 32)
TREE = Tree(3, b"\x01" * 32)
NOTE = SIGNER.sign(format_tree(TREE))


def test_a_note_that_go_signed_opens_with_the_key_that_go_made() -> None:
    verifier = parse_verifier(GO["key"])
    assert str(verifier) == GO["key"]
    assert verifier.name == "sum.example.org/log"
    assert open_head(GO["note"].encode(), verifier).size == GO["size"]


def test_signatures_by_other_keys_and_further_lines_do_no_harm() -> None:
    note = GO["note_with_witness"].encode()
    assert open_head(note, parse_verifier(GO["key"])).size == GO["size"]
    assert open_head(note, parse_verifier(GO["witness"])).size == GO["size"]


def test_a_trimmed_note_has_the_one_signature_that_counts() -> None:
    stranger = make_signer("example.com/witness", b"\x07" * 32).sign(format_tree(TREE)).rpartition(b"\n\n")[2]
    text, _, signature = NOTE.rpartition(b"\n\n")
    for note in (NOTE, NOTE + stranger, text + b"\n\n" + stranger + signature + signature):
        assert trim_note(note, SIGNER.verifier) == NOTE
    with pytest.raises(MalformedData):
        trim_note(NOTE[:-5], SIGNER.verifier)


def test_the_key_built_into_go_is_read() -> None:
    key = "sum.golang.org+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8"
    assert str(parse_verifier(key)) == key


def test_what_a_signer_signs_its_verifier_accepts() -> None:
    assert open_head(NOTE, SIGNER.verifier).tree == TREE


@pytest.mark.parametrize("bit", range(0, len(NOTE) * 8, 7))
def test_no_bit_of_a_note_may_change(bit: int) -> None:
    changed = bytearray(NOTE)
    changed[bit // 8] ^= 1 << bit % 8
    with pytest.raises(MalformedData):
        open_head(bytes(changed), SIGNER.verifier)


@pytest.mark.parametrize(
    ("what", "note"),
    [
        ("empty", b""),
        ("no signature", format_tree(TREE)),
        ("blank line only", format_tree(TREE) + b"\n"),
        ("no final newline", NOTE[:-1]),
        ("not UTF-8", b"\xff" + NOTE),
        ("a control character", b"\x01" + NOTE),
        ("a carriage return", NOTE.replace(b"\n", b"\r\n")),
        ("a hyphen for the dash", NOTE.replace("—".encode(), b"-")),
        ("bad base64", NOTE[:-3] + b"*=\n"),
        ("a signature of 4 bytes", format_tree(TREE) + "\n— sum.example.org AAAAAA==\n".encode()),
        ("too long", NOTE + b"\n" * MAX_NOTE),
        ("too many signatures", NOTE + "— other AAAAAAA=\n".encode() * 101),
    ],
)
def test_a_malformed_note_is_refused(what: str, note: bytes) -> None:
    with pytest.raises(MalformedData):
        open_note(note, SIGNER.verifier)


def test_another_key_of_the_same_name_signs_nothing() -> None:
    with pytest.raises(MalformedData, match="not signed by"):
        open_note(make_signer("sum.example.org", b"\x06" * 32).sign(format_tree(TREE)), SIGNER.verifier)


def test_a_wrong_signature_is_not_made_good_by_a_right_one_after_it() -> None:
    forged = base64.b64encode(SIGNER.verifier.key_hash + b"\0" * 64)
    text, _, signature = NOTE.partition(b"\n\n")
    note = text + b"\n\n" + "— sum.example.org ".encode() + forged + b"\n" + signature
    with pytest.raises(MalformedData, match="is wrong"):
        open_note(note, SIGNER.verifier)


@pytest.mark.parametrize(
    "key",
    [
        "",
        "name",
        "name+00000000+",
        "name+00000000+AQ==",
        GO["key"].replace("log", "lag"),
        GO["key"] + "A",
        GO["key"].replace("+", "-", 1),
        "a b" + GO["key"],
        "+" + GO["key"].split("+", 1)[1],
    ],
)
def test_a_malformed_verifier_key_is_refused(key: str) -> None:
    with pytest.raises(MalformedData):
        parse_verifier(key)


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"go.sum database tree\n3\n",
        b"go.sum database tree v2\n3\n" + base64.b64encode(b"\0" * 32) + b"\n",
        b"go.sum database tree\n-3\n" + base64.b64encode(b"\0" * 32) + b"\n",
        b"go.sum database tree\n03\n" + base64.b64encode(b"\0" * 32) + b"\n",
        b"go.sum database tree\n+3\n" + base64.b64encode(b"\0" * 32) + b"\n",
        b"go.sum database tree\n" + b"9" * 19 + b"\n" + base64.b64encode(b"\0" * 32) + b"\n",
        b"go.sum database tree\n3\n" + base64.b64encode(b"\0" * 31) + b"\n",
        b"go.sum database tree\n3\nnot base64\n",
    ],
)
def test_a_malformed_tree_head_is_refused(text: bytes) -> None:
    with pytest.raises(MalformedData):
        parse_tree(text)


@given(st.binary(max_size=300))
def test_any_bytes_are_refused_with_the_same_error(data: bytes) -> None:
    for read in (lambda: open_note(data, SIGNER.verifier), lambda: parse_tree(data)):
        with pytest.raises(MalformedData):
            read()


def test_a_head_is_made_by_nothing_but_its_signature() -> None:
    with pytest.raises(TypeError):
        Head(TREE, NOTE, None)
