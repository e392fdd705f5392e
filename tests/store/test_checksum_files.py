"""The checksum database's files are old or new after a kill at any moment, and a full disk loses nothing proven."""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from p2pmods.errors import StoreError, SumdbSecurityError
from p2pmods.gomod.module import ModuleVersion
from p2pmods.store import checksum_files
from p2pmods.store.checksum_files import ChecksumFiles
from p2pmods.store.sumdb_directory import SumdbDirectory
from p2pmods.sumdb.note import parse_verifier
from p2pmods.sumdb.records import lookup_path
from p2pmods.sumdb.tiles import Tile, right_edge
from p2pmods.sumdb.tlog import open_head
from p2pmods.testing.sumdb import ForkableLog
from tests.fetch.checksums.world import LogSource, file_client, go_client, open_node

if TYPE_CHECKING:
    from collections.abc import Callable

LOG = ForkableLog(seed="files")
LOG.grow(700)
VERIFIER = parse_verifier(LOG.verifier_key)
OLD = ModuleVersion("example.com/filler", "v0.3.0")
NEW = ModuleVersion("example.com/filler", "v0.699.0")


class Killed(BaseException):
    """SIGKILL: no handler runs that an OSError would meet."""


def die_at(monkeypatch: pytest.MonkeyPatch, number: int, error: BaseException) -> list[str]:
    """From the `number`th file operation on, `error` is all there is. Returns the names of those done so far."""
    done: list[str] = []

    def wrap(name: str, original: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            if name == "open" and "xb" not in args:
                return original(*args, **kwargs)
            if len(done) >= number:
                raise error
            done.append(name)
            return original(*args, **kwargs)

        return call

    for owner, name in ((Path, "open"), (Path, "mkdir"), (Path, "replace"), (os, "fsync")):
        monkeypatch.setattr(owner, name, wrap(name, getattr(owner, name)))
    return done


async def advance(data: Path, log: ForkableLog) -> None:
    async with open_node(data, LogSource(log)) as node:
        await node.prove(NEW)


async def test_a_kill_between_any_two_writes_leaves_the_old_state_or_the_new(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = LOG.fork(300)
    async with open_node(tmp_path / "before", LogSource(log)) as node:
        await node.prove(OLD)
    log = LOG.fork(700)
    sizes = []
    for number in range(200):
        data = tmp_path / str(number)
        shutil.copytree(tmp_path / "before", data)
        with monkeypatch.context() as patch:
            done = die_at(patch, number, Killed())
            try:
                await advance(data, log)
            except BaseExceptionGroup as group:
                assert group.split(Killed)[1] is None  # noqa: PT017
        offline = LogSource(log, online=False)
        async with open_node(data, offline) as node:
            sizes.append(node.statistics().tree_size)
            assert await go_client(node, log.verifier_key).lookup(lookup_path(OLD))
            assert await file_client(data, log).lookup(lookup_path(OLD))
            if node.held_proof(NEW):
                assert await file_client(data, log).lookup(lookup_path(NEW))
        if len(done) < number:
            break
    else:
        pytest.fail("the advance never ended")
    assert sizes == sorted(sizes, key=lambda size: size or 0)
    assert set(sizes) == {300, 700}
    assert len(sizes) > 10


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS])
@pytest.mark.parametrize("number", [0, 1, 2, 3, 7])
async def test_what_the_disk_does_not_take_is_served_all_the_same_and_written_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int, number: int
) -> None:
    log = LOG.fork(700)
    async with open_node(tmp_path, LogSource(log)) as node:
        with monkeypatch.context() as patch:
            die_at(patch, number, OSError(code, os.strerror(code), "tile"))
            assert await node.prove(NEW) is not None
            assert await go_client(node, log.verifier_key).lookup(lookup_path(NEW))
            assert os.strerror(code) in str(node.statistics().problem)
        await node.prove(OLD)
        assert node.statistics().problem is None
    assert await file_client(tmp_path, log).lookup(lookup_path(NEW))
    assert not list((tmp_path / "tmp").iterdir())


def test_only_so_much_waits_in_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checksum_files, "MAX_UNSAVED", 3 * 8192)
    files = ChecksumFiles(tmp_path, LOG.name)
    die_at(monkeypatch, 0, OSError(errno.ENOSPC, "no space left on device"))
    for number in range(2):
        files.save_tiles({Tile(0, number, 256): LOG.tile(Tile(0, number, 256))})
    with pytest.raises(StoreError, match="make room"):
        files.save_tiles({Tile(0, number, 256): bytes(8192) for number in range(2, 9)})


def test_only_the_newest_heads_are_listed_but_all_tiles_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checksum_files, "MAX_HEADS", 3)
    files = ChecksumFiles(tmp_path, LOG.name)
    heads = [open_head(LOG.head(size), VERIFIER) for size in (10, 20, 30, 40)]
    for number, head in enumerate(heads):
        files.save_tiles({tile: LOG.tile(tile) for tile in right_edge(head.size)})
        files.save_heads(heads[: number + 1])
    again = ChecksumFiles(tmp_path, LOG.name)
    assert [head.size for head in again.load_heads(VERIFIER)] == [20, 30, 40]
    assert (again.root / "tile" / "8" / "0" / "000.p" / "10").read_bytes() == LOG.tile(Tile(0, 0, 10))


def test_heads_by_another_key_are_not_loaded(tmp_path: Path) -> None:
    files = ChecksumFiles(tmp_path, LOG.name)
    files.save_heads([open_head(LOG.head(10), VERIFIER)])
    assert not files.load_heads(parse_verifier(ForkableLog(LOG.name, seed="another").verifier_key))


def test_evidence_is_append_only(tmp_path: Path) -> None:
    files = ChecksumFiles(tmp_path, LOG.name, clock=lambda: 5.0)
    error = SumdbSecurityError(LOG.name, b"ours\n", b"theirs\n", "a contradiction")
    alarm = files.freeze(error, {Tile(0, 0, 1): b"\1" * 32})
    assert files.load_alarm() == alarm
    assert (alarm.reason, alarm.at) == ("a contradiction", 5.0)
    kept = {path: path.read_bytes() for path in (tmp_path / "evidence").iterdir()}
    assert {path.name for path in kept} == set(alarm.evidence)
    assert files.freeze(SumdbSecurityError(LOG.name, b"ours\n", b"theirs\n", "seen again"), {}) == alarm
    assert {path: path.read_bytes() for path in (tmp_path / "evidence").iterdir()} == kept
    files.freeze(SumdbSecurityError(LOG.name, b"ours\n", b"others\n", "another one"), {})
    assert len(list((tmp_path / "evidence").iterdir())) == 2 * len(kept)


@pytest.mark.parametrize(
    "name", ["", ".", "..", "../x", "a/../b", "/a", "a//b", "a/", "a\\b", "a\0", "a b", "C:\\x", "C:/x", "c:8"]
)
def test_a_name_that_would_leave_its_directory_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(StoreError):
        ChecksumFiles(tmp_path, name)


def test_a_name_may_have_a_path_as_go_allows(tmp_path: Path) -> None:
    assert ChecksumFiles(tmp_path, "db.example.org/sub").root == tmp_path / "modules/sumdb/db.example.org/sub"


def test_the_supported_file_is_empty_and_comes_with_the_first_head(tmp_path: Path) -> None:
    files = ChecksumFiles(tmp_path, LOG.name)
    assert not (files.root / "supported").exists()
    files.save_heads([open_head(LOG.head(10), VERIFIER)])
    assert (files.root / "supported").read_bytes() == b""
    assert (files.root / "latest").read_bytes() == LOG.head(10)


@pytest.mark.skipif(os.name == "nt", reason="POSIX modes")
def test_every_file_can_be_read_by_go(tmp_path: Path) -> None:
    files = ChecksumFiles(tmp_path, LOG.name)
    files.save_tiles({Tile(0, 0, 10): LOG.tile(Tile(0, 0, 10))})
    files.save_heads([open_head(LOG.head(10), VERIFIER)])
    for path in (tmp_path / "modules").rglob("*"):
        assert path.stat().st_mode & 0o400
        assert not path.stat().st_mode & 0o022


@pytest.mark.skipif(os.name == "nt", reason="POSIX pipes")
def test_a_pipe_in_the_place_of_a_file_is_no_file_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "latest")
    assert SumdbDirectory(tmp_path).read(tmp_path / "latest", 100) is None
