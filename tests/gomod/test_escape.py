from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2pmods.errors import InvalidPath, InvalidVersion
from p2pmods.gomod.escape import escape_path, escape_version, unescape_path, unescape_version
from p2pmods.gomod.module import FileKey, FileKind, ModuleVersion
from tests.gomod.vectors import rows

if TYPE_CHECKING:
    from collections.abc import Callable


def answer(function: Callable[[str], str], text: str) -> str | None:
    try:
        return function(text)
    except (InvalidPath, InvalidVersion):
        return None


def test_paths_and_versions_are_escaped_and_unescaped_as_in_go() -> None:
    for text, escaped_path, unescaped_path, escaped_version, unescaped_version in rows("escapes"):
        assert answer(escape_path, text) == escaped_path, text
        assert answer(unescape_path, text) == unescaped_path, text
        assert answer(escape_version, text) == escaped_version, text
        assert answer(unescape_version, text) == unescaped_version, text


def test_a_file_key_has_one_place_below_every_proxy() -> None:
    key = FileKey(ModuleVersion("github.com/Azure/go", "v1.0.0-RC1"), FileKind.ZIP)
    assert key.url_path == "github.com/!azure/go/@v/v1.0.0-!r!c1.zip"


@given(st.from_regex(r"[a-z]{1,5}\.[a-z]{1,3}(/[A-Za-z0-9_.~-]{1,8}){0,3}", fullmatch=True))
def test_a_path_comes_back_and_its_escaped_form_has_no_case(path: str) -> None:
    escaped = answer(escape_path, path)
    if escaped is not None:
        assert escaped == escaped.lower()
        assert unescape_path(escaped) == path


@given(st.text(st.characters(max_codepoint=0x7F), max_size=20) | st.text(max_size=20))
def test_a_version_comes_back(version: str) -> None:
    escaped = answer(escape_version, version)
    if escaped is not None:
        assert "/" not in escaped
        assert unescape_version(escaped) == version


@given(st.text("aB!1/.é", max_size=12))
def test_two_escaped_paths_never_mean_the_same(text: str) -> None:
    path = answer(unescape_path, text)
    assert path is None or escape_path(path) == text


@pytest.mark.parametrize(
    "bad", ["!", "a!", "!!a", "!A", "A", "..", ".", "a/b", "a\\b", "con", "a\x00", "a\n", "\udcff", "%2e%2e"]
)
def test_a_version_that_could_leave_its_directory_or_differ_only_in_case_is_refused(bad: str) -> None:
    if bad == "%2e%2e":  # an ordinary file name once percent-decoding is done, and exactly once
        assert unescape_version(bad) == bad
    else:
        with pytest.raises(InvalidVersion):
            unescape_version(bad)
