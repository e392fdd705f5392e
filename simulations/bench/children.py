"""Child processes that cannot outlive their deadline, nor the block that started them."""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
import threading
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Final, Self

from p2pmods.errors import printable
from simulations.bench.meter import Usage, read_usage

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

STOP_TIME: Final = 10.0  # seconds between asking a child to stop and killing its process group


class BenchFailed(Exception):
    """Something could not be measured; the text says why, in one line."""


class Child:
    """A command in a process group of its own. Leaving the `with` block stops it; `deadline` seconds kill it."""

    def __init__(
        self,
        arguments: Sequence[str],
        *,
        directory: Path,
        environ: Mapping[str, str],
        deadline: float,
        cores: frozenset[int] = frozenset(),
    ) -> None:
        """`cores` are the processors it may run on, all when empty."""
        self.arguments = list(arguments)
        self.deadline = deadline
        self._complaints = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the child
        with pinned(cores):
            self.started = time.monotonic()
            self._process = subprocess.Popen(
                self.arguments,
                cwd=directory,
                env=dict(environ),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._complaints,
                start_new_session=True,
                text=True,
                encoding="utf-8",
            )
        self._timer = threading.Timer(deadline, self._kill)
        self._timer.daemon = True
        self._timer.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def pid(self) -> int:
        return self._process.pid

    def usage(self) -> Usage | None:
        return read_usage(self.pid)

    def write_line(self, text: str) -> None:
        """Raises BenchFailed when it has ended."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(f"{text}\n")
            self._process.stdin.flush()
        except BrokenPipeError as error:
            raise BenchFailed(self._reason()) from error

    def read_line(self, prefix: str = "") -> str:
        """The next line of its output that begins with `prefix`, without that. BenchFailed when it ends before."""
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if line.startswith(prefix):
                return line.removeprefix(prefix).rstrip("\n")
        raise BenchFailed(self._reason())

    def finish(self) -> str:
        """Its output once it has ended by itself. BenchFailed when it failed, or was killed at its deadline."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        output = self._process.stdout.read()
        if self._process.wait() != 0:
            raise BenchFailed(self._reason())
        return output

    def kill(self) -> None:
        """End it at once, and all that it started, without a chance to clean up."""
        self._kill()
        self._process.wait()

    def stop(self) -> None:
        """End it and all that it started. Harmless when it has ended."""
        if self._process.poll() is None:
            self._process.terminate()
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(STOP_TIME)
        self._kill()
        self._timer.cancel()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout, self._complaints):
            if stream is not None:
                with suppress(BrokenPipeError):  # of what was still to be written
                    stream.close()

    def _kill(self) -> None:
        try:
            if os.name == "posix":
                os.killpg(self.pid, signal.SIGKILL)
            else:
                self._process.kill()
        except (ProcessLookupError, PermissionError):  # macOS says the latter of a group of zombies
            pass

    def _reason(self) -> str:
        self._process.wait()
        name = " ".join(self.arguments)[:120]
        if time.monotonic() - self.started >= self.deadline:
            return f"{name}: not done within {self.deadline:.0f} s"
        self._complaints.seek(0)
        lines = self._complaints.read().decode("utf-8", "replace").strip().splitlines()
        return f"{name}: {printable(lines[-1]) if lines else f'exit status {self._process.returncode}'}"


@contextmanager
def pinned(cores: frozenset[int]) -> Iterator[None]:
    """What is started in the block runs on these processors only, where the system can do that."""
    if not cores or not hasattr(os, "sched_setaffinity"):
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def split_cores() -> tuple[frozenset[int], frozenset[int]]:
    """One processor for the server that is measured, the others for the load; both empty when that cannot be."""
    if not hasattr(os, "sched_getaffinity"):
        return frozenset(), frozenset()
    first, *others = sorted(os.sched_getaffinity(0))
    return (frozenset({first}), frozenset(others)) if others else (frozenset(), frozenset())
