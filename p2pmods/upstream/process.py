"""Running a program that is not trusted to end: bounded, in a process group of its own, killed with its children."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import trio

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

_READ_SIZE: Final = 64 << 10
_PIPE_PATIENCE: Final = 2.0  # seconds that output may still come after the program itself has ended


class Overrun(Exception):
    """The program was killed: it took too long or said too much. The text says which."""


@dataclass(frozen=True, slots=True)
class Completed:
    """How a program ended, and what it printed."""

    status: int
    stdout: bytes
    stderr: bytes


async def run_bounded(
    command: Sequence[str | Path], *, cwd: Path, env: Mapping[str, str], deadline: float, max_output: int
) -> Completed:
    """Run `command` for at most `deadline` seconds, reading at most `max_output` bytes from each of its outputs.

    However this ends, also by cancellation, no process of the group is left. Raises Overrun, and OSError when it
    cannot be started.
    """
    process = await trio.lowlevel.open_process(
        [os.fspath(word) for word in command],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=cwd,
        env=dict(env),
        **_own_group(),
    )
    outputs = (bytearray(), bytearray())
    try:
        with trio.fail_after(deadline):
            await _collect(process, outputs, max_output)
    except trio.TooSlowError:
        raise Overrun(f"not done after {deadline:.0f} s") from None
    finally:
        with trio.CancelScope(shield=True):
            await kill_tree(process)
            for stream in (process.stdout, process.stderr):
                if stream is not None:
                    await trio.aclose_forcefully(stream)
    assert process.returncode is not None
    return Completed(process.returncode, bytes(outputs[0]), bytes(outputs[1]))


async def _collect(process: trio.Process, outputs: tuple[bytearray, bytearray], max_output: int) -> None:
    assert process.stdout is not None
    assert process.stderr is not None
    too_much = False
    async with trio.open_nursery() as nursery:

        async def read(stream: trio.abc.ReceiveStream, into: bytearray) -> None:
            nonlocal too_much
            while data := await stream.receive_some(_READ_SIZE):
                into += data
                if len(into) > max_output:
                    too_much = True
                    nursery.cancel_scope.cancel()

        nursery.start_soon(read, process.stdout, outputs[0])
        nursery.start_soon(read, process.stderr, outputs[1])
        await process.wait()
        # Whoever holds the pipes open now is a child that was left behind.
        nursery.cancel_scope.deadline = trio.current_time() + _PIPE_PATIENCE
    if too_much:
        raise Overrun(f"printed more than {max_output} bytes")


async def kill_tree(process: trio.Process) -> None:
    """Kill the process and everything in its group, and reap it. Harmless when all have ended."""
    if sys.platform == "win32":
        if process.returncode is None:
            killer = ["taskkill", "/F", "/T", "/PID", str(process.pid)]
            await trio.run_process(killer, check=False, capture_stdout=True, capture_stderr=True)
            process.kill()
    else:
        with contextlib.suppress(ProcessLookupError, PermissionError):  # all ended; macOS: only zombies are left
            os.killpg(process.pid, signal.SIGKILL)
    await process.wait()


def _own_group() -> dict[str, Any]:
    if sys.platform == "win32":
        return {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP | subprocess.CREATE_NO_WINDOW}
    return {"start_new_session": True}
