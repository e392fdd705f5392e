"""A commit that is disturbed at any step leaves the old or the new, never something torn, and never a mess."""

from __future__ import annotations

import errno
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import trio

from p2pmods.errors import StoreError
from p2pmods.store.store import Store
from tests.store.crashing import STEPS
from tests.store.files import content_of, key, put, put_all, verified

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

MOST = 5  # calls of one system call that are disturbed, each in a process of its own
REPOSITORY = Path(__file__).parents[2]


@pytest.fixture
def template(tmp_path: Path) -> Path:
    """A data directory that holds a `.mod`."""
    data = tmp_path / "template"
    store = Store.open(data)
    put(store, key("mod"), proven=True)
    store.close()
    return data


def check_old_or_new(data: Path) -> bool:
    """Open the store after the crash: the .mod is there, the zip whole or not at all, and it can be committed."""
    store = Store.open(data)
    try:
        assert not list((data / "tmp").iterdir())
        mod = trio.run(store.get, key("mod"))
        assert mod is not None
        zipped = trio.run(store.get, key("zip"))
        place = store.modules / key("zip").url_path
        assert (zipped is not None) == place.exists()
        if zipped is not None:
            assert place.read_bytes() == content_of(key("zip"))
        assert not list((data / "quarantine").iterdir())
        assert put(store, key("zip"), proven=True).proven
        put(store, key("info"))
        assert (place.parent / "list").read_text() == "v1.2.3\n"
        return zipped is not None
    finally:
        store.close()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="kills forked processes")
def test_kill_at_every_step_of_a_commit_leaves_the_old_or_the_new(template: Path, tmp_path: Path) -> None:
    results = tmp_path / "results"
    results.mkdir()
    done = subprocess.run(
        [sys.executable, "-m", "tests.store.crashing", "everywhere", str(template), str(results)],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    outcomes = {path.name: check_old_or_new(path) for path in results.iterdir()}
    assert len(outcomes) > 30, done.stdout
    assert set(outcomes.values()) == {True, False}
    assert not outcomes["replace-1-before"]
    assert outcomes["replace-1-after"]


# System calls, SQLite's own among them


def strace(data: Path, *options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["strace", "-f", *options, sys.executable, "-m", "tests.store.crashing", "commit", str(data)],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def occurrences(template: Path, tmp_path: Path, names: tuple[str, ...]) -> dict[str, range]:
    """For each system call, which of its calls (counted from the start of the process) are in the commit: some."""
    data, log = tmp_path / "counting", tmp_path / "strace.log"
    shutil.copytree(template, data)
    done = strace(data, "-o", str(log), "-e", f"trace=getppid,{','.join(names)}")
    if done.returncode != 0:
        pytest.skip(f"strace does not work here: {done.stderr[:200]}")
    calls = re.findall(r"^(?:\d+ +)?(\w+)\(", log.read_text(), re.MULTILINE)
    first = calls.index("getppid")
    last = len(calls) - calls[::-1].index("getppid")
    found = {}
    for name in names:
        inside = range(calls[:first].count(name) + 1, calls[:last].count(name) + 1)
        found[name] = inside[:: max(1, len(inside) // MOST)]
    return found


needs_strace = pytest.mark.skipif(shutil.which("strace") is None, reason="strace is missing")


@needs_strace
def test_kill_at_every_system_call_that_changes_a_disk(template: Path, tmp_path: Path) -> None:
    names = ("fsync", "fdatasync", "rename", "pwrite64")
    killed = 0
    for name, counts in occurrences(template, tmp_path, names).items():
        for count in counts:
            data = tmp_path / f"{name}-{count}"
            shutil.copytree(template, data)
            strace(data, "-o", os.devnull, "-e", f"inject={name}:signal=KILL:when={count}")
            check_old_or_new(data)
            killed += 1
    assert killed >= 5


@needs_strace
@pytest.mark.parametrize("name", ["pwrite64", "fsync", "rename"])
def test_a_full_or_failing_disk_under_any_system_call_is_a_clear_refusal(
    template: Path, tmp_path: Path, name: str
) -> None:
    for count in occurrences(template, tmp_path, (name,))[name]:
        error, words = ("EIO", "I/O error") if name == "fsync" else ("ENOSPC", "full")
        data = tmp_path / f"{name}-{count}"
        shutil.copytree(template, data)
        done = strace(data, "-o", os.devnull, "-e", f"inject={name}:error={error}:when={count}")
        assert done.returncode == 0, done.stderr
        assert done.stdout == "committed\n" or words in done.stdout
        check_old_or_new(data)


# The same without strace, on every system


class Fault:
    """Makes the `count`th call of os.<step> fail."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, step: str, count: int, number: int) -> None:
        self.hit = False
        self._calls = 0
        self._real: Callable[..., Any] = getattr(os, step)
        self._count, self._number = count, number
        monkeypatch.setattr(os, step, self)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        self._calls += 1
        if self._calls == self._count:
            self.hit = True
            raise OSError(self._number, os.strerror(self._number))
        return self._real(*args, **kwargs)


def faults(store: Store, step: str, number: int) -> Iterator[tuple[Fault, StoreError | None]]:
    """Commit the zip once for each call of os.<step> in it, with that call failing, until none is left."""
    for count in range(1, 100):
        with pytest.MonkeyPatch.context() as monkeypatch:
            fault = Fault(monkeypatch, step, count, number)
            raised = None
            try:
                put(store, key("zip"), proven=True)
            except StoreError as error:
                raised = error
        yield fault, raised
        store.remove(key("zip").module)
        store.allow(key("zip").module)
        if not fault.hit:
            return


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO, errno.EDQUOT])
@pytest.mark.parametrize("step", [step for step in STEPS if step not in ("close", "unlink")])
async def test_a_failing_step_is_a_clear_error_and_leaves_nothing_behind(
    store: Store, data: Path, step: str, number: int
) -> None:
    failures = 0
    for fault, raised in faults(store, step, number):
        assert not list((data / "tmp").iterdir())
        found = await store.get(key("zip"))
        if raised is not None:
            failures += 1
            assert fault.hit
            assert re.search("full|I/O error|quota", str(raised)), raised
            assert found is None
        else:
            assert found is not None
    assert failures > 0 or step in ("fstat", "lstat", "mkdir")


@pytest.mark.parametrize("how", ["short", "interrupted"])
def test_short_writes_are_continued(store: Store, monkeypatch: pytest.MonkeyPatch, how: str) -> None:
    real = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, data: real(descriptor, bytes(data)[:7]))
    stored = put(store, key("zip"))
    monkeypatch.undo()
    assert stored.path.read_bytes() == content_of(key("zip"))


def test_a_failed_fsync_is_never_tried_again(store: Store, data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    temp = store.temp()
    temp.write(content_of(key("zip")))
    fault = Fault(monkeypatch, "fsync", 1, errno.EIO)
    with pytest.raises(StoreError, match="I/O error"):
        temp.sync()
    assert fault.hit
    assert not list((data / "tmp").iterdir())
    with pytest.raises(StoreError):
        store.commit(verified(key("zip"), content_of(key("zip"))), temp)
    assert store.get_nowait(key("zip")) is None


def test_verified_bytes_pass_through_a_full_disk(store: Store, data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    content = content_of(key("zip"))
    with store.temp() as temp:
        temp.write(content[:50])
        Fault(monkeypatch, "write", 1, errno.ENOSPC)
        temp.write(content[50:])
        monkeypatch.undo()
        assert not list((data / "tmp").iterdir())  # what had been written gives its room back
        assert temp.pread(0, 1 << 20) == content
        temp.sync()
        with pytest.raises(StoreError, match="disk is full"):
            store.commit(verified(key("zip"), content), temp)
        descriptor = temp.open()
    with os.fdopen(descriptor, "rb") as stream:
        stream.seek(0)
        assert stream.read() == content
    assert store.get_nowait(key("zip")) is None


def test_when_no_disk_takes_the_bytes_the_cause_is_named(
    store: Store, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def nowhere(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr(tempfile, "TemporaryFile", nowhere)
    with store.temp() as temp:
        Fault(monkeypatch, "write", 1, errno.ENOSPC)
        with pytest.raises(StoreError, match="disk is full"):
            temp.write(b"x")
    assert not list((data / "tmp").iterdir())


async def test_out_of_descriptors_is_not_taken_for_damage(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    stored = put(store, key("zip"))
    os.utime(stored.path, (1, 1))
    Fault(monkeypatch, "open", 1, errno.EMFILE)
    assert await store.get(key("zip")) is None
    monkeypatch.undo()
    assert await store.get(key("zip")) is not None
    assert store.statistics().quarantined == 0


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    place = tmp_path / "small"
    place.mkdir()
    options = "size=600k,nr_inodes=60,mode=0700"
    if os.name == "nt" or shutil.which("mount") is None:
        pytest.skip("no mount command")
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", options, "none", str(place)], capture_output=True, check=False
    )
    if mounted.returncode != 0:
        pytest.skip("may not mount a tmpfs")
    yield place
    subprocess.run(["umount", str(place)], check=True)


@pytest.mark.parametrize("what", ["bytes", "inodes"])
async def test_a_disk_that_is_really_full(small_disk: Path, what: str) -> None:
    data = small_disk / "data"
    store = Store.open(data)
    put_all(store)
    fillers = []
    try:
        for number in range(1000):
            filler = small_disk / f"filler{number}"
            fillers.append(filler)
            filler.write_bytes(bytes(4096 if what == "bytes" else 0))
    except OSError:
        pass  # as meant: the disk is full now
    other = key("zip", key("zip").module.__class__("example.com/other", "v1.0.0"))
    with store.temp() as temp:
        temp.write(content_of(other))
        with pytest.raises(StoreError, match="disk is full"):
            store.commit(verified(other, content_of(other)), temp)
        assert temp.pread(0, 1 << 20) == content_of(other)
    assert await store.get(key("zip")) is not None
    for filler in fillers:
        filler.unlink(missing_ok=True)
    assert put(store, other) == await store.get(other)
    store.close()


@pytest.mark.skipif(os.name == "nt", reason="there is no fsync of a directory")
@pytest.mark.parametrize("kind", ["mod", "zip"])
def test_bytes_are_on_the_disk_before_their_name_is_and_the_name_before_it_is_answered(
    store: Store, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    put(store, key("info"))  # the directories are there
    events: list[tuple[str, int]] = []
    fsync, replace = os.fsync, os.replace

    def synced(descriptor: int) -> None:
        fsync(descriptor)
        events.append(("sync", os.fstat(descriptor).st_ino))

    def renamed(source: Path, target: Path) -> None:
        replace(source, target)
        events.append(("rename", os.lstat(target).st_ino))

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(os, "replace", renamed)
    content = content_of(key(kind))
    if kind == "mod":
        stored = store.commit(verified(key(kind), content), content)
    else:
        with store.temp() as temp:
            temp.write(content)
            stored = store.commit(verified(key(kind), content), temp)
    file, directory = stored.path.stat().st_ino, stored.path.parent.stat().st_ino
    assert events[:3] == [("sync", file), ("rename", file), ("sync", directory)]
