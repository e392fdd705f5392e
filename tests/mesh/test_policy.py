"""What may be asked of peers and given to them."""

from __future__ import annotations

from pathlib import Path

import pytest

from p2pmods.gomod.module import FileKey, FileKind, ModuleVersion
from p2pmods.mesh.policy import SharingPolicy
from p2pmods.store.stored import StoredFile
from p2pmods.trust.evidence import FromModuleCache, FromPeer, FromUpstream, Pin, Source, SourceKind, SumdbProof
from tests.world import WIDGET

SECRET = ModuleVersion("corp.example/secret", "v1.0.0")
PROOF = SumdbProof("sum.example.org", 0, 1)
OTHER_PROOF = SumdbProof("sum.corp.example", 0, 1)


def policy() -> SharingPolicy:
    return SharingPolicy("sum.example.org", lambda path: path.startswith("corp.example/"), is_public=True)


def stored(*evidence: object, module: ModuleVersion = WIDGET, kind: FileKind = FileKind.ZIP) -> StoredFile:
    source = Source(SourceKind.UPSTREAM, "upstream", 0.0)
    key = FileKey(module, kind)
    return StoredFile(key, Path("x"), 3, "00" * 32, "h1:x", source, evidence, "f")  # type: ignore[arg-type]


def test_whatever_is_not_private_may_be_asked_for() -> None:
    assert policy().may_ask("example.org/a")
    assert not policy().may_ask("corp.example/secret")


@pytest.mark.parametrize("kind", [FileKind.MOD, FileKind.ZIP])
def test_what_the_swarms_database_proves_may_be_given(kind: FileKind) -> None:
    assert policy().may_give(stored(FromUpstream("u"), PROOF, kind=kind))


@pytest.mark.parametrize(
    "evidence",
    [(), (FromUpstream("u"),), (FromModuleCache("m"),), (FromPeer("p"),), (Pin("go.sum"),), (OTHER_PROOF,)],
    ids=lambda evidence: "".join(type(item).__name__ for item in evidence) or "none",
)
def test_nothing_else_may(evidence: tuple[object, ...]) -> None:
    assert not policy().may_give(stored(*evidence))


def test_what_is_private_may_not_though_it_is_proven() -> None:
    assert not policy().may_give(stored(PROOF, module=SECRET))


def test_an_info_is_never_given_by_itself() -> None:
    assert not policy().may_give(stored(PROOF, kind=FileKind.INFO))


def test_while_paused_nothing_may() -> None:
    paused = policy()
    paused.paused = True
    assert not paused.may_give(stored(PROOF))
    assert paused.may_ask("example.org/a")
