"""A zip that leaves for the room that it takes: that file alone, for good reason, and as if it had never come."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from p2pmods.errors import StoreChanged, StoreError
from p2pmods.gomod.module import FileKey, FileKind, ModuleVersion
from p2pmods.store.modcache import ModuleCache
from p2pmods.store.store import Store
from p2pmods.trust.evidence import Source, SourceKind
from tests.store.files import WIDGET, content_of, key, put, put_all, verified
from tests.store.test_store import audit, read

if TYPE_CHECKING:
    from pathlib import Path

    from p2pmods.store.thinning import HeldZip
    from tests.store.conftest import Clock

OTHER = ModuleVersion("example.com/other", "v0.1.0")
GREEN = ModuleVersion("example.com/acme/widget", "v1.3.0")
CAME = 1000.0  # as in tests.store.files.UPSTREAM


def zips(store: Store) -> dict[ModuleVersion, HeldZip]:
    store.flush()
    found, after = store.zips_page(None)
    while after is not None:
        page, after = store.zips_page(after)
        found += page
    return {one.key.module: one for one in found}


def in_module_cache(tmp_path: Path, store: Store, *files: FileKey, note: str = "") -> ModuleCache:
    """A module cache that holds these files, each as a file of its own."""
    cache = ModuleCache(tmp_path / "modcache")
    for file in files:
        path = tmp_path / "modcache" / "cache" / "download" / file.url_path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content_of(file, note))
    return cache


async def take_stock(store: Store, cache: ModuleCache) -> None:
    scanner = store.scanner(cache)
    scanner.scan()
    await scanner.verify(rate=1e12)


def test_the_zips_that_may_have_to_go_are_those_of_the_store_in_pages(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("p2pmods.store.store.PAGE", 1)
    assert zips(store) == {}
    for module in (WIDGET, OTHER, GREEN):
        put_all(store, module)
    put(store, key("mod", ModuleVersion("example.com/mod", "v1.0.0")))
    found = zips(store)
    assert set(found) == {WIDGET, OTHER, GREEN}
    stored = store.held(key("zip"))[0]
    assert (found[WIDGET].size, found[WIDGET].sha256, found[WIDGET].is_cached) == (stored.size, stored.sha256, False)


async def test_a_zip_of_which_nothing_is_known_yet_cannot_be_chosen(store: Store, data: Path) -> None:
    put_all(store)
    store.close()
    for name in ("index.sqlite", "audit.jsonl"):
        (data / name).unlink()
    again = Store.open(data)
    try:
        assert zips(again) == {}, "its size is not known either"
        assert await again.get(key("zip")) is not None
        assert set(zips(again)) == {WIDGET}
    finally:
        again.close()


async def test_a_zip_counts_from_when_it_was_last_asked_for_and_before_that_from_when_it_came(
    store: Store, clock: Clock
) -> None:
    for module in (WIDGET, OTHER):
        put_all(store, module)
    assert zips(store)[WIDGET].used == CAME
    assert await store.get(key("zip")) is not None
    asked, clock.now = clock.now, clock.now + 500
    assert store.held(key("zip", OTHER)), "what a peer takes is looked up in this way, and is no request"
    assert (zips(store)[WIDGET].used, zips(store)[OTHER].used) == (asked, CAME)


async def test_a_request_that_has_to_verify_the_file_first_is_a_request_too(store: Store, clock: Clock) -> None:
    os.utime(put(store, key("zip")).path, (1, 1))
    assert await store.get(key("zip")) is not None
    assert zips(store)[WIDGET].used == clock.now


def test_requests_that_could_not_be_noted_are_noted_later(
    store: Store, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_all(store)
    store.get_nowait(key("zip"))

    def fail(_requested: object) -> None:
        raise StoreError("the disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(store._core.rows, "touch", fail)
        with pytest.raises(StoreError):
            store.flush()
    assert zips(store)[WIDGET].used == clock.now


def test_a_request_that_comes_while_others_are_noted_is_not_forgotten(
    store: Store, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_all(store)
    touch = store._core.rows.touch

    def ask_again(requested: dict[FileKey, float]) -> None:
        touch(requested)
        clock.now += 10
        store.get_nowait(key("zip"))

    store.get_nowait(key("zip"))
    with monkeypatch.context() as patch:
        patch.setattr(store._core.rows, "touch", ask_again)
        store.flush()
    assert zips(store)[WIDGET].used == clock.now
    assert store.evict(zips(store)[WIDGET], "") > 0, "once noted, it is for the row to say"


@pytest.mark.parametrize(("note", "is_cached"), [("", True), ("another", False)])
async def test_only_the_same_zip_in_the_module_cache_counts(
    store: Store, tmp_path: Path, note: str, is_cached: bool
) -> None:
    put_all(store)
    cache = in_module_cache(tmp_path, store, key("zip"), note=note)
    store.scanner(cache).scan()
    assert not zips(store)[WIDGET].is_cached, "nothing has verified it yet"
    await take_stock(store, cache)
    assert zips(store)[WIDGET].is_cached is is_cached


async def test_the_zip_goes_and_nothing_else(store: Store, data: Path) -> None:
    put_all(store, proven=True)
    put_all(store, GREEN)
    before, generation, found = store.statistics(), store.generation, zips(store)[WIDGET]
    assert store.evict(found, "no room") == found.size
    assert await store.get(key("zip")) is None
    assert not (store.modules / key("zip").url_path).exists()
    for kind in ("info", "mod"):
        assert read(store, key(kind)) == content_of(key(kind))
    for kind in FileKind:
        assert read(store, FileKey(GREEN, kind)) == content_of(FileKey(GREEN, kind))
    after = store.statistics()
    assert (after.files, after.bytes) == (before.files - 1, before.bytes - found.size)
    assert store.generation > generation, "no answer is made of what was remembered of it"
    assert store.marks(WIDGET) == (), "no tombstone"
    assert (store.modules / "example.com/acme/widget/@v/list").read_text() == "v1.3.0\n"
    line = audit(data)[-1]
    assert (line["event"], line["path"], line["version"], line["kind"]) == ("evicted", *str(WIDGET).split("@"), "zip")
    assert (line["size"], line["reason"]) == (found.size, "no room")
    assert store.evict(found, "no room") == 0
    assert sum(line["event"] == "evicted" for line in audit(data)) == 1


async def test_it_comes_back_as_if_it_had_never_been_there(store: Store) -> None:
    put_all(store)
    store.evict(zips(store)[WIDGET], "")
    put(store, key("zip"), note="another")
    assert read(store, key("zip")) == content_of(key("zip"), "another")


def test_whoever_has_it_open_reads_on(store: Store) -> None:
    put_all(store)
    stored = store.held(key("zip"))[0]
    descriptor = store.open_file(stored)
    store.evict(zips(store)[WIDGET], "")
    with os.fdopen(descriptor, "rb") as stream:
        assert stream.read() == content_of(key("zip"))
    with pytest.raises(StoreChanged):
        store.open_file(stored)


@pytest.mark.parametrize("is_noted", [False, True])
def test_a_zip_that_was_asked_for_since_stays(store: Store, data: Path, is_noted: bool) -> None:
    put_all(store)
    found = zips(store)[WIDGET]
    store.get_nowait(key("zip"))
    if is_noted:
        store.flush()
    assert store.evict(found, "") == 0
    assert read(store, key("zip")) == content_of(key("zip"))
    assert not any(line["event"] == "evicted" for line in audit(data))


def test_another_zip_that_took_its_place_stays(store: Store) -> None:
    put_all(store)
    found = zips(store)[WIDGET]
    put(store, key("zip"), note="proven", proven=True)
    assert store.evict(found, "") == 0
    assert store.held(key("zip"))


async def test_the_module_cache_is_never_touched(store: Store, tmp_path: Path) -> None:
    put_all(store)
    cache = in_module_cache(tmp_path, store, key("zip"), key("zip", OTHER))
    await take_stock(store, cache)
    assert set(zips(store)) == {WIDGET}, "what lies in the module cache alone cannot be chosen"
    assert store.evict(zips(store)[WIDGET], "") > 0
    [left] = store.held(key("zip"))
    assert left.in_module_cache
    assert left.path.read_bytes() == content_of(key("zip"))


@pytest.mark.parametrize("how", ["gone", "changed"])
async def test_a_zip_stays_when_the_one_in_the_module_cache_is_no_longer_what_it_was(
    store: Store, tmp_path: Path, how: str
) -> None:
    put_all(store)
    await take_stock(store, in_module_cache(tmp_path, store, key("zip")))
    found = zips(store)[WIDGET]
    path = store.held(key("zip"))[1].path
    if how == "gone":
        path.unlink()
    else:
        path.write_bytes(b"no zip")
    assert found.is_cached
    assert store.evict(found, "") == 0
    assert read(store, key("zip")) == content_of(key("zip"))


async def test_a_link_that_goes_does_not_make_the_file_in_the_module_cache_look_changed(
    store: Store, tmp_path: Path
) -> None:
    cache = in_module_cache(tmp_path, store, key("zip"))
    path = cache.find(key("zip"))
    assert path is not None
    await take_stock(store, cache)
    source = Source(SourceKind.MODULE_CACHE, "", 5.0)
    store.commit(verified(key("zip"), path.read_bytes(), source=source), path)
    if path.stat().st_nlink != 2:
        pytest.skip("no hard links here")
    assert store.evict(zips(store)[WIDGET], "") > 0
    [left] = store.held(key("zip"))
    os.close(store.open_file(left))


def test_a_file_that_went_by_another_hand_is_no_reason_to_fail(store: Store) -> None:
    put_all(store)
    found = zips(store)[WIDGET]
    store.held(key("zip"))[0].path.unlink()
    assert store.evict(found, "") == found.size
    assert store.held(key("zip")) == []


def test_a_file_that_cannot_be_removed_stays_and_is_served(
    store: Store, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_all(store)
    found = zips(store)[WIDGET]

    def refuse(_path: object) -> None:
        raise PermissionError(13, "in use")

    with monkeypatch.context() as patch:
        patch.setattr("pathlib.Path.unlink", refuse)
        with pytest.raises(StoreError, match="cannot remove"):
            store.evict(found, "")
    assert read(store, key("zip")) == content_of(key("zip"))
    assert not any(line["event"] == "evicted" for line in audit(data))


def test_nothing_goes_while_the_stores_disk_is_away(store: Store) -> None:
    put_all(store)
    found = zips(store)[WIDGET]
    store.modules.rename(store.modules.with_name("away"))
    store.modules.mkdir()
    assert store.evict(found, "") == 0
    assert store.held(key("zip"))


class Killed(BaseException):
    """The process dies here."""


@pytest.mark.parametrize("where", ["audit.evicted", "rows.delete", "publish"])
async def test_a_kill_in_the_midst_leaves_the_old_or_the_new(
    store: Store, data: Path, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    put_all(store, proven=True)
    put_all(store, OTHER)
    found = zips(store)[WIDGET]

    def die(*_args: object) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(store._core, where, die) if "." not in where else patch.setattr(
            getattr(store._core, where.partition(".")[0]), where.partition(".")[2], die
        )
        with pytest.raises(Killed):
            store.evict(found, "")
    store.close()
    again = Store.open(data)
    try:
        assert await again.get(key("zip")) is None
        assert again.held(key("zip")) == []
        assert await again.get(key("mod")) is not None
        assert read(again, key("zip", OTHER)) == content_of(key("zip", OTHER))
        put(again, key("zip"))
        assert read(again, key("zip")) == content_of(key("zip"))
    finally:
        again.close()


async def test_a_rebuilt_index_does_not_believe_that_it_still_knows_the_zip(store: Store, data: Path) -> None:
    put_all(store, proven=True)
    store.evict(zips(store)[WIDGET], "")
    store.close()
    (data / "index.sqlite").unlink()
    target = data / "modules" / key("zip").url_path
    target.write_bytes(content_of(key("zip")))
    again = Store.open(data)
    try:
        found = await again.get(key("zip"))
        assert found is not None
        assert not found.proven, "whoever put it there, it is not the one of which the log spoke"
    finally:
        again.close()


def test_what_came_from_version_control_is_known_as_such(store: Store) -> None:
    put_all(store)
    file = key("zip", OTHER)
    data = content_of(file)
    with store.temp() as temp:
        temp.write(data)
        temp.sync()
        store.commit(verified(file, data, source=Source(SourceKind.VCS, "code.example", CAME)), temp)
    assert {module: one.is_from_vcs for module, one in zips(store).items()} == {WIDGET: False, OTHER: True}
