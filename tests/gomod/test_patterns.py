from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2pmods.gomod.patterns import Patterns
from tests.gomod.vectors import rows


def test_every_list_of_patterns_matches_what_it_matches_in_go() -> None:
    [targets], *judged = rows("patterns")
    for globs, matched in judged:
        patterns = Patterns.parse(globs)
        ours = "".join("01"[patterns.matches(target)] for target in targets)
        assert ours == matched, (globs, [t for t, a, b in zip(targets, ours, matched, strict=True) if a != b])


def test_a_private_prefix_covers_what_is_below_it_and_not_its_neighbours() -> None:
    private = Patterns.parse("*.corp.example.com,rsc.io/private")
    assert private.matches("git.corp.example.com/team/tool/v2")
    assert private.matches("rsc.io/private")
    assert not private.matches("corp.example.com/x")
    assert not private.matches("rsc.io/privateer")


def test_a_pattern_that_never_matches_is_known_so_that_the_user_can_be_warned() -> None:
    patterns = Patterns.parse("github.com/[acme,a\\,ok.com")
    assert patterns.malformed == ("github.com/[acme", "a\\")
    assert patterns.matches("ok.com/x")


@pytest.mark.parametrize("text", ["", ",", "/", ",,/"])
def test_no_pattern_is_false(text: str) -> None:
    assert not Patterns.parse(text)
    assert not Patterns.parse(text).matches("example.com/m")


def test_text_equality_and_repr_are_those_of_the_list() -> None:
    patterns = Patterns.parse("a.com/*,b.com")
    assert str(patterns) == "a.com/*,b.com"
    assert patterns == Patterns("a.com/*,b.com")
    assert hash(patterns) == hash(Patterns("a.com/*,b.com"))
    assert patterns


def test_a_hostile_pattern_takes_no_time() -> None:
    assert not Patterns.parse("*a" * 2000 + "b").matches("a" * 4000)


@given(st.text("ab/*?[]^-\\é,", max_size=12), st.text("ab/é", max_size=8))
def test_no_pattern_breaks_the_reader(text: str, path: str) -> None:
    assert Patterns.parse(text).matches(path) in (True, False)
