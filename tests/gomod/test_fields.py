from __future__ import annotations

from p2pmods.gomod.fields import fields, has_space, trim_space
from tests.gomod.vectors import rows


def test_white_space_is_what_go_calls_white_space_and_nothing_else() -> None:
    spaces = set(rows("unicode")[2])
    for code in (*range(0x3100), 0xFEFF):
        character = chr(code)
        is_space = code in spaces
        assert has_space(f"a{character}b") == is_space, hex(code)
        assert len(fields(f"a{character}b")) == 1 + is_space, hex(code)
        assert (trim_space(f"{character}a{character}") == "a") == is_space, hex(code)


def test_runs_of_white_space_count_once_and_none_is_left_at_the_ends() -> None:
    assert fields(" \t a \n\u00a0b ") == ["a", "b"]
    assert fields(" ") == []
    assert trim_space(" a b\u2003") == "a b"
