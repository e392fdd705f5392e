"""Names and keys of the directory."""

from __future__ import annotations

import pytest

from p2pmods.errors import P2pmodsError
from p2pmods.gomod.module import FileKey, FileKind
from p2pmods.mesh.names import key_of_file, key_of_name, name_of
from tests.world import SWARM, WIDGET


def test_the_small_files_of_a_version_have_one_name_and_the_zip_another() -> None:
    names = {kind: name_of(FileKey(WIDGET, kind)) for kind in FileKind}
    assert names[FileKind.ZIP] == "example.org/acme/widget@v1.0.0"
    assert names[FileKind.MOD] == names[FileKind.INFO] == "example.org/acme/widget@v1.0.0/go.mod"


@pytest.mark.parametrize("kind", list(FileKind))
def test_whoever_is_told_the_name_finds_the_same_key(kind: FileKind) -> None:
    key = FileKey(WIDGET, kind)
    assert key_of_name(SWARM, name_of(key)) == key_of_file(SWARM, key)
    assert len(key_of_file(SWARM, key)) == 16


def test_the_key_of_a_zip_is_the_one_under_which_it_is_claimed() -> None:
    assert key_of_file(SWARM, FileKey(WIDGET, FileKind.ZIP)) == SWARM.object_key(WIDGET)


@pytest.mark.parametrize(
    "name",
    ["", "@", "/go.mod", "example.org/a", "example.org/a@", "@v1.0.0", "../a@v1.0.0", "example.org/a@latest",
     "example.org/a@v1.0.0/go.mod/go.mod", "example.org/a\0@v1.0.0", "a" * 512 + "@v1", "example.org/a@v2.0.0"],
)  # fmt: skip
def test_a_name_that_is_none_has_no_key(name: str) -> None:
    with pytest.raises(P2pmodsError):
        key_of_name(SWARM, name)
