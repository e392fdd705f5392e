"""A data directory that cannot be used is refused with one line that says the cure; a usable one is private."""

from __future__ import annotations

import os
import shutil
import sqlite3
import stat
import subprocess
import sys
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from p2pmods.errors import StoreError
from p2pmods.store.schema import application_id
from p2pmods.store.store import Store
from tests.store.files import WIDGET, content_of, key, put, put_all, verified

if TYPE_CHECKING:
    from collections.abc import Iterator

posix = pytest.mark.skipif(os.name == "nt", reason="POSIX permissions and links")
HOLDER = """
import sys
from pathlib import Path
from p2pmods.store.store import Store
store = Store.open(Path(sys.argv[1]))
print("open", flush=True)
sys.stdin.read()
"""


def holder(data: Path) -> subprocess.Popen[str]:
    """Another process with the store open; it lets go when its stdin closes."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(data)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "open\n"
    return process


def test_two_nodes_cannot_share_a_store_and_the_second_is_told_who_has_it(data: Path) -> None:
    with holder(data) as process:
        with pytest.raises(StoreError, match=f"in use by the p2pmods process {process.pid}: stop it first"):
            Store.open(data)
        process.communicate()
    Store.open(data).close()


def test_a_killed_node_leaves_no_lock_behind(data: Path) -> None:
    with holder(data) as process:
        process.kill()
        process.wait()
    assert (data / "lock").exists()
    Store.open(data).close()


def test_one_process_cannot_open_a_store_twice(store: Store, data: Path) -> None:
    with pytest.raises(StoreError, match=str(os.getpid())):
        Store.open(data)
    store.close()
    store.close()
    Store.open(data).close()


def test_the_pid_is_taken_from_node_json_when_the_lock_does_not_tell(store: Store, data: Path) -> None:
    (data / "lock.pid").unlink()
    (data / "node.json").write_text('{"pid": 4711}')
    with pytest.raises(StoreError, match="4711"):
        Store.open(data)
    for damaged in ("[]", '{"pid": 1e999}', "[" * 10_000):
        (data / "node.json").write_text(damaged)
        with pytest.raises(StoreError, match="another p2pmods process"):
            Store.open(data)


def test_what_a_crash_left_in_tmp_is_swept(data: Path) -> None:
    Store.open(data).close()
    (data / "tmp" / "x.part").write_bytes(b"half")
    (data / "tmp" / "y.evidence").mkdir()
    (data / "tmp" / "y.evidence" / "z").write_bytes(b"half")
    Store.open(data).close()
    assert not list((data / "tmp").iterdir())


@posix
def test_nobody_else_can_look_inside(data: Path) -> None:
    data.mkdir(mode=0o755)
    data.chmod(0o755)
    store = Store.open(data)
    put_all(store)
    store.close()
    assert stat.S_IMODE(data.stat().st_mode) == 0o700
    for path in data.iterdir():
        if path.is_dir():
            assert stat.S_IMODE(path.stat().st_mode) == 0o700, path


@posix
def test_a_directory_that_is_not_ours_keeps_its_mode(data: Path) -> None:
    data.mkdir()
    data.chmod(0o755)
    (data / "holiday.jpg").write_bytes(b"")
    Store.open(data).close()
    assert stat.S_IMODE(data.stat().st_mode) == 0o755


def test_a_newer_store_is_left_alone(data: Path) -> None:
    store = Store.open(data)
    put_all(store)
    store.close()
    with sqlite3.connect(data / "index.sqlite") as connection:
        connection.execute("PRAGMA user_version = 99")
        connection.execute(f"PRAGMA application_id = {application_id(99)}")
    connection.close()
    before = (data / "index.sqlite").read_bytes()
    with pytest.raises(StoreError, match=r"written by a newer p2pmods .*update p2pmods"):
        Store.open(data)
    assert (data / "index.sqlite").read_bytes() == before
    with pytest.raises(StoreError, match="newer"):  # and the lock was let go of
        Store.open(data)


@posix
@pytest.mark.parametrize("name", ["", "modules", "tmp", "quarantine", "evidence"])
def test_a_symbolic_link_is_not_followed(data: Path, tmp_path: Path, name: str) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    if name:
        data.mkdir()
        (data / name).symlink_to(elsewhere)
    else:
        data.symlink_to(elsewhere)
    with pytest.raises(StoreError, match="is a symbolic link: name the directory itself"):
        Store.open(data)
    assert not list(elsewhere.iterdir())


@posix
def test_no_link_below_modules_leads_a_commit_elsewhere(store: Store, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (store.modules / "example.com").symlink_to(elsewhere)
    with pytest.raises(StoreError, match="symbolic link"):
        put(store, key("mod"))
    assert not list(elsewhere.iterdir())


@posix
@pytest.mark.parametrize("name", ["audit.jsonl", "index.sqlite", "node.json"])
def test_a_pipe_where_a_file_belongs_is_not_waited_for(data: Path, name: str) -> None:
    store = Store.open(data)
    store.close()
    (data / name).unlink(missing_ok=True)
    os.mkfifo(data / name)
    with suppress(StoreError):
        store = Store.open(data)
        put_all(store)
        store.close()


def test_a_file_is_no_data_directory(data: Path) -> None:
    data.write_bytes(b"")
    with pytest.raises(StoreError, match="choose another"):
        Store.open(data)


@posix
@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can give files away")
def test_somebody_elses_directory_is_refused(data: Path) -> None:
    data.mkdir()
    os.chown(data, 12345, 12345)
    with pytest.raises(StoreError, match="belongs to user 12345, not to you"):
        Store.open(data)


@pytest.fixture
def as_ordinary_user(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A directory of a user whom permissions bind, and that user in force."""
    directory = Path(tempfile.mkdtemp(prefix="p2pmods-store-"))
    monkeypatch.setattr(tempfile, "tempdir", str(directory))  # root's own, TMPDIR, need not be everybody's
    root = hasattr(os, "geteuid") and os.geteuid() == 0
    if root:
        os.chown(directory, 65534, 65534)
        os.seteuid(65534)
    yield directory
    if root:
        os.seteuid(0)
    for path in (directory, *directory.rglob("*")):
        if path.is_dir():
            path.chmod(0o700)
    shutil.rmtree(directory)


@posix
def test_a_read_only_directory_is_refused(as_ordinary_user: Path) -> None:
    data = as_ordinary_user / "data"
    Store.open(data).close()
    for path in (data, data / "tmp"):
        path.chmod(0o500)
    with pytest.raises(StoreError, match="permission denied"):
        Store.open(data)


@posix
def test_a_lock_that_may_not_be_taken_is_no_matter_of_the_kind_of_disk(as_ordinary_user: Path) -> None:
    data = as_ordinary_user / "data"
    Store.open(data).close()
    (data / "lock").chmod(0o400)
    with pytest.raises(StoreError, match=r"cannot write into .*: permission denied"):
        Store.open(data)


@posix
def test_a_store_that_becomes_read_only_still_serves(as_ordinary_user: Path) -> None:
    data = as_ordinary_user / "data"
    store = Store.open(data)
    put(store, key("mod"))
    for path in (data / "modules", data / "tmp", (data / "modules" / key("mod").url_path).parent):
        path.chmod(0o500)
    assert store.get_nowait(key("mod")) is not None
    with store.temp() as temp:
        temp.write(content_of(key("zip")))
        with pytest.raises(StoreError, match="permission denied"):
            store.commit(verified(key("zip"), content_of(key("zip"))), temp)
        assert temp.pread(0, 1 << 20) == content_of(key("zip"))  # verified bytes still pass through
    assert "permission denied" in str(store.statistics().trouble)
    store.close()


async def test_a_store_that_is_deleted_while_it_runs_serves_nothing_and_says_so(data: Path) -> None:
    store = Store.open(data)
    put_all(store)
    shutil.rmtree(data)
    assert await store.get(key("mod")) is None
    assert store.versions(WIDGET.path) is not None
    with store.temp() as temp:
        temp.write(content_of(key("zip")))
        with pytest.raises(StoreError, match="cannot"):
            store.commit(verified(key("zip"), content_of(key("zip"))), temp)
        assert temp.pread(0, 1 << 20) == content_of(key("zip"))
    assert store.statistics().trouble is not None
    store.close()


async def test_an_unmounted_modules_directory_proves_nothing_about_its_files(store: Store, tmp_path: Path) -> None:
    put_all(store)
    store.modules.rename(tmp_path / "away")
    store.modules.mkdir()
    assert await store.get(key("mod")) is None
    store.modules.rmdir()
    (tmp_path / "away").rename(store.modules)
    assert await store.get(key("mod")) is not None
