"""By which status go decides whether a module exists, and whether to ask the next proxy."""

from __future__ import annotations

import pytest

from p2pmods.api.answers import failure_answer
from p2pmods.api.sessions import Session
from p2pmods.errors import NotFound, Refused, SourceError, Unavailable
from p2pmods.fetch.outcome import FetchFailed, Verdict, verdict_of
from p2pmods.upstream.failure import ProxiesLackIt, Unreachable


@pytest.mark.parametrize(
    ("last", "followed", "alone"),
    [
        (NotFound, 404, 404),
        (Refused, 403, 403),
        (Unavailable, 404, 503),
        (Unreachable, 404, 503),
        (ProxiesLackIt, 404, 404),  # as without a node: a query that must not fail the whole of `go list -m -u all`
    ],
)
def test_only_what_cannot_be_said_now_is_503_and_only_where_nobody_follows(
    last: type[SourceError], followed: int, alone: int
) -> None:
    tried = [Unavailable("peers", "none is there"), last("upstream", "why")]
    failure = FetchFailed("example.org/widget@latest", verdict_of(tried), tried)
    assert failure_answer(failure, alone=False).status == followed
    assert failure_answer(failure, alone=True).status == alone


def test_a_reason_is_told_once() -> None:
    reason = "hash is h1:A, but go.sum says h1:B"
    failure = FetchFailed("a.example/b@v1.0.0.zip", Verdict.REFUSED, [Refused("go.sum", reason)], reason)
    assert failure.text() == f"p2pmods: a.example/b@v1.0.0.zip: refused\n{reason}\n"
    session = Session("token", 0.0)
    session.record_failure(failure)
    assert session.report(now=1.0)["missing"][0]["tried"] == []
    tried = [Refused("store", "no"), *failure.tried]
    another = FetchFailed("a.example/b@v1.0.0.zip", Verdict.REFUSED, tried, reason)
    assert another.text().splitlines()[1:] == [reason, "store: no"]
