from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2pmods.errors import MalformedData
from p2pmods.gomod.gosum import MAX_GO_SUM, GoSum, parse_go_sum
from p2pmods.gomod.module import ModuleVersion

QUOTE = ModuleVersion("rsc.io/quote", "v1.5.2")
ZIP, MOD = "h1:w5fcysjrx7yqtD/aO+QwRjYZOKnaM9Uh2b40tElTs3Y=", "h1:LzX7hefJvL54yjefDEDHNONDjII0t9xZLPXsUe+TKr0="
LINES = f"rsc.io/quote v1.5.2 {ZIP}\nrsc.io/quote v1.5.2/go.mod {MOD}\n".encode()


def test_a_module_has_a_hash_for_its_zip_and_one_for_its_go_mod() -> None:
    sums = parse_go_sum(LINES)
    assert sums.zip_h1(QUOTE) == ZIP
    assert sums.mod_h1(QUOTE) == MOD
    assert list(sums.modules) == [(QUOTE, True)]


def test_what_is_not_listed_has_no_hash() -> None:
    sums = parse_go_sum(LINES.splitlines()[1])
    assert sums.zip_h1(QUOTE) is None
    assert sums.mod_h1(ModuleVersion("rsc.io/quote", "v1.5.3")) is None
    assert list(sums.modules) == [(QUOTE, False)]


def test_blank_lines_other_white_space_and_repeated_lines_do_not_matter() -> None:
    assert parse_go_sum(b"\n \t\r\n" + LINES.replace(b"\n", b"\r\n").replace(b" ", b"\t ") * 2) == parse_go_sum(LINES)
    assert parse_go_sum(b"") == GoSum({})


@pytest.mark.parametrize("line", [b"rsc.io/quote v1.5.2", b"rsc.io/quote", b"a b c d", b"<<<<<<< HEAD", b"\x00"])
def test_a_line_without_three_fields_is_an_error_that_names_the_line(line: bytes) -> None:
    with pytest.raises(MalformedData, match=r"line 3: wrong number of fields"):
        parse_go_sum(LINES + line + b"\n")


def test_two_different_hashes_of_one_file_are_an_error() -> None:
    with pytest.raises(MalformedData, match=r"line 3: another hash for rsc\.io/quote v1\.5\.2"):
        parse_go_sum(LINES + f"rsc.io/quote v1.5.2 {MOD}\n".encode())


def test_other_algorithms_and_the_hash_that_an_old_go_wrote_by_mistake_are_passed_over() -> None:
    odd = b"a.b/c v1.0.0 h2:xyz\na.b/c v1.0.0/go.mod h1:G7mAYYxgmS0lVkHyy2hEOLQCFB0DlQFTMLWggykrydY=\n"
    assert list(parse_go_sum(odd).modules) == []


def test_lines_that_name_no_module_are_kept_out_of_the_modules() -> None:
    odd = f"nodot v1.0.0 {ZIP}\na.b/c v2.0.0 {ZIP}\na.b/c v1.0 {ZIP}\n\xff v1.0.0 {ZIP}\n".encode("latin-1")
    assert list(parse_go_sum(odd + LINES).modules) == [(QUOTE, True)]


def test_a_file_too_large_to_be_a_go_sum_is_not_read() -> None:
    with pytest.raises(MalformedData, match="more than"):
        parse_go_sum(b"\n" * (MAX_GO_SUM + 1))


@given(
    st.binary(max_size=200)
    | st.lists(st.sampled_from([b"a.b/c", b"v1.0.0", b"h1:x", b" ", b"\n", b"/go.mod"])).map(b"".join)
)
def test_no_bytes_break_the_reader(data: bytes) -> None:
    try:
        sums = parse_go_sum(data)
    except MalformedData:
        return
    for module, has_zip in sums.modules:
        assert has_zip == (sums.zip_h1(module) is not None)
        assert has_zip or sums.mod_h1(module) is not None
