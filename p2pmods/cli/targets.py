"""What a person types to name modules."""

from __future__ import annotations

from p2pmods.errors import InvalidPath, InvalidVersion, UsageError, printable
from p2pmods.gomod.module import ModuleVersion


def parse_module_version(text: str) -> ModuleVersion:
    """`path@version`, both as Go accepts them. UsageError says what is wrong."""
    path, at, version = text.partition("@")
    if not at or not path or not version:
        raise UsageError(f"{printable(text)!r} is no MODULE@VERSION, such as golang.org/x/text@v0.3.0")
    try:
        return ModuleVersion(path, version)
    except (InvalidPath, InvalidVersion) as error:
        raise UsageError(str(error)) from error
