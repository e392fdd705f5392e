"""Programs that test_faults.py runs and kills in the middle of a commit."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from p2pmods.errors import StoreError
from p2pmods.store.store import Store
from tests.store.files import key, put

if TYPE_CHECKING:
    from collections.abc import Callable

STEPS = ("open", "write", "fsync", "replace", "mkdir", "lstat", "fstat", "close", "unlink")


def commit_zip(data: Path) -> None:
    """A store that holds a `.mod` commits the zip. Between the markers lies what is to be disturbed."""
    store = Store.open(data)
    os.getppid()  # a system call that nothing else makes: the marker for strace
    try:
        put(store, key("zip"), proven=True)
        print("committed")
    except StoreError as error:
        print(f"refused: {error}")
    os.getppid()
    store.close()


def kill_at(step: str, count: int, *, after: bool) -> None:
    """From now on the `count`th call of os.<step> is the last thing that this process does."""
    real: Callable[..., Any] = getattr(os, step)
    calls = 0

    def hooked(*args: Any, **kwargs: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == count and not after:
            os.kill(os.getpid(), signal.SIGKILL)
        result = real(*args, **kwargs)
        if calls == count:
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    setattr(os, step, hooked)


def kill_everywhere(template: Path, results: Path) -> None:
    """One child for each step, killed before or after it, in a data directory of its own."""
    for step in STEPS:
        for after in (False, True):
            count = 1
            while killed_in_child(
                template, results / f"{step}-{count}-{'after' if after else 'before'}", step, count, after
            ):
                count += 1
            print(f"{step} {'after' if after else 'before'}: {count - 1}")


def killed_in_child(template: Path, data: Path, step: str, count: int, after: bool) -> bool:
    """False when the commit was over before the `count`th such step."""
    shell_copy(template, data)
    child = os.fork()
    if child == 0:
        store = Store.open(data)
        kill_at(step, count, after=after)
        put(store, key("zip"), proven=True)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    return os.WIFSIGNALED(status)


def shell_copy(template: Path, data: Path) -> None:
    import shutil

    shutil.copytree(template, data)


if __name__ == "__main__":
    if sys.argv[1] == "commit":
        commit_zip(Path(sys.argv[2]))
    else:
        kill_everywhere(Path(sys.argv[2]), Path(sys.argv[3]))
