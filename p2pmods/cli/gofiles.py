"""The go.mod, go.work and go.sum files that the go command would use in a directory."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from p2pmods.errors import MalformedData, UserError
from p2pmods.gomod.gosum import MAX_GO_SUM, GoSum, parse_go_sum
from p2pmods.gomod.modfile import MAX_GO_MOD, ModFile, parse_go_mod
from p2pmods.gomod.modtokens import Statement, read_statements, unquote

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_USES: Final = 1000  # modules of one go.work


@dataclass(frozen=True, slots=True)
class GoFiles:
    """`work` is None outside a workspace; `mods` and `sums` are the files that exist, the main module's first."""

    work: Path | None
    mods: tuple[Path, ...]
    sums: tuple[Path, ...]

    @property
    def root(self) -> Path:
        """The file that says it all: go.work, or the go.mod."""
        return self.work or (self.mods or self.sums)[0]


def find_go_files(directory: Path, environ: Mapping[str, str]) -> GoFiles | None:
    """As go does: a go.work in `directory` or above (unless GOWORK says otherwise), else a go.mod. None for neither.

    A go.sum without a go.mod is taken too: `check` can work from it.
    """
    directory = directory.absolute()
    work = _find_work(directory, environ)
    if work is not None:
        return _workspace(work)
    for place in (directory, *directory.parents):
        if (place / "go.mod").is_file() or (place / "go.sum").is_file():
            return _existing(None, [place / "go.mod"], [place / "go.sum"])
    return None


def _find_work(directory: Path, environ: Mapping[str, str]) -> Path | None:
    setting = environ.get("GOWORK", "")
    if setting == "off":
        return None
    if setting not in ("", "auto"):
        return Path(setting)
    for place in (directory, *directory.parents):
        if (place / "go.work").is_file():
            return place / "go.work"
    return None


def _workspace(work: Path) -> GoFiles:
    uses = [one.arguments[0] for one in _statements(work) if one.verb == "use" and len(one.arguments) == 1]
    places = [work.parent / unquote(use) for use in uses[:MAX_USES]]
    sums = [work.with_name("go.work.sum"), *(place / "go.sum" for place in places)]
    return _existing(work, [place / "go.mod" for place in places], sums)


def _statements(work: Path) -> list[Statement]:
    try:
        return list(read_statements(read_bounded(work, MAX_GO_MOD).decode("utf-8", "replace")))
    except MalformedData as error:
        raise UserError(f"{work}: {error}") from error


def _existing(work: Path | None, mods: list[Path], sums: list[Path]) -> GoFiles:
    return GoFiles(work, tuple(p for p in mods if p.is_file()), tuple(p for p in sums if p.is_file()))


def read_bounded(path: Path, limit: int) -> bytes:
    """The file's bytes. UserError when it cannot be read or is larger than `limit`."""
    try:
        with path.open("rb") as file:
            data = file.read(limit + 1)
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror or error}") from error
    if len(data) > limit:
        raise UserError(f"{path} is larger than {limit} bytes")
    return data


def read_sums(paths: tuple[Path, ...]) -> bytes:
    """Several go.sum files as one, each line once."""
    lines = dict.fromkeys(line for path in paths for line in read_bounded(path, MAX_GO_SUM).split(b"\n") if line)
    return b"".join(line + b"\n" for line in lines)


def load_go_sum(data: bytes, name: object) -> GoSum:
    """Parse go.sum text; UserError names the file."""
    try:
        return parse_go_sum(data)
    except MalformedData as error:
        raise UserError(f"{name}: {error}") from error


def load_go_mod(path: Path) -> ModFile:
    """Read and parse a go.mod; UserError names the file."""
    try:
        return parse_go_mod(read_bounded(path, MAX_GO_MOD))
    except MalformedData as error:
        raise UserError(f"{path}: {error}") from error
