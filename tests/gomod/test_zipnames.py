from __future__ import annotations

import json
import unicodedata
from pathlib import Path

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from p2pmods.errors import InvalidPath, ZipRefused
from p2pmods.gomod import zipnames
from p2pmods.gomod.paths import check_file_path
from p2pmods.gomod.zipnames import NameChecker, fold

# What a newer Unicode than that of the Go which made folds.json folds together: refused for the sake of newer Go.
LATELY = {0xFB05, 0xFB06, 0x1FD3, 0x0390, 0x1FE3, 0x03B0}


def go_folds() -> dict[int, int]:
    """Code point → the smallest of those that Go's unicode.SimpleFold joins it with."""
    flat: list[int] = json.loads((Path(__file__).parent / "gozip" / "folds.json").read_text("utf-8"))
    return dict(zip(flat[::2], flat[1::2], strict=True))


def known_code_points() -> list[int]:
    return [code for code in range(0x30000) if unicodedata.category(chr(code)) not in ("Cn", "Cs")]


def test_what_go_folds_together_we_fold_together() -> None:
    folds = go_folds()
    for code in known_code_points():
        assert fold(chr(code)) == fold(chr(folds.get(code, code))), hex(code)


@pytest.mark.skipif(unicodedata.unidata_version > "15.0.0", reason="knows more letters than the Go of folds.json")
def test_we_fold_nothing_together_that_go_tells_apart() -> None:
    folds = go_folds()
    seen: dict[str, int] = {}
    for code in known_code_points():
        if code not in LATELY:
            least = folds.get(code, code)
            assert seen.setdefault(fold(chr(code)), least) == least, hex(code)


def test_the_folds_of_newer_unicode_count_already() -> None:
    for a, b in (("\ufb05", "\ufb06"), ("\u1fd3", "\u0390"), ("\u1fe3", "\u03b0")):
        assert fold(a) == fold(b)


def test_sharp_s_is_not_two_letters_and_the_kelvin_sign_is_k() -> None:
    assert fold("straße") != fold("strasse")
    assert fold("\u212a") == fold("K") == "k"


elements = st.text("aAzZ09.-_~+ @[]{}ConuxNULlpt1è\u0301*:\\\"'", min_size=0, max_size=8)


@given(st.lists(elements, min_size=1, max_size=4).map("/".join))
def test_the_quick_way_through_accepts_nothing_that_the_rules_refuse(name: str) -> None:
    assume(name and not name.endswith("/"))  # the module's root, and directories
    try:
        check_file_path(name)
    except InvalidPath:
        with pytest.raises(ZipRefused):
            NameChecker().add(name.encode())
    else:
        if "go.mod" not in name.lower():
            NameChecker().add(name.encode())


def test_very_deep_names_are_refused_before_their_directories_fill_the_memory(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(zipnames, "MAX_NAMES", 1 << 20)
    with pytest.raises(ZipRefused, match="more names and directories than we hold"):
        NameChecker().add(b"a/" * 30_000 + b"a")


def test_names_as_long_as_the_format_allows_are_no_recursion() -> None:
    NameChecker().add(b"a/" * 1000 + b"a")
