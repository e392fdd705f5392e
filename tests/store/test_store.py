"""What the store promises about one file: it comes back as it was committed, or not at all."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import pytest
import trio

from p2pmods.errors import HashMismatch, Poisoned, StoreChanged, StoreError, Tombstoned
from p2pmods.gomod.module import FileKey, FileKind, ModuleVersion
from p2pmods.store.store import Store
from p2pmods.trust.evidence import FromUpstream, Pin, Source, SourceKind, SumdbProof
from tests.store.files import PROOF, UPSTREAM, WIDGET, content_of, key, put, put_all, verified

if TYPE_CHECKING:
    from pathlib import Path

    from tests.store.conftest import Clock

STRAY = ModuleVersion("example.com/stray", "v1.0.0")


def read(store: Store, file: FileKey) -> bytes:
    stored = store.get_nowait(file)
    assert stored is not None
    descriptor = store.open_file(stored)
    with os.fdopen(descriptor, "rb") as stream:
        return stream.read()


def damage(path: Path, offset: int = 10) -> None:
    data = bytearray(path.read_bytes())
    data[offset] ^= 0x01
    path.write_bytes(data)
    os.utime(path, (1, 1))  # the kernel's clock may not have ticked since the commit


def audit(data: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in (data / "audit.jsonl").read_text().splitlines()]


async def test_what_was_committed_comes_back_byte_for_byte(store: Store) -> None:
    for kind in FileKind:
        file = FileKey(WIDGET, kind)
        stored = put(store, file)
        assert await store.get(file) == stored
        assert read(store, file) == content_of(file)
        assert stored.path == store.modules / file.url_path


async def test_an_unknown_file_is_not_held(store: Store) -> None:
    assert store.get_nowait(key("mod")) is None
    assert await store.get(key("mod")) is None


def test_what_was_committed_is_there_after_a_restart(data: Path, store: Store) -> None:
    put_all(store, proven=True)
    store.close()
    again = Store.open(data)
    assert read(again, key("zip")) == content_of(key("zip"))
    stored = again.get_nowait(key("mod"))
    assert stored is not None
    assert stored.proven
    assert stored.source == UPSTREAM
    assert set(stored.evidence) == {PROOF, FromUpstream("mirror.example")}
    again.close()


def test_uppercase_names_are_escaped_on_disk(store: Store) -> None:
    module = ModuleVersion("github.com/Azure/SDK", "v1.0.0-RC1")
    put_all(store, module)
    assert (store.modules / "github.com/!azure/!s!d!k/@v/v1.0.0-!r!c1.mod").is_file()
    assert (store.modules / "github.com/!azure/!s!d!k/@v/list").read_text() == "v1.0.0-RC1\n"


def test_bytes_other_than_the_verified_ones_are_never_committed(store: Store) -> None:
    file = key("mod")
    with pytest.raises(HashMismatch):
        store.commit(verified(file, content_of(file)), content_of(file, "other"))
    with store.temp() as temp:
        temp.write(content_of(file) + b"\n")
        with pytest.raises(StoreError, match="were verified"):
            store.commit(verified(file, content_of(file)), temp)
    assert store.get_nowait(file) is None
    assert not list((store.modules.parent / "tmp").iterdir())


def test_a_temp_that_someone_replaced_is_not_committed(store: Store) -> None:
    file = key("zip")
    with store.temp() as temp:
        temp.write(content_of(file))
        other = temp.path.with_name("other")
        other.write_bytes(content_of(file))
        other.replace(temp.path)
        with pytest.raises(StoreError, match="changed by someone else"):
            store.commit(verified(file, content_of(file)), temp)
    assert store.get_nowait(file) is None


def test_a_temp_begins_anew_after_a_restart(store: Store) -> None:
    file = key("zip")
    with store.temp() as temp:
        temp.write(b"half of something else, which was longer than what comes" * 20)
        temp.restart()
        temp.write(content_of(file))
        assert temp.pread(0, 1 << 20) == content_of(file)
        store.commit(verified(file, content_of(file)), temp)
    assert read(store, file) == content_of(file)


# Reading


@pytest.mark.parametrize("kind", ["info", "mod", "zip"])
async def test_a_damaged_file_is_quarantined_and_never_handed_out(store: Store, data: Path, kind: str) -> None:
    stored = put(store, key(kind), proven=True)
    before = store.generation
    damage(stored.path)
    with pytest.raises(trio.WouldBlock):
        store.get_nowait(key(kind))
    with pytest.raises(StoreChanged):
        store.open_file(stored)
    assert await store.get(key(kind)) is None
    assert not stored.path.exists()
    assert len(list((data / "quarantine").iterdir())) == 1
    assert store.generation > before
    assert store.statistics().quarantined == 1
    assert audit(data)[-1]["event"] == "quarantined"


@pytest.mark.parametrize("how", ["truncated", "zeroed", "grown", "swapped", "link"])
async def test_every_sort_of_damage_is_found(store: Store, how: str) -> None:
    stored = put(store, key("zip"))
    mod = put(store, key("mod"))
    match how:
        case "truncated":
            os.truncate(stored.path, stored.size // 2)
        case "zeroed":
            stored.path.write_bytes(bytes(stored.size))
            os.utime(stored.path, (1, 1))
        case "grown":
            stored.path.write_bytes(stored.path.read_bytes() + b"more")
        case "swapped":
            stored.path.rename(stored.path.with_name("x"))
            mod.path.rename(stored.path)
        case "link":
            stored.path.unlink()
            stored.path.symlink_to(mod.path)
    assert await store.get(stored.key) is None
    put(store, key("zip"))
    assert read(store, key("zip")) == content_of(key("zip"))


async def test_a_touched_file_is_read_again_once_and_served(store: Store) -> None:
    stored = put(store, key("zip"), proven=True)
    os.utime(stored.path, (1, 1))
    with pytest.raises(trio.WouldBlock):
        store.get_nowait(stored.key)
    again = await store.get(stored.key)
    assert again is not None
    assert again.sha256 == stored.sha256
    assert again.proven
    assert store.get_nowait(stored.key) == again


async def test_a_deleted_file_is_forgotten(store: Store) -> None:
    put_all(store)
    (store.modules / key("zip").url_path).unlink()
    assert await store.get(key("zip")) is None
    assert not store.versions(WIDGET.path)[0].zip
    assert not (store.modules / "example.com/acme/widget/@v/list").exists()


async def test_a_file_without_a_row_is_examined_before_it_is_served(store: Store) -> None:
    place = store.modules / key("mod").url_path
    place.parent.mkdir(parents=True)
    place.write_bytes(content_of(key("mod")))
    with pytest.raises(trio.WouldBlock):
        store.get_nowait(key("mod"))
    stored = await store.get(key("mod"))
    assert stored is not None
    assert not stored.proven
    assert read(store, key("mod")) == content_of(key("mod"))


async def test_nonsense_without_a_row_is_quarantined(store: Store) -> None:
    place = store.modules / key("zip").url_path
    place.parent.mkdir(parents=True)
    place.write_bytes(b"<html>log in</html>")
    assert await store.get(key("zip")) is None
    assert not place.exists()


async def test_a_toolchain_is_never_kept_without_a_proof(store: Store) -> None:
    module = ModuleVersion("golang.org/toolchain", "v0.0.1-go1.25.0.linux-amd64")
    with pytest.raises(StoreError, match="toolchain"):
        put(store, key("mod", module))
    place = store.modules / key("mod", module).url_path
    place.parent.mkdir(parents=True)
    place.write_bytes(content_of(key("mod", module)))
    assert await store.get(key("mod", module)) is None
    assert put(store, key("mod", module), proven=True).proven


# Evidence


def test_the_same_file_again_only_adds_evidence(store: Store) -> None:
    first = put(store, key("mod"))
    assert not first.proven
    second = put(store, key("mod"), proven=True)
    assert second.proven
    assert second.sha256 == first.sha256
    assert set(second.evidence) == {PROOF, FromUpstream("mirror.example")}
    assert store.get_nowait(key("mod")) == second


def test_a_proven_file_is_not_replaced_by_other_unproven_bytes(store: Store) -> None:
    first = put(store, key("mod"), proven=True)
    assert put(store, key("mod"), note="other").sha256 == first.sha256
    assert read(store, key("mod")) == content_of(key("mod"))


def test_a_proven_file_takes_the_place_of_other_unproven_bytes(store: Store, data: Path) -> None:
    put(store, key("mod"), note="other")
    put(store, key("mod"), proven=True)
    assert read(store, key("mod")) == content_of(key("mod"))
    assert len(list((data / "quarantine").iterdir())) == 1


def test_a_proof_that_comes_later_is_added_once(store: Store) -> None:
    stored = put(store, key("zip"))
    later = SumdbProof("sum.example", 7, 1234)
    assert store.unproven_due(10) == [WIDGET]
    store.add_evidence(stored, PROOF)
    proven = store.add_evidence(key("zip"), later, Pin("/home/ann/go.sum"))
    assert proven is not None
    assert later in proven.evidence
    assert PROOF not in proven.evidence
    assert store.unproven_due(10) == []
    assert store.add_evidence(key("info"), later) is None


def test_evidence_for_bytes_that_were_replaced_is_not_taken(store: Store) -> None:
    stored = put(store, key("mod"), note="other")
    put(store, key("mod"), proven=True)
    assert store.add_evidence(stored, Pin("elsewhere")) is None


# Marks


async def test_a_removed_module_does_not_come_back_by_itself(store: Store, data: Path) -> None:
    put_all(store)
    report = store.remove(WIDGET)
    assert (report.files, report.bytes > 0) == (3, True)
    with pytest.raises(Tombstoned, match=r"p2pmods get example\.com/acme/widget@v1\.2\.3"):
        await store.get(key("zip"))
    with pytest.raises(Tombstoned):
        put(store, key("zip"))
    with pytest.raises(Tombstoned):
        store.check_allowed(WIDGET)
    store.close()
    again = Store.open(data)
    with pytest.raises(Tombstoned):
        again.get_nowait(key("mod"))
    assert again.allow(WIDGET)
    assert not again.allow(WIDGET)
    put(again, key("zip"))
    assert again.get_nowait(key("zip")) is not None
    again.close()


async def test_nothing_of_a_poisoned_version_is_served(store: Store, data: Path) -> None:
    put_all(store)
    before = store.generation
    place = store.modules / key("mod", STRAY).url_path
    place.parent.mkdir(parents=True)
    place.write_bytes(content_of(key("mod", STRAY)))
    store.poison(key("zip", STRAY), "a file that the index does not know goes too")
    assert not place.exists()
    store.poison(key("zip"), "the database says otherwise")
    assert store.generation > before
    for kind in FileKind:
        with pytest.raises(Poisoned, match="the database says otherwise"):
            await store.get(FileKey(WIDGET, kind))
        assert not (store.modules / FileKey(WIDGET, kind).url_path).exists()
    assert store.held(key("mod")) == []
    assert store.unproven_due(10) == []
    store.remove(WIDGET)
    store.allow(WIDGET)
    with pytest.raises(Poisoned):
        put(store, key("mod"))
    store.close()
    again = Store.open(data)
    with pytest.raises(Poisoned):
        again.get_nowait(key("mod"))
    assert again.absolve(WIDGET)
    put(again, key("mod"))
    again.close()


def test_a_refusal_can_be_asked_about(store: Store, data: Path) -> None:
    peer = Source(SourceKind.PEER, "abc", 5.0)
    store.refuse(key("zip"), peer, "not a zip\x1b[2J")
    (refusal,) = store.refusals(WIDGET)
    assert (refusal.key, refusal.source) == (key("zip"), peer)
    assert b"\x1b" not in (data / "audit.jsonl").read_bytes()


def test_contradictions_are_kept_for_ever_and_once(store: Store, data: Path) -> None:
    stored = put(store, key("zip"))
    for _ in range(2):
        name = store.keep_contradiction(
            key("zip"), {"by": "sum.example"}, {"ours.zip": stored.path, "lookup": b"7\nrecord\n"}
        )
    assert name is not None
    store.raise_alarm("hash:x", "two truths", name)
    assert [path.name for path in (data / "evidence").iterdir()] == [name]
    assert (data / "evidence" / name / "ours.zip").read_bytes() == content_of(key("zip"))
    facts = json.loads((data / "evidence" / name / "evidence.json").read_text())
    assert facts["by"] == "sum.example"
    assert facts["sha256"]["ours.zip"] == stored.sha256
    (alarm,) = store.alarms()
    assert (alarm.evidence, alarm.acknowledged) == (name, False)
    assert store.acknowledge("hash:x")
    assert not store.acknowledge("other")
    assert store.statistics().alarms[0].acknowledged


# The queue of proofs


def test_every_mod_and_zip_without_a_proof_is_queued_and_survives_a_restart(
    store: Store, data: Path, clock: Clock
) -> None:
    put_all(store)
    private = ModuleVersion("corp.example/secret", "v0.1.0")
    put_all(store, private)
    assert set(store.unproven_due(10)) == {WIDGET, private}
    assert store.unproven_due(1, lambda path: path != private.path) == [WIDGET]
    assert store.unproven_by_path() == {WIDGET.path: 2, private.path: 2}
    store.postpone_proof(WIDGET, seconds=60.0)
    assert store.unproven_due(10) == [private]
    store.close()
    again = Store.open(data, clock=clock)
    assert again.unproven_due(10) == [private]
    clock.now += 61
    assert set(again.unproven_due(10)) == {WIDGET, private}
    again.close()


# Statistics


def test_what_is_held_and_where_it_came_from_is_counted_over_restarts(store: Store, data: Path, clock: Clock) -> None:
    put_all(store)
    store.count(SourceKind.UPSTREAM, 100)
    store.count_given(7)
    store.close()
    again = Store.open(data, clock=clock)
    again.count(SourceKind.UPSTREAM, 50, files=2)
    statistics = again.statistics()
    assert (statistics.modules, statistics.files) == (1, 3)
    assert statistics.bytes == sum(len(content_of(FileKey(WIDGET, kind))) for kind in FileKind)
    assert (statistics.traffic["upstream"].files, statistics.traffic["upstream"].bytes) == (3, 150)
    assert (statistics.traffic_now["upstream"].files, statistics.given.bytes) == (2, 7)
    assert statistics.trouble is None
    again.close()


def test_counters_reach_the_disk_within_seconds(store: Store, data: Path, clock: Clock) -> None:
    store.count(SourceKind.PEER, 10)
    clock.now += 6
    store.count(SourceKind.PEER, 10)
    store._core.database.close()  # as after kill -9: nothing more is written
    store._lock.release()
    again = Store.open(data, clock=clock)
    assert again.statistics().traffic["peer"].files == 2
    again.close()
