"""What a node takes from its shelf for peers: proven files, those still on their way to the disk too; no other."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
import trio

from p2pmods.errors import StoreError
from p2pmods.fetch.outcome import Served
from p2pmods.fetch.shelf import Shelf
from p2pmods.gomod.module import FileKey, FileKind, ModuleVersion
from p2pmods.mesh.policy import SharingPolicy
from p2pmods.store.stored import StoredFile
from p2pmods.swarm.messages import INFO, MAX_SMALL, MOD, GetSmall, SmallFiles
from p2pmods.trust.evidence import FromUpstream, Source, SourceKind, SumdbProof
from p2pmods.wire.proofs import NotHeld
from tests.world import WIDGET

if TYPE_CHECKING:
    from pathlib import Path

SECRET = ModuleVersion("corp.example/secret", "v1.0.0")
SHA, OTHER_SHA = "aa" * 32, "bb" * 32
INFO_BODY = b'{"Version":"v1.0.0","Time":"2024-01-02T03:04:05Z","Origin":{"URL":"https://ann:secret@corp.example"}}'
PROOF = SumdbProof("sum.example.org", 0, 1)


@dataclass
class Case:
    """A shelf before a disk, files on their way to it, and a checksum database that may have a proof."""

    directory: Path
    held: list[StoredFile] = field(default_factory=list)
    coming: dict[FileKey, Served] = field(default_factory=dict)
    proof: Any = None
    proofs: Any = None
    fetch: Any = None  # what `get_for_peer` does

    @property
    def shelf(self) -> Shelf:
        store: Any = SimpleNamespace(
            held=lambda key: [one for one in self.held if one.key == key],
            open_file=lambda stored: os.open(stored.path, os.O_RDONLY),
        )
        checksums: Any = SimpleNamespace(
            name="sum.example.org", held_proof=lambda _module: self.proof, reply=lambda _question: NotHeld()
        )
        fetcher: Any = SimpleNamespace(on_its_way=self.coming.get, get_for_peer=self.fetch)
        policy = SharingPolicy("sum.example.org", lambda path: path.startswith("corp.example/"), is_public=True)
        return Shelf(store, checksums, self.proofs, policy, None, lambda: fetcher)  # type: ignore[arg-type]

    def hold(self, kind: FileKind, data: bytes, *, proven: bool, module: ModuleVersion = WIDGET) -> None:
        path = self.directory / f"{len(self.held)}"
        path.write_bytes(data)
        source = Source(SourceKind.UPSTREAM, "u", 0.0)
        evidence = (PROOF,) if proven else (FromUpstream("u"),)
        key = FileKey(module, kind)
        self.held.append(StoredFile(key, path, len(data), SHA, "h1:right", source, evidence, "f"))

    def expect(self, kind: FileKind, data: bytes, *, proven: bool, module: ModuleVersion = WIDGET) -> None:
        key = FileKey(module, kind)
        self.coming[key] = Served(key, SourceKind.UPSTREAM, len(data), SHA, "h1:right", proven, True, data, None)

    def open(self, kind: FileKind = FileKind.ZIP, sha256: str | None = None, module: ModuleVersion = WIDGET) -> Any:
        """The bytes that a peer would get."""
        file = self.shelf.open_file(FileKey(module, kind), sha256)
        if file is None:
            return None
        with file:
            return file.read(0, file.size)

    def small(self, kind: int = MOD) -> SmallFiles | None:
        found = self.shelf.held_small(GetSmall(WIDGET.path, WIDGET.version, kind, True, 0, 8))
        return None if found is None else found.files


@pytest.fixture
def case(tmp_path: Path) -> Case:
    return Case(tmp_path)


def proof(zip_h1: str = "h1:right", mod_h1: str = "h1:right") -> Any:
    return SimpleNamespace(zip_h1=zip_h1, mod_h1=mod_h1)


def test_a_proven_file_is_there_under_its_hash_and_without_one(case: Case) -> None:
    case.hold(FileKind.ZIP, b"zip", proven=True)
    assert case.open() == case.open(sha256=SHA) == b"zip"
    assert case.open(sha256=OTHER_SHA) is None


def test_an_unproven_file_is_not(case: Case) -> None:
    case.hold(FileKind.ZIP, b"zip", proven=False)
    assert case.open() is None


def test_a_file_on_its_way_to_the_disk_is_there_once_it_is_proven(case: Case) -> None:
    case.expect(FileKind.ZIP, b"zip", proven=False)
    assert case.open() is None
    case.proof = proof(zip_h1="h1:another")
    assert case.open() is None
    case.proof = proof()
    assert case.open() == case.open(sha256=SHA) == b"zip"
    assert case.open(sha256=OTHER_SHA) is None
    case.proof = None
    case.expect(FileKind.ZIP, b"zip", proven=True)
    assert case.open() == b"zip"


def test_of_a_private_path_nothing_is_there_wherever_it_is(case: Case) -> None:
    case.hold(FileKind.ZIP, b"zip", proven=True, module=SECRET)
    case.expect(FileKind.ZIP, b"zip", proven=True, module=SECRET)
    assert case.open(module=SECRET) is None


def test_a_file_that_cannot_be_read_is_passed_over(case: Case) -> None:
    case.hold(FileKind.ZIP, b"zip", proven=True)
    case.hold(FileKind.ZIP, b"zip too", proven=True)
    shelf = case.shelf

    def fail_first(stored: StoredFile) -> int:
        if stored is case.held[0]:
            raise StoreError("it changed")
        return os.open(stored.path, os.O_RDONLY)

    shelf._store.open_file = fail_first  # type: ignore[method-assign]
    file = shelf.open_file(FileKey(WIDGET, FileKind.ZIP), None)
    assert file is not None
    with file:
        assert file.read(0, file.size) == b"zip too"


def test_of_an_info_only_version_and_time_are_given_beside_a_mod_that_is_proven(case: Case) -> None:
    case.hold(FileKind.INFO, INFO_BODY, proven=False)
    assert case.small(INFO) is None
    case.hold(FileKind.MOD, b"module m\n", proven=True)
    info = b'{"Version":"v1.0.0","Time":"2024-01-02T03:04:05Z"}'
    assert case.small(INFO) == case.small(MOD) == SmallFiles(info, b"module m\n")


def test_an_info_is_given_beside_a_record_too(case: Case) -> None:
    case.expect(FileKind.INFO, INFO_BODY, proven=False)
    case.proof = proof()
    assert case.small(INFO) == SmallFiles(b'{"Version":"v1.0.0","Time":"2024-01-02T03:04:05Z"}', None)
    assert case.small(MOD) is None


def test_an_info_that_is_none_is_left_out(case: Case) -> None:
    case.hold(FileKind.INFO, b"<!DOCTYPE html>", proven=False)
    case.hold(FileKind.MOD, b"module m\n", proven=True)
    assert case.small(MOD) == SmallFiles(None, b"module m\n")


def test_what_is_too_large_for_an_answer_is_left_out(case: Case) -> None:
    case.hold(FileKind.MOD, b"module m\n" + bytes(MAX_SMALL), proven=True)
    assert case.small(MOD) is None
    assert len(case.open(FileKind.MOD)) > MAX_SMALL  # by itself it can be had


async def test_the_proof_is_looked_for_while_the_file_is_fetched(tmp_path: Path) -> None:
    case, begun = Case(tmp_path), trio.Event()

    class Looking:
        async def wait(self) -> None:
            await trio.lowlevel.checkpoint()

    def start(_module: ModuleVersion) -> Looking:
        begun.set()
        return Looking()

    async def fetch(key: FileKey) -> None:
        await begun.wait()
        case.proof = SimpleNamespace(mod_h1="h1:right")
        case.expect(key.kind, b"module example.com/widget\n", proven=True)

    case.proofs, case.fetch = SimpleNamespace(start=start), fetch
    with trio.fail_after(5):
        small = await case.shelf.fetch_small(GetSmall(WIDGET.path, WIDGET.version, MOD, False, 0, 0))
    assert small is not None
    assert small.files.mod == b"module example.com/widget\n"
