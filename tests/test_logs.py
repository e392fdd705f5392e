"""The log of `up`: for a person on a terminal, for a program elsewhere, and safe for both."""

from __future__ import annotations

import errno
import io
import json
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import pytest
import structlog
import trio
import trio.testing

from p2pmods.cli.livestatus import show_live
from p2pmods.logs import CLEAR_LINE, configure_logs, may_rewrite_lines

if TYPE_CHECKING:
    from collections.abc import Iterator

    from p2pmods.node import Node


class Stream(io.StringIO):
    """A stderr that is a terminal, or is not."""

    def __init__(self, *, is_terminal: bool) -> None:
        super().__init__()
        self._is_terminal = is_terminal

    def isatty(self) -> bool:
        return self._is_terminal


@pytest.fixture(autouse=True)
def _configuration_afterwards() -> Iterator[None]:
    before = structlog.get_config()
    yield
    structlog.configure(**before)


def logged(monkeypatch: pytest.MonkeyPatch, *, is_terminal: bool) -> str:
    stream = Stream(is_terminal=is_terminal)
    monkeypatch.setattr("sys.stderr", stream)
    configure_logs()
    structlog.get_logger().warning("something came", of="a\x1b[2Jpeer")
    return stream.getvalue()


def test_elsewhere_than_on_a_terminal_it_is_json(monkeypatch: pytest.MonkeyPatch) -> None:
    line = json.loads(logged(monkeypatch, is_terminal=False))
    assert (line["event"], line["level"], line["of"]) == ("something came", "warning", "a\\x1b[2Jpeer")


def test_on_a_terminal_a_line_takes_the_place_of_the_live_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    text = logged(monkeypatch, is_terminal=True)
    assert text.startswith(CLEAR_LINE)
    assert text.endswith("\n")
    assert "something came" in text
    assert "\x1b[2J" not in text


def test_no_color_is_heeded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    text = logged(monkeypatch, is_terminal=True)
    assert "\x1b" not in text.removeprefix(CLEAR_LINE)


def test_a_terminal_that_obeys_nothing_is_told_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "dumb")
    text = logged(monkeypatch, is_terminal=True)
    assert "something came" in text
    assert "\x1b" not in text
    assert "\r" not in text
    assert not may_rewrite_lines()


class Gone(Stream):
    """A disk that is full, or a terminal or pipe that nobody reads any more."""

    def write(self, _text: str) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    def flush(self) -> None:
        raise OSError(errno.EIO, "Input/output error")


@pytest.mark.parametrize("is_terminal", [True, False])
def test_a_log_that_takes_nothing_is_no_matter_of_who_writes_to_it(
    monkeypatch: pytest.MonkeyPatch, *, is_terminal: bool
) -> None:
    monkeypatch.setattr("sys.stderr", Gone(is_terminal=is_terminal))
    configure_logs()
    structlog.get_logger().warning("a file was passed on but not kept")


async def test_a_live_line_that_nobody_takes_ends_no_node(
    monkeypatch: pytest.MonkeyPatch, autojump_clock: trio.testing.MockClock
) -> None:
    node = SimpleNamespace(duties=SimpleNamespace(status=lambda: None))
    monkeypatch.setattr("p2pmods.cli.livestatus.status_line", lambda _status: "1 module held")
    monkeypatch.setattr("sys.stderr", Gone(is_terminal=True))
    with trio.move_on_after(3) as scope:
        await show_live(cast("Node", node))
    assert scope.cancelled_caught
