"""The scrub finds what no status tells."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from p2pmods.gomod.module import FileKey, FileKind, ModuleVersion
from p2pmods.store import fs
from p2pmods.store.scrub import AGE
from tests.store.files import WIDGET, content_of, key, put, put_all

if TYPE_CHECKING:
    from p2pmods.store.store import Store
    from tests.store.conftest import Clock


def rot(store: Store, file: FileKey) -> None:
    """Flip one bit as a disk does: with no trace in the file's status."""
    row = store._core.rows.get(file)
    assert row is not None
    data = bytearray(row.path.read_bytes())
    data[len(data) // 2] ^= 0x10
    row.path.write_bytes(data)
    store._core.rows.put(replace(row, fingerprint=fs.fingerprint(row.path.lstat())))
    assert store.get_nowait(file) is not None or row.synthesised


async def test_silent_rot_is_found_and_leaves_the_store(store: Store, clock: Clock, autojump_clock: object) -> None:
    put_all(store)
    rot(store, key("zip"))
    report = await store.scrub()
    assert (report.files, report.damaged) == (3, 1)
    assert store.get_nowait(key("zip")) is None
    assert store.get_nowait(key("mod")) is not None


async def test_a_file_is_read_again_only_after_a_while(store: Store, clock: Clock, autojump_clock: object) -> None:
    put_all(store)
    assert (await store.scrub()).files == 3
    assert (await store.scrub()).files == 0
    clock.now += AGE + 1
    assert (await store.scrub()).files == 3


async def test_a_clock_that_jumps_ten_years_only_costs_reading(
    store: Store, clock: Clock, autojump_clock: object
) -> None:
    put_all(store)
    await store.scrub()
    for years in (10, -10):
        clock.now += years * 365 * 86400.0
        report = await store.scrub()
        assert (report.files, report.damaged) == (3, 0)
    assert store.get_nowait(key("zip")) is not None


async def test_files_that_a_dying_process_left_are_taken_in(store: Store, autojump_clock: object) -> None:
    for kind in FileKind:
        path = store.modules / FileKey(WIDGET, kind).url_path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content_of(FileKey(WIDGET, kind)))
    assert store.versions(WIDGET.path) == []
    await store.scrub()
    assert store.versions(WIDGET.path)[0].deliverable
    assert (store.modules / "example.com/acme/widget/@v/list").read_text() == "v1.2.3\n"


async def test_a_lost_list_is_written_again(store: Store, autojump_clock: object) -> None:
    put_all(store)
    (store.modules / "example.com/acme/widget/@v/list").unlink()
    await store.scrub()
    assert (store.modules / "example.com/acme/widget/@v/list").read_text() == "v1.2.3\n"


async def test_a_rotten_synthesised_info_is_written_again(store: Store, clock: Clock, autojump_clock: object) -> None:
    module = ModuleVersion("example.com/plain", "v0.0.0-20240102030405-0123456789ab")
    put(store, key("mod", module))
    put(store, key("zip", module))
    before = (store.modules / key("info", module).url_path).read_bytes()
    rot(store, key("info", module))
    clock.now += AGE + 1
    await store.scrub()
    assert (store.modules / key("info", module).url_path).read_bytes() == before
