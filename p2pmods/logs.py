"""Logging: lines for a person on a terminal, JSON elsewhere, always on stderr, every string safe to print."""

from __future__ import annotations

import logging
import os
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, TextIO, cast

import structlog

from p2pmods.errors import printable

if TYPE_CHECKING:
    from collections.abc import MutableMapping

CLEAR_LINE: Final = "\r\x1b[2K"
MAX_VALUE: Final = 1000  # characters of one value; a hostile answer must not fill the disk


class UnfailingStream:
    """Writes to `stream` what it takes: a full disk, a pipe or a terminal that is gone is no reason to end a node."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> None:
        with suppress(OSError):
            self._stream.write(text)

    def flush(self) -> None:
        with suppress(OSError):
            self._stream.flush()


def may_rewrite_lines() -> bool:
    """Whether stderr is a terminal that obeys escape sequences."""
    return sys.stderr.isatty() and os.environ.get("TERM") != "dumb"


def configure_logs(*, verbose: bool = False) -> None:
    """Send this process's events to stderr."""
    human = sys.stderr.isatty()
    renderers: list[Any] = [structlog.processors.JSONRenderer()]
    if human:
        colours = may_rewrite_lines() and not os.environ.get("NO_COLOR")
        renderers = [structlog.dev.ConsoleRenderer(colors=colours)]
    if may_rewrite_lines():
        renderers.append(_on_a_line_of_its_own)
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="%H:%M:%S" if human else "iso", utc=not human),
            structlog.processors.format_exc_info,
            escape_values,
            *renderers,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.DEBUG if verbose else logging.INFO),
        logger_factory=structlog.PrintLoggerFactory(cast("TextIO", UnfailingStream(sys.stderr))),
        cache_logger_on_first_use=True,
    )


def _on_a_line_of_its_own(_logger: object, _name: str, line: str) -> str:
    """In the place of the line that `up` keeps current."""
    return f"{CLEAR_LINE}{line}"


def escape_values(_logger: object, _name: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """A structlog processor: no control character and no endless text from outside gets into the log."""
    for key, value in event.items():
        if isinstance(value, bool | int | float | None):
            continue
        if key == "exception" and isinstance(value, str):
            event[key] = "\n".join(printable(line, MAX_VALUE) for line in value.splitlines()[:100])
        else:
            event[key] = printable(value if isinstance(value, str) else str(value), MAX_VALUE)
    return event
