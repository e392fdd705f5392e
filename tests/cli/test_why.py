"""What `p2pmods why` says of a file that is proven, of one that is not, and of one that was refused."""

from __future__ import annotations

from typing import Any

from p2pmods.cli.whycmd import human

H1 = "h1:w5fcysjrx7yqtD/aO+QwRjYZOKnaM9Uh2b40tElTs3Y="
HOSTILE: dict[str, Any] = {"kind": "peer", "id": "\x1b[2J", "at": 1e300}
MIRROR: dict[str, Any] = {"kind": "upstream", "id": "https://u", "at": 1e9}
STRAIGHT = {"kind": "upstream", "upstream": "https://u"}
PROOF = {"kind": "sumdb", "database": "sum.example", "record": 942, "tree": 71_999_284}


def file(name: str, *evidence: dict[str, Any], source: dict[str, Any] = MIRROR) -> dict[str, Any]:
    h1 = None if name == "info" else H1
    return {"name": name, "size": 5, "sha256": "00", "h1": h1, "source": source, "evidence": list(evidence)}


def refused(at: float, *, source: dict[str, Any] = MIRROR, reason: str = "a bomb") -> dict[str, Any]:
    return {"name": "zip", "source": source | {"at": at}, "reason": reason}


def said(**parts: list[dict[str, Any]]) -> str:
    nothing: dict[str, Any] = {"files": [], "refused": [], "marks": [], "alarms": []}
    return "\n".join(human({"module": "example.com/a", "version": "v1.0.0"} | nothing | parts))


def test_of_a_proven_file_it_names_the_record_and_where_it_came_from() -> None:
    text = said(files=[file("zip", STRAIGHT, PROOF)])
    assert "proof     proven by sum.example: record 942 of tree 71,999,284" in text
    assert "evidence  came straight from https://u" in text
    assert "none" not in text


def test_of_a_file_without_proof_it_says_that_there_is_none() -> None:
    for evidence in ([], [STRAIGHT], [{"kind": "pin", "origin": "/x/go.sum"}]):
        assert "none (yet): no checksum database has stated its hash" in said(files=[file("zip", *evidence)])


def test_of_an_info_it_says_nothing_of_a_proof() -> None:
    assert "proof" not in said(files=[file("info", STRAIGHT)])


def test_a_refusal_that_was_repeated_is_told_once() -> None:
    text = said(refused=[refused(1e9), refused(1.2e9), refused(1e9, reason="a bomb too")])
    assert text.count("REFUSED: a bomb\n") == 1
    assert text.count("REFUSED") == 2
    assert "from upstream https://u, 2008-" in text
    assert "the last of 2 times" in text
    assert text.count(" times") == 1
    others = [refused(1e9), refused(1e9, source=HOSTILE), refused(1e9, source=MIRROR | {"id": "https://v"})]
    assert said(refused=others).count("REFUSED") == 3


def test_of_what_was_removed_it_says_how_it_comes_back() -> None:
    text = said(marks=[{"state": "removed", "name": "", "reason": "", "at": 5}])
    assert "REMOVED  by you: `p2pmods get example.com/a@v1.0.0` brings it back" in text


def test_refusals_marks_and_alarms_are_told_with_nothing_that_a_terminal_obeys() -> None:
    proofs: list[dict[str, Any]] = [
        {"kind": "pin", "origin": "/x/go.sum"},
        STRAIGHT,
        {"kind": "module-cache", "directory": "/m"},
        {"kind": "peer", "peer": "\x1b[2J"},
        {"kind": "new", "x": 1},
    ]
    text = said(
        files=[file("zip", source=HOSTILE), file("zip", *proofs), file("info")],
        refused=[refused(1e300, source=HOSTILE)],
        marks=[{"state": "poisoned", "name": "zip", "reason": "two hashes", "at": 5}],
        alarms=[{"text": "look"}],
    )
    assert "\x1b" not in text
    for part in (
        "Version and Time are the word of peer",
        "listed in /x/go.sum",
        "REFUSED: a bomb",
        "POISONED  two hashes",
        "ALARM  look",
    ):
        assert part in text
