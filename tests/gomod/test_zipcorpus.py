from __future__ import annotations

import hashlib
import json
import os
import subprocess
from functools import cache
from pathlib import Path
from typing import TypedDict

import pytest

from p2pmods.errors import ZipRefused
from p2pmods.gomod.zipcheck import ZipSummary, check_module_zip
from tests.gomod.zipcorpus import MODULE, Case, corpus

GOZIP = Path(__file__).parent / "gozip"


class Verdict(TypedDict):
    h1: str
    hashError: str
    tree: str
    treeError: str


@cache
def verdicts() -> dict[str, Verdict]:
    loaded: dict[str, Verdict] = json.loads((GOZIP / "verdicts.json").read_text("utf-8"))
    return loaded


def check(data: bytes) -> ZipSummary:
    return check_module_zip(MODULE, len(data), lambda offset, length: data[offset : offset + length])


def tree_of(case: Case) -> str:
    """The tree that the case is meant to hold, as gozip writes it down."""
    lines = sorted(b"%b  %b\n" % (hashlib.sha256(data).hexdigest().encode(), name) for name, data in case.files)
    return hashlib.sha256(b"".join(lines)).hexdigest()


@pytest.mark.parametrize("name", verdicts())
def test_what_we_accept_go_reads_alike_and_what_go_refuses_we_refuse(name: str) -> None:
    go, case = verdicts()[name], corpus()[name]
    if case.reason:
        with pytest.raises(ZipRefused, match=case.reason):
            check(case.data)
        return
    summary = check(case.data)
    assert summary.h1 == go["h1"]
    assert tree_of(case) == go["tree"]
    assert summary.sha256 == hashlib.sha256(case.data).hexdigest()
    assert summary.unpacked == sum(len(data) for _, data in case.files)


def test_go_was_asked_about_every_case() -> None:
    assert set(corpus()) == set(verdicts())
    assert len(corpus()) >= 40


def test_what_go_would_extract_is_refused_all_the_same_when_others_would_read_it_otherwise() -> None:
    for name in ("prefix", "comment-with-whole-zip", "local-name-differs", "extra-unicode-path", "crc-zero"):
        assert verdicts()[name]["tree"], name
        assert corpus()[name].reason, name


# Since Go 1.27, whose tables are of a newer Unicode; refused here whatever Go says.
FOLDED_BY_NEWER_GO = ("pair-\u00ef_ac_85-\u00ef_ac_86",)  # U+FB05 and U+FB06


@pytest.mark.go
@pytest.mark.live
def test_the_verdicts_are_what_go_says_today(tmp_path: Path) -> None:
    for case in corpus().values():
        (tmp_path / f"{case.name}.zip").write_bytes(case.data)
    command = ["go", "run", ".", str(tmp_path), MODULE.path, MODULE.version]
    environment = os.environ | {"GOWORK": "off"}
    ran = subprocess.run(command, cwd=GOZIP, env=environment, capture_output=True, check=True)
    said, known = _without_reasons(json.loads(ran.stdout)), _without_reasons(verdicts())
    for name in FOLDED_BY_NEWER_GO:
        assert said[name] in (known[name], (known[name][0], ""))
        assert corpus()[name].reason, name
        said[name] = known[name]
    assert said == known


def _without_reasons(said: dict[str, Verdict]) -> dict[str, tuple[str, str]]:
    """Reasons are worded for people; whether there is one shows in the empty hashes."""
    return {name: (verdict["h1"], verdict["tree"]) for name, verdict in said.items()}
