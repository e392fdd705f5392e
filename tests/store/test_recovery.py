"""The index can go; what the files and the log say comes back, and nothing counts before it was read again."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from p2pmods.errors import Poisoned, Tombstoned
from p2pmods.gomod.module import FileKey, FileKind, ModuleVersion
from p2pmods.store.store import Store
from p2pmods.store.stored import Answer
from p2pmods.trust.evidence import FromUpstream, Pin, Source, SourceKind
from tests.store.files import PROOF, UPSTREAM, WIDGET, content_of, key, put, put_all

if TYPE_CHECKING:
    from collections.abc import Callable

UNPROVEN = ModuleVersion("example.com/unproven", "v0.1.0")
REMOVED = ModuleVersion("example.com/removed", "v0.1.0")
POISONED = ModuleVersion("example.com/poisoned", "v0.1.0")
PEER = Source(SourceKind.PEER, "abcdef", 9.0)


def fill(store: Store) -> None:
    put_all(store)
    for kind in ("mod", "zip"):
        store.add_evidence(key(kind), PROOF)
    store.add_evidence(key("zip"), Pin("/home/ann/go.sum"))
    for module in (UNPROVEN, REMOVED, POISONED):
        put_all(store, module)
    store.remove(REMOVED)
    store.poison(key("zip", POISONED), "two truths")
    store.refuse(key("zip"), PEER, "no zip")
    store.raise_alarm("a", "look at this", "folder")
    store.raise_alarm("b", "and this")
    store.acknowledge("b")


def lose(data: Path) -> None:
    for path in data.glob("index.sqlite*"):
        path.unlink()


def zero(data: Path) -> None:
    (data / "index.sqlite").write_bytes(bytes((data / "index.sqlite").stat().st_size))


def cut(data: Path) -> None:
    os.truncate(data / "index.sqlite", 5000)


@pytest.mark.parametrize("harm", [lose, zero, cut])
async def test_everything_that_matters_survives_the_loss_of_the_index(
    data: Path, harm: Callable[[Path], None]
) -> None:
    store = Store.open(data)
    fill(store)
    store.close()
    harm(data)
    again = Store.open(data)
    assert [held.version for held in again.versions(WIDGET.path)] == ["v1.2.3"]
    for kind in FileKind:
        stored = await again.get(FileKey(WIDGET, kind))
        assert stored is not None
        assert stored.source == UPSTREAM
        assert stored.proven == (kind is not FileKind.INFO)
    zipped = again.get_nowait(key("zip"))
    assert zipped is not None
    assert set(zipped.evidence) == {PROOF, Pin("/home/ann/go.sum"), FromUpstream("mirror.example")}
    unproven = await again.get(key("zip", UNPROVEN))
    assert unproven is not None
    assert not unproven.proven
    with pytest.raises(Tombstoned):
        again.get_nowait(key("mod", REMOVED))
    with pytest.raises(Poisoned, match="two truths"):
        again.get_nowait(key("mod", POISONED))
    assert [(alarm.id, alarm.evidence, alarm.acknowledged) for alarm in again.alarms()] == [
        ("a", "folder", False),
        ("b", None, True),
    ]
    assert [refusal.source for refusal in again.refusals(WIDGET)] == [PEER]
    again.close()


async def test_old_evidence_does_not_speak_for_other_bytes(data: Path) -> None:
    store = Store.open(data)
    stored = put(store, key("zip"), proven=True)
    store.close()
    lose(data)
    stored.path.write_bytes(content_of(key("zip"), "evil"))
    again = Store.open(data)
    assert await again.get(key("zip")) is None
    again.close()


async def test_without_index_and_log_the_files_are_examined_and_unproven(data: Path) -> None:
    store = Store.open(data)
    put_all(store)
    store.add_evidence(key("zip"), PROOF)
    store.close()
    lose(data)
    (data / "audit.jsonl").unlink()
    again = Store.open(data)
    for kind in FileKind:
        stored = await again.get(FileKey(WIDGET, kind))
        assert stored is not None
        assert not stored.proven
    assert again.unproven_due(5) == [WIDGET]
    again.close()


async def test_a_log_with_torn_and_foreign_lines_still_serves(data: Path) -> None:
    store = Store.open(data)
    put(store, key("zip"), proven=True)
    store.close()
    with (data / "audit.jsonl").open("ab") as log:
        log.write(b'[]\n{"event":"entered"}\n{"event":"removed","at":1,"path":"UP","version":"x"}\n')
        log.write(b'{"at": "x", "event": 5}\n\xff\xfe\n' + b"[" * 100_000 + b'\n{"at": 1, "eve')  # a torn last line
    store = Store.open(data)
    put(store, key("mod"), proven=True)
    store.close()
    lose(data)
    again = Store.open(data)
    for kind in ("zip", "mod"):
        stored = await again.get(key(kind))
        assert stored is not None
        assert stored.proven
    again.close()


def test_the_log_has_one_line_for_each_file_that_entered_or_was_refused(store: Store, data: Path) -> None:
    fill(store)
    lines = [json.loads(line) for line in (data / "audit.jsonl").read_text().splitlines()]
    entered = [line for line in lines if line["event"] == "entered"]
    assert len(entered) == 12
    assert entered[2]["path"] == WIDGET.path
    assert entered[2]["source"] == {"kind": "upstream", "id": "mirror.example", "at": 1000.0}
    assert [line["reason"] for line in lines if line["event"] == "refused"] == ["no zip"]


def test_answers_and_the_highest_version_survive_a_restart(data: Path) -> None:
    store = Store.open(data)
    store.remember(WIDGET.path, "list", Answer(b"v1.0.0\n", UPSTREAM))
    store.remember(WIDGET.path, "list", Answer(b"v1.0.0\nv1.1.0\n", UPSTREAM))
    store.saw(WIDGET.path, ["v1.0.0", "v1.1.0"])
    store.close()
    again = Store.open(data)
    assert again.recall(WIDGET.path, "list") == Answer(b"v1.0.0\nv1.1.0\n", UPSTREAM)
    assert again.recall(WIDGET.path, "@latest") is None
    assert again.highest(WIDGET.path) == "v1.1.0"
    assert again.highest("example.com/other") is None
    again.close()


FLIPS = st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), min_size=1, max_size=40)


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    data = tmp_path_factory.mktemp("filled") / "data"
    store = Store.open(data)
    fill(store)
    store.remember(WIDGET.path, "list", Answer(b"v1.2.3\n", UPSTREAM))
    store.close()
    return data


def flip(path: Path, flips: list[tuple[float, int]]) -> None:
    data = bytearray(path.read_bytes())
    for where, value in flips:
        data[int(where * len(data))] = value
    path.write_bytes(data)


async def check_nothing_is_wrong(store: Store) -> None:
    """Held files come back right or are looked for anew; what is not proven is not called so; marks stay."""
    for module in (WIDGET, UNPROVEN):
        for kind in FileKind:
            file = FileKey(module, kind)
            stored = await store.get(file)
            assert stored is not None
            with os.fdopen(store.open_file(stored), "rb") as stream:
                assert stream.read() == content_of(file)
            assert stored.proven <= (module == WIDGET)
    with pytest.raises(Tombstoned):
        await store.get(key("mod", REMOVED))
    with pytest.raises(Poisoned):
        await store.get(key("mod", POISONED))
    assert store.recall(WIDGET.path, "list") in (None, Answer(b"v1.2.3\n", UPSTREAM))
    assert store.highest(WIDGET.path) is None
    assert store.refusals(WIDGET) is not None
    assert store.unproven_due(100, lambda path: path == UNPROVEN.path) == [UNPROVEN]
    assert store.statistics().trouble is None


def copy(source: Path, target: Path) -> None:
    """With hard links, so that fingerprints keep their inodes as far as can be."""
    for path in source.rglob("*"):
        place = target / path.relative_to(source)
        if path.is_dir():
            place.mkdir(parents=True)
        elif path.name.startswith("index"):
            place.write_bytes(path.read_bytes())
        else:
            os.link(path, place)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(flips=FLIPS)
def test_flipped_bytes_in_the_index_do_no_harm(filled: Path, flips: list[tuple[float, int]]) -> None:
    import trio

    with tempfile.TemporaryDirectory(dir=filled.parent) as name:
        data = Path(name) / "data"
        data.mkdir()
        copy(filled, data)
        (data / "audit.jsonl").unlink()  # not shared: it is written to
        (data / "audit.jsonl").write_bytes((filled / "audit.jsonl").read_bytes())
        flip(data / "index.sqlite", flips)
        store = Store.open(data)
        try:
            trio.run(check_nothing_is_wrong, store)
        finally:
            store.close()


async def test_an_index_that_is_damaged_while_the_store_is_open_heals(data: Path) -> None:
    store = Store.open(data)
    fill(store)
    store._core.database.write(lambda connection: connection.execute("UPDATE files SET sha256 = 'x' || sha256"))
    await check_nothing_is_wrong(store)
    assert (data / "index.sqlite.damaged").exists()
    store.close()
