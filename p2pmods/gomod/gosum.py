"""go.sum: which hashes a main module expects of its modules."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from p2pmods.errors import InvalidPath, InvalidVersion, MalformedData, printable
from p2pmods.gomod.fields import fields
from p2pmods.gomod.module import ModuleVersion

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

MAX_GO_SUM: Final = 16 << 20  # some 150,000 lines; the largest that are public have under 10,000
_MOD: Final = "/go.mod"
# The h1 of an empty go.mod: an old go wrote it for what was no module, and go drops it since (modfetch.readGoSum).
_EMPTY_GO_MOD: Final = "h1:G7mAYYxgmS0lVkHyy2hEOLQCFB0DlQFTMLWggykrydY="


@dataclass(frozen=True, slots=True)
class GoSum:
    """The `h1:` hashes by (module path, version or `version/go.mod`), in the order of the file."""

    hashes: Mapping[tuple[str, str], str]

    def mod_h1(self, module: ModuleVersion) -> str | None:
        """The hash that the module's go.mod must have, None when not listed."""
        return self.hashes.get((module.path, module.version + _MOD))

    def zip_h1(self, module: ModuleVersion) -> str | None:
        """The hash that the module's zip must have, None when not listed."""
        return self.hashes.get((module.path, module.version))

    @property
    def modules(self) -> Iterator[tuple[ModuleVersion, bool]]:
        """Every module version once, and whether its zip is listed too. What names no module is passed over."""
        for path, version in dict.fromkeys((path, name.removesuffix(_MOD)) for path, name in self.hashes):
            try:
                yield ModuleVersion(path, version), (path, version) in self.hashes
            except (InvalidPath, InvalidVersion):
                continue  # go keeps such lines and never asks for them


def parse_go_sum(data: bytes) -> GoSum:
    """Read a go.sum. Raises MalformedData for a line without exactly three fields, and for two hashes of one file.

    Lines with another algorithm than `h1:` are passed over, as go does.
    """
    if len(data) > MAX_GO_SUM:
        raise MalformedData("go.sum", f"{len(data)} bytes, more than {MAX_GO_SUM}")
    hashes: dict[tuple[str, str], str] = {}
    for number, line in enumerate(data.decode("utf-8", "surrogateescape").split("\n"), 1):
        parts = fields(line)
        if not parts:
            continue
        if len(parts) != 3:
            raise MalformedData("go.sum", f"line {number}: wrong number of fields {len(parts)}")
        path, version, h1 = parts
        if not h1.startswith("h1:") or h1 == _EMPTY_GO_MOD:
            continue
        if hashes.setdefault((path, version), h1) != h1:
            raise MalformedData("go.sum", f"line {number}: another hash for {printable(f'{path} {version}')}")
    return GoSum(hashes)
