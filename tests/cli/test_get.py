"""`get` is for what comes later, perhaps without a network: so it waits for the proofs too."""

from __future__ import annotations

import contextlib
import json
from typing import TYPE_CHECKING, Any

import pytest

from p2pmods.cli import getcmd

if TYPE_CHECKING:
    from collections.abc import Iterator

NOWHERE = "http://127.0.0.1:9"  # nobody listens there


class FakeNode:
    """Answers the control API as a node does, and remembers what it was asked."""

    def __init__(self, served: int, proven_late: int | None) -> None:
        self.served, self.proven_late = served, proven_late
        self.asked: list[tuple[str, Any]] = []

    def post(self, path: str, body: Any) -> Any:
        self.asked.append((path, body))
        return {
            "sessions": {"token": "run-x", "url": NOWHERE},
            "allow": {"allowed": []},
            "prove": {"unproven": self.proven_late},
        }[path]

    def delete(self, path: str) -> Any:
        self.asked.append((path, None))
        return {"modules": 1, "bytes": 1, "sources": {}, "unproven": self.served, "missing": [], "elapsed_s": 1.0}


@pytest.mark.parametrize(
    ("served", "late", "told"),
    [
        (2, 0, 0),
        (2, 1, 1),
        (0, 2, 0),  # a go.sum vouched for them
        (2, None, 2),
    ],
)
def test_get_waits_for_the_proofs_before_its_node_ends(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], served: int, late: int | None, told: int
) -> None:
    node = FakeNode(served, late)

    @contextlib.contextmanager
    def a_node(_flags: object) -> Iterator[FakeNode]:
        yield node
        node.asked.append(("ended", None))

    monkeypatch.setattr(getcmd, "a_node", a_node)
    getcmd.get({}, ["example.com/a@v1.0.0"], as_json=True)
    assert [path for path, _ in node.asked] == ["sessions", "allow", "prove", "sessions/run-x", "ended"]
    assert node.asked[2][1] == {"modules": ["example.com/a@v1.0.0"]}
    assert json.loads(capsys.readouterr().out)["unproven"] == told


@pytest.mark.parametrize("version", ["v1.0.0", "main", "latest"])
def test_a_name_too_long_to_be_asked_for_is_a_failure_like_any_other(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], version: str
) -> None:
    monkeypatch.setattr(getcmd, "a_node", lambda _flags: contextlib.nullcontext(FakeNode(0, None)))
    target = f"example.com/{'a' * 100_000}@{version}"
    assert getcmd.get({}, [target], as_json=True) == 1
    assert {failure["reason"] for failure in json.loads(capsys.readouterr().out)["failed"]} == {"URL too long"}
