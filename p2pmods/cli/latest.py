"""What `@latest` means where the upstream gives only a list of versions: modload's queryMatcher and CheckAllowed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from p2pmods.errors import MalformedData
from p2pmods.gomod.listing import latest, parse_list
from p2pmods.gomod.modfile import parse_go_mod
from p2pmods.gomod.module import ModuleVersion

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    ReadMod = Callable[[ModuleVersion], Awaitable[bytes]]

_INCOMPATIBLE: Final = "+incompatible"


async def latest_of_list(path: str, body: bytes, read_mod: ReadMod) -> str:
    """The version that go would take from the list `body` of module `path`: none that is retracted.

    Raises MalformedData, and what `read_mod`, which gives the bytes of a go.mod, raises.
    """
    versions = await _preferred(path, [version for version, _ in parse_list(body, path)], read_mod)
    highest = latest(versions)
    if highest is None:
        raise MalformedData("list", "it names no version")
    retracts = parse_go_mod(await read_mod(ModuleVersion(path, highest))).retracts
    newest = latest(version for version in versions if not any(version in interval for interval in retracts))
    if newest is None:
        raise MalformedData("list", f"{highest} retracts every version")
    return newest


async def _preferred(path: str, versions: list[str], read_mod: ReadMod) -> list[str]:
    """Without those `+incompatible`, when the highest of the others has a go.mod of its own."""
    compatible = [version for version in versions if not version.endswith(_INCOMPATIBLE)]
    if not compatible or len(compatible) == len(versions):
        return versions
    made_up = f"module {path}\n".encode()  # by the proxy, for a version that has none
    has_mod = await read_mod(ModuleVersion(path, compatible[-1])) != made_up
    return compatible if has_mod else versions
