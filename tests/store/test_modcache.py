"""The user's module cache is read, never written, and nothing in it is believed before it was read."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from p2pmods.errors import HashMismatch
from p2pmods.gomod.module import FileKey, FileKind, ModuleVersion
from p2pmods.store import adopting
from p2pmods.store.modcache import ModuleCache
from p2pmods.trust.evidence import FromModuleCache, Source, SourceKind
from tests.store.files import PROOF, WIDGET, content_of, key, put, verified

if TYPE_CHECKING:
    from pathlib import Path

    from p2pmods.store.store import Store

CASED = ModuleVersion("github.com/Azure/SDK", "v1.0.0-RC1")
OWN = Source(SourceKind.MODULE_CACHE, "/home/ann/go/pkg/mod", 1.0)


@pytest.fixture
def module_cache(tmp_path: Path) -> ModuleCache:
    cache = ModuleCache(tmp_path / "gomodcache")
    for module in (WIDGET, CASED):
        for kind in FileKind:
            place(cache, FileKey(module, kind))
    return cache


def place(cache: ModuleCache, file: FileKey, data: bytes | None = None) -> Path:
    path = cache.download / file.url_path
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content_of(file) if data is None else data)
    return path


def snapshot(cache: ModuleCache) -> dict[str, tuple[bytes, int, int]]:
    return {
        str(path): (path.read_bytes(), path.lstat().st_mode, path.lstat().st_mtime_ns)
        for path in cache.directory.rglob("*")
        if path.is_file()
    }


def test_files_are_found_by_name(module_cache: ModuleCache) -> None:
    assert module_cache.find(key("zip")) == module_cache.download / key("zip").url_path
    assert module_cache.find(key("zip", ModuleVersion("example.com/other", "v1.0.0"))) is None
    assert len(dict(module_cache.scan())) == 6
    (version,) = module_cache.versions(CASED.path)
    assert (version.version, version.deliverable, version.info) == ("v1.0.0-RC1", True, True)
    assert module_cache.versions("example.com/none") == []


def test_a_cache_that_does_not_exist_is_an_empty_one(tmp_path: Path) -> None:
    cache = ModuleCache(tmp_path / "nowhere")
    assert list(cache.scan()) == []
    assert cache.find(key("mod")) is None
    assert cache.versions(WIDGET.path) == []


def test_junk_names_are_passed_over(module_cache: ModuleCache) -> None:
    versions = module_cache.download / "example.com/acme/widget/@v"
    for name in [
        "list",
        "v1.2.3.ziphash",
        "v1.2.3.lock",
        "v1.2.3.zip123.tmp",
        "latest.info",
        "v9.zip",
        "V1.0.0.mod",
        ".mod",
    ]:
        (versions / name).write_bytes(b"x")
    (module_cache.download / "Upper.example/@v").mkdir(parents=True)
    (module_cache.download / "Upper.example/@v/v1.0.0.mod").write_bytes(b"x")
    (module_cache.download / "sumdb/sum.example/lookup").mkdir(parents=True)
    (versions / "v1.2.4.zip").mkdir()
    assert len(dict(module_cache.scan())) == 6
    assert [held.version for held in module_cache.versions(WIDGET.path)] == ["v1.2.3"]


def test_no_symbolic_link_leads_out_of_the_cache(module_cache: ModuleCache, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(b"module example.com/acme/widget\n")
    linked = FileKey(ModuleVersion(WIDGET.path, "v1.9.0"), FileKind.MOD)
    (module_cache.download / linked.url_path).symlink_to(secret)
    outside = tmp_path / "outside/@v"
    outside.mkdir(parents=True)
    (outside / "v1.0.0.mod").write_bytes(b"module example.com/away\n")
    (module_cache.download / "example.com/away").symlink_to(outside.parent)
    away = key("mod", ModuleVersion("example.com/away", "v1.0.0"))
    assert module_cache.find(linked) is None
    assert module_cache.find(away) is None
    assert {linked, away}.isdisjoint(dict(module_cache.scan()))
    assert module_cache.versions("example.com/away") == []


@pytest.mark.parametrize("how", ["hard link", "copy"])
def test_a_file_of_the_cache_is_taken_without_touching_it(
    store: Store, module_cache: ModuleCache, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    if how == "copy":
        monkeypatch.setattr(adopting, "_link", lambda *_: False)
    before = snapshot(module_cache)
    path = module_cache.find(key("zip"))
    assert path is not None
    stored = store.commit(verified(key("zip"), content_of(key("zip")), source=OWN), path)
    assert (stored.path.stat().st_ino == path.stat().st_ino) == (how == "hard link")
    assert stored.path.read_bytes() == content_of(key("zip"))
    assert stored.evidence == (FromModuleCache(OWN.id),)
    assert snapshot(module_cache) == before
    assert not list((store.modules.parent / "tmp").iterdir())


async def test_go_clean_takes_only_its_own_name_away(store: Store, module_cache: ModuleCache) -> None:
    path = module_cache.find(key("zip"))
    assert path is not None
    store.commit(verified(key("zip"), content_of(key("zip")), source=OWN), path)
    path.unlink()
    assert await store.get(key("zip")) is not None


async def test_a_write_through_the_shared_inode_is_noticed(store: Store, module_cache: ModuleCache) -> None:
    path = module_cache.find(key("zip"))
    assert path is not None
    store.commit(verified(key("zip"), content_of(key("zip")), source=OWN), path)
    with path.open("r+b") as stream:
        stream.write(b"evil")
    os.utime(path, (1, 1))
    assert await store.get(key("zip")) is None


def test_a_file_that_changed_after_its_check_is_not_taken(store: Store, module_cache: ModuleCache) -> None:
    path = place(module_cache, key("mod"), b"module example.com/evil\n")
    with pytest.raises(HashMismatch):
        store.commit(verified(key("mod"), content_of(key("mod")), source=OWN), path)
    assert store.get_nowait(key("mod")) is None
    assert not list((store.modules.parent / "tmp").iterdir())


async def test_what_lies_in_the_cache_is_counted_then_verified_then_queued(
    store: Store, module_cache: ModuleCache, autojump_clock: object
) -> None:
    scanner = store.scanner(module_cache)
    report = scanner.scan()
    assert (report.files, report.new, report.gone) == (6, 6, 0)
    assert store.unproven_by_path() == {WIDGET.path: 2, CASED.path: 2}
    assert store.unproven_due(10) == []  # there is no hash yet that a proof could speak for
    assert await scanner.verify() == 6
    assert set(store.unproven_due(10)) == {WIDGET, CASED}
    (held,) = store.held(key("zip"))
    assert held.in_module_cache
    assert held.path == module_cache.find(key("zip"))
    store.add_evidence(held, PROOF)
    assert store.unproven_by_path() == {WIDGET.path: 1, CASED.path: 2}
    assert scanner.scan().new == 0
    assert await scanner.verify() == 0
    store.forget_module_cache()
    assert store.unproven_by_path() == {}


async def test_a_file_counts_once_when_it_is_in_both_places(
    store: Store, module_cache: ModuleCache, autojump_clock: object
) -> None:
    scanner = store.scanner(module_cache)
    scanner.scan()
    await scanner.verify()
    put(store, key("zip"), proven=True)
    assert store.unproven_by_path()[WIDGET.path] == 1  # the .mod
    put(store, key("mod"))
    assert store.unproven_by_path()[WIDGET.path] == 1


async def test_the_scan_follows_what_go_adds_and_removes(
    store: Store, module_cache: ModuleCache, autojump_clock: object
) -> None:
    scanner = store.scanner(module_cache)
    scanner.scan()
    await scanner.verify()
    (module_cache.download / key("zip").url_path).unlink()
    changed = place(module_cache, key("mod"), b"module example.com/acme/widget // other\n")
    os.utime(changed, (1, 1))
    broken = place(module_cache, key("zip", ModuleVersion("example.com/new", "v0.1.0")), b"PK junk")
    report = scanner.scan()
    assert (report.new, report.gone) == (2, 1)
    assert await scanner.verify() == 2
    assert scanner.scan().new == 0  # the broken one is not read again and again
    assert broken.exists()
    assert store.held(key("zip")) == []


async def test_what_was_removed_is_not_taken_from_the_cache_either(
    store: Store, module_cache: ModuleCache, autojump_clock: object
) -> None:
    scanner = store.scanner(module_cache)
    scanner.scan()
    await scanner.verify()
    store.remove(WIDGET)
    assert store.held(key("zip")) == []
    assert scanner.scan().new == 0
    assert store.unproven_due(10) == [CASED]
    store.allow(WIDGET)
    assert scanner.scan().new == 3
