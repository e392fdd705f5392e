"""Which first segment of a path is a token."""

from __future__ import annotations

import pytest

from p2pmods.api.sessions import Tokens


@pytest.mark.parametrize(
    ("first", "found"),
    [
        ("s3cret", True),
        ("other", True),
        ("s3cre", False),
        ("s3crets", False),
        ("S3cret", False),
        ("", False),
        ("☃", False),
    ],
)
def test_only_a_whole_token_opens_the_door(first: str, found: bool) -> None:
    tokens = Tokens(setup=lambda: "other", api="s3cret", monotonic=lambda: 0.0)
    assert (tokens.find(first) is not None) is found


def test_a_session_that_was_closed_opens_nothing() -> None:
    tokens = Tokens(setup=lambda: None, api=None, monotonic=lambda: 0.0)
    session = tokens.open(None, "")
    access = tokens.find(session.token)
    assert access is not None
    assert (access.session, access.strict) == (session, True)
    tokens.close(session.token)
    assert tokens.find(session.token) is None
