"""Standard streams that any command can write to, whatever it was started with."""

from __future__ import annotations

import io
import os
import sys
from pathlib import Path


def prepare() -> None:
    """Make stdout and stderr take any text, and lead those that are closed to the null device.

    What an encoding lacks would end a command that has done its work, and what belongs on a closed stderr would be
    printed on stdout.
    """
    if sys.stdout is None:
        sys.stdout = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115 - until the process ends
    if sys.stderr is None:
        sys.stderr = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def give_up_stdout() -> None:
    """Nobody takes it, or there is no room: keep the interpreter from complaining about it once more at exit."""
    descriptor = os.open(os.devnull, os.O_WRONLY)
    os.dup2(descriptor, sys.stdout.fileno())
    os.close(descriptor)


def flush_or_give_up() -> None:
    """Write what stdout holds, if that can be done."""
    try:
        sys.stdout.flush()
    except OSError:
        give_up_stdout()
