"""A node to talk to: the one that runs on the data directory, or one started for the life of this command.

A started node is a child process whose standard input is a pipe from here: when this process ends, however it ends,
the node sees the end of the pipe. It stays for as long as another command still uses it: each user holds a lock on
a file of its own in DATA/leases.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final

import p2pmods
from p2pmods.cli.client import RunningNode, find_node, read_node_file
from p2pmods.cli.context import data_directory_of_flags
from p2pmods.cli.output import note
from p2pmods.config.settings import BY_KEY
from p2pmods.errors import UsageError, UserError, printable

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

LEASES: Final = "leases"
START_DEADLINE: Final = 60.0  # seconds until `ready`; opening a large store that was damaged rebuilds its index
STOP_DEADLINE: Final = 15.0
PATIENCE: Final = 30.0  # seconds for somebody else's node to become ready, or to end
BETWEEN_STARTS: Final = 0.5
LEFT_BEHIND: Final = 60.0  # seconds after which an unlocked lease is nobody's that is just about to lock it
BUSY: Final = 75  # exit status of a node whose data directory is in use: EX_TEMPFAIL of sysexits.h
READY: Final = b"ready "


@contextlib.contextmanager
def a_node(flags: Mapping[str, object]) -> Iterator[RunningNode]:
    """The node to use until the block ends. `flags` are the settings given to this command."""
    data = data_directory_of_flags(flags)
    lease = Lease(data)
    process: subprocess.Popen[bytes] | None = None
    try:
        node = find_node(data)
        if node is not None:
            _mention_ignored(flags)
        else:
            node, process = _start_or_find(data, flags)
        yield node
    finally:
        lease.release()
        if process is not None:
            _stop(data, process)


class Lease:
    """Says, by a locked file, that this process uses the node of `data`. UserError when that cannot be written to."""

    def __init__(self, data: Path) -> None:
        import filelock

        directory = data / LEASES
        self.path = directory / f"{os.getpid()}-{secrets.token_hex(4)}"
        self._lock = filelock.FileLock(self.path)
        try:
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._lock.acquire()
        except OSError as error:
            raise UserError(
                f"cannot use the data directory {data}: {error.strerror or error}; choose another one with --data"
            ) from error

    def release(self) -> None:
        self._lock.release(force=True)
        with contextlib.suppress(OSError):
            self.path.unlink()


def is_leased(data: Path) -> bool:
    """Whether any process uses the node of `data`. What dead processes left is removed after a while."""
    import filelock

    for path in (data / LEASES).glob("*"):
        try:
            with filelock.FileLock(path, timeout=0):
                age = time.time() - path.stat().st_mtime
        except filelock.Timeout:
            return True
        except OSError:
            continue
        if age > LEFT_BEHIND:
            with contextlib.suppress(OSError):
                path.unlink()
    return False


def _mention_ignored(flags: Mapping[str, object]) -> None:
    given = [key.replace("_", "-") for key, value in flags.items() if key != "data" and value not in (None, [])]
    if given:
        note(f"p2pmods: a node is running already; {', '.join(f'--{name}' for name in given)} changes nothing")


def _start_or_find(data: Path, flags: Mapping[str, object]) -> tuple[RunningNode, subprocess.Popen[bytes] | None]:
    """A new node and its process; or, without one, the node that another command started at the same moment."""
    deadline = time.monotonic() + PATIENCE
    while True:
        with tempfile.TemporaryFile() as complaints:
            process = _start(data, flags, complaints)
            node = _wait_ready(data, process)
            if node is not None:
                return node, process
            status = process.wait()
            if status != BUSY or time.monotonic() > deadline:
                kind = UsageError if status == UsageError.exit_code else UserError  # whose setting was it?
                raise kind(f"the node did not start: {_last_line(complaints)}")
        node = _wait_for_another(data)
        if node is not None:
            return node, None


def _start(data: Path, flags: Mapping[str, object], complaints: IO[bytes]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        node_command(data, flags),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=complaints,
        env=_environment(flags),
        start_new_session=os.name != "nt",  # the terminal's Ctrl-C is for the command, not for its node
        creationflags=getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0),
    )


def node_command(data: Path, flags: Mapping[str, object]) -> list[str]:
    """`p2pmods up` with the same settings, on a free port. `-P`: nothing in the current directory is imported.

    Secrets are left out: see `_environment`.
    """
    command = [sys.executable, "-P", "-m", "p2pmods", "up", "--with-parent", "--data", str(data)]
    given = {"listen": "127.0.0.1:0", **{key: value for key, value in flags.items() if value is not None}}
    for key, value in given.items():
        name = key.replace("_", "-")
        if isinstance(value, bool):
            command.append(f"--{name}" if value else f"--no-{name}")
        elif isinstance(value, list):
            command += [part for item in value for part in ("--peer", str(item))]
        elif key != "data" and not BY_KEY[key].secret:
            command += [f"--{name}", str(value)]
    return command


def _environment(flags: Mapping[str, object]) -> dict[str, str]:
    """This process's environment, with the place this package was found in first on the module path, and with the
    secrets among the flags, which a list of processes would show."""
    root = str(Path(p2pmods.__file__).parents[1])
    inherited = os.environ.get("PYTHONPATH")
    secret = {BY_KEY[key].variable: str(value) for key, value in flags.items() if value and BY_KEY[key].secret}
    return {**os.environ, **secret, "PYTHONPATH": f"{root}{os.pathsep}{inherited}" if inherited else root}


def _wait_ready(data: Path, process: subprocess.Popen[bytes]) -> RunningNode | None:
    """Read its stdout up to the `ready` line, within START_DEADLINE; None when it ended before that."""
    timer = threading.Timer(START_DEADLINE, process.kill)
    try:
        timer.start()
        assert process.stdout is not None
        for line in process.stdout:
            node = read_node_file(data) if line.startswith(READY) else None
            if node is not None:
                return node
    finally:
        timer.cancel()
    return None


def _wait_for_another(data: Path) -> RunningNode | None:
    """Somebody else's node on the same data: None when it does not get ready soon, because it is just ending."""
    deadline = time.monotonic() + BETWEEN_STARTS
    while time.monotonic() < deadline:
        node = find_node(data)
        if node is not None:
            return node
        time.sleep(0.05)
    return None


def _last_line(complaints: IO[bytes]) -> str:
    complaints.seek(0)
    lines = complaints.read(64 << 10).decode("utf-8", "replace").strip().splitlines()
    return printable(lines[-1].removeprefix("p2pmods: "), 500) if lines else "it said nothing"


def _stop(data: Path, process: subprocess.Popen[bytes]) -> None:
    """End the pipe. A node that others use still lives on; any other is gone when this returns."""
    assert process.stdin is not None
    assert process.stdout is not None
    with contextlib.suppress(OSError):
        process.stdin.close()
    process.stdout.close()
    if process.poll() is None and is_leased(data):
        return
    try:
        process.wait(STOP_DEADLINE)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
