"""What things are called in the directory, and the keys that follow from it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from p2pmods.errors import InvalidVersion
from p2pmods.gomod.module import FileKey, FileKind, ModuleVersion

if TYPE_CHECKING:
    from p2pmods.identity.swarm import Swarm

_MOD_SUFFIX: Final = "/go.mod"  # as in the checksum database


def name_of(key: FileKey) -> str:
    """`path@version` of a zip, `path@version/go.mod` of the small files."""
    return f"{key.module}" if key.kind is FileKind.ZIP else f"{key.module}{_MOD_SUFFIX}"


def key_of_file(swarm: Swarm, key: FileKey) -> bytes:
    return swarm.key_of(name_of(key))


def file_of_name(name: str) -> FileKey:
    """The zip or `.mod` that somebody named. Raises InvalidPath, InvalidVersion."""
    stem = name.removesuffix(_MOD_SUFFIX)
    path, at, version = stem.rpartition("@")
    if not at:
        raise InvalidVersion("", name, "no path@version")
    return FileKey(ModuleVersion(path, version), FileKind.ZIP if stem == name else FileKind.MOD)


def key_of_name(swarm: Swarm, name: str) -> bytes:
    """The key of a name that somebody sent. Raises InvalidPath, InvalidVersion."""
    file_of_name(name)
    return swarm.key_of(name)
