"""Commands that are told to end clean up first, whichever way they are told."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

ALSO: Final = tuple(getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name))
_told: list[int] = []


def heeded(numbers: Iterable[int]) -> list[int]:
    """Those of these signals that whoever started this process did not have it ignore (nohup)."""
    return [number for number in numbers if signal.getsignal(number) is not signal.SIG_IGN]


def end_as_on_ctrl_c() -> None:
    """Let SIGTERM, and a terminal that goes away, do what Ctrl-C does; what this process ignores stays ignored.

    Where Ctrl-C itself is ignored (a script's background job) nothing changes: they end the process at once.
    """
    if signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        return
    for number in ALSO:
        if signal.getsignal(number) is signal.SIG_DFL:
            signal.signal(number, _pass_on)


def told_to_end(by: int) -> None:
    """Note that a signal of this number told this process to end."""
    _told.append(by)


def was_told_to_end() -> bool:
    """Whether this process was."""
    return bool(_told)


def interrupted() -> int:
    """The exit status of a command that was ended, as a shell reports it: 128 + the signal."""
    return 128 + (_told[0] if _told else signal.SIGINT)


def _pass_on(number: int, _frame: Any) -> None:
    told_to_end(number)
    signal.raise_signal(signal.SIGINT)
