from __future__ import annotations

import sys
import unicodedata
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2pmods.errors import InvalidPath, InvalidVersion
from p2pmods.gomod import paths
from p2pmods.gomod.module import ModuleVersion
from tests.gomod.vectors import rows

if TYPE_CHECKING:
    from collections.abc import Callable


def passes(check: Callable[..., object], *arguments: str) -> bool:
    try:
        check(*arguments)
    except (InvalidPath, InvalidVersion):
        return False
    return True


def test_module_import_and_file_paths_are_judged_as_go_judges_them() -> None:
    for path, is_module, is_import, is_file, *_ in rows("paths"):
        assert passes(paths.check_path, path) == is_module, path
        assert passes(paths.check_import_path, path) == is_import, path
        assert passes(paths.check_file_path, path) == is_file, path


def test_the_major_version_in_a_path_is_the_one_that_go_finds() -> None:
    for path, *_, prefix, major, ok in rows("paths"):
        assert paths.split_path_version(path) == ((prefix, major) if ok else None), path


def test_path_and_version_fit_exactly_where_go_says_so() -> None:
    [versions], *judged = rows("checks")
    for path, checks, majors in judged:
        for version, fits, major_fits in zip(versions, checks, majors, strict=True):
            assert passes(paths.check_module, path, version) == (fits == "1"), (path, version)
            if paths.split_path_version(path):
                assert passes(paths.check_path_major, path, version) == (major_fits == "1"), (path, version)
            canonical = paths.canonical_version(version) == version
            assert passes(ModuleVersion, path, version) == (fits == "1" and canonical), (path, version)


def test_incompatible_survives_in_a_canonical_version_and_other_builds_do_not() -> None:
    for version, *rest in rows("versions"):
        assert paths.canonical_version(version) == rest[6], version


def test_letters_are_those_of_go_but_for_what_one_unicode_version_knows_more() -> None:
    [go_unicode], edges, _, _ = rows("unicode")
    older = min(_numbers(go_unicode), _numbers(unicodedata.unidata_version))
    starts, ends = edges[::2], edges[1::2]
    go_letters = {code for start, end in zip(starts, ends, strict=True) for code in range(start, end)}
    differ = [code for code in range(0x80, sys.maxunicode + 1) if (code in go_letters) != chr(code).isalpha()]
    if _numbers(go_unicode) == _numbers(unicodedata.unidata_version):
        assert not differ
    # Only what the older of the two does not know at all is judged differently.
    ours_is_older = older == _numbers(unicodedata.unidata_version)
    assert all(unicodedata.category(chr(code)) == "Cn" for code in differ if ours_is_older)
    assert not any(code in go_letters for code in differ if not ours_is_older)


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(map(int, version.split(".")))


def test_no_letter_outside_ascii_folds_into_a_name_that_windows_reserves() -> None:
    # check_file_path compares those names in ASCII alone, Go by folding.
    *_, folds = rows("unicode")
    assert {letter for _, letter in folds} == {"k", "s"}


@pytest.mark.parametrize("bad", ["example.com/\udcff", "\ud800.com/x", "example.com/a\udc00b"])
def test_what_was_no_utf_8_is_refused(bad: str) -> None:
    for check in (paths.check_path, paths.check_import_path, paths.check_file_path):
        assert not passes(check, bad)


def test_an_error_names_the_path_with_control_characters_made_visible() -> None:
    with pytest.raises(InvalidPath, match=r"malformed path .*\\x1b"):
        paths.check_path("example.com/\x1b[2J")


def test_only_gos_own_toolchains_are_toolchains() -> None:
    assert paths.is_toolchain("golang.org/toolchain")
    assert not any(map(paths.is_toolchain, ["toolchain", "golang.org/toolchain/v2", "golang.org/Toolchain"]))


@given(st.text(max_size=40))
def test_a_module_path_is_an_import_path_and_a_file_path_unless_short_names(text: str) -> None:
    if passes(paths.check_path, text):
        assert passes(paths.check_import_path, text)
        assert passes(paths.check_file_path, text)
        assert text.isascii()
        assert ".." not in text.split("/")


@given(st.text(max_size=40))
def test_a_split_path_can_be_put_together_again(text: str) -> None:
    split = paths.split_path_version(text)
    assert split is None or "".join(split) == text
