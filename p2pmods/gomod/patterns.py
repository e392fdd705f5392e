"""Comma-separated path patterns, as GOPRIVATE, GONOPROXY and GONOSUMDB hold them (module.MatchPrefixPatterns).

Not fnmatch: `*` and `?` do not cross a `/`, `[^…]` negates, `\\` escapes, spaces count, and a pattern with N slashes
is held against the first N+1 elements of a path. Each pattern is matched as path.Match does it: a `*` takes the
shortest text after which the next part fits, and does not try again.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, NamedTuple, Self

from p2pmods.errors import MalformedData


class _Class(NamedTuple):
    """One character of a path: any of `ranges`, or none of them. `?` is everything but `/`."""

    negated: bool
    ranges: tuple[tuple[str, str], ...]

    def matches(self, character: str) -> bool:
        return self.negated != any(low <= character <= high for low, high in self.ranges)


_ANY: Final = _Class(True, (("/", "/"),))


class _Part(NamedTuple):
    """What stands after a `*` (or at the beginning): characters that each take exactly one of the name."""

    after_star: bool
    classes: tuple[_Class, ...]

    def fits(self, name: str, at: int) -> bool:
        end = at + len(self.classes)
        return end <= len(name) and all(map(_Class.matches, self.classes, name[at:end]))


class _Glob(NamedTuple):
    slashes: int
    parts: tuple[_Part, ...]

    def matches(self, path: str) -> bool:
        elements = path.split("/", self.slashes + 1)
        return len(elements) > self.slashes and self._matches_all("/".join(elements[: self.slashes + 1]))

    def _matches_all(self, name: str) -> bool:
        *before, last = self.parts
        at = 0
        for part in before:
            found = _find(part, name, at, to_the_end=False)
            if found is None:
                return False
            at = found + len(part.classes)
        return _find(last, name, at, to_the_end=True) is not None


def _find(part: _Part, name: str, at: int, *, to_the_end: bool) -> int | None:
    """The first place from `at` where `part` fits, the star before it taking nothing with a `/`."""
    for start in range(at, len(name) + 1):
        if part.fits(name, start) and (not to_the_end or start + len(part.classes) == len(name)):
            return start
        if not part.after_star or name[start : start + 1] == "/":
            break
    return None


@dataclass(frozen=True, slots=True)
class Patterns:
    """A list of patterns. `str()` gives the text it was made of; empty when nothing can match."""

    text: str = ""
    malformed: tuple[str, ...] = field(init=False, compare=False)
    _globs: tuple[_Glob, ...] = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        globs: list[_Glob] = []
        malformed: list[str] = []
        for glob in self.text.split(","):
            try:
                if trimmed := glob.removesuffix("/"):
                    globs.append(_Glob(trimmed.count("/"), _compile(trimmed)))
            except MalformedData:
                malformed.append(glob)
        object.__setattr__(self, "malformed", tuple(malformed))
        object.__setattr__(self, "_globs", tuple(globs))

    @classmethod
    def parse(cls, text: str) -> Self:
        """Never raises: go ignores a malformed pattern, it matches nothing. `malformed` lists those, to warn of."""
        return cls(text)

    def matches(self, path: str) -> bool:
        """Whether any pattern matches the beginning of `path`, whole elements only."""
        return any(glob.matches(path) for glob in self._globs)

    def __bool__(self) -> bool:
        return bool(self._globs)

    def __str__(self) -> str:
        return self.text


def _compile(glob: str) -> tuple[_Part, ...]:
    """Raises MalformedData where path.Match says ErrBadPattern."""
    parts: list[_Part] = []
    after_star, classes, at = False, list[_Class](), 0
    while at < len(glob):
        if glob[at] == "*":
            if classes:
                parts.append(_Part(after_star, tuple(classes)))
            after_star, classes, at = True, [], at + 1
            continue
        one, at = _one_character(glob, at)
        classes.append(one)
    return (*parts, _Part(after_star, tuple(classes)))


def _one_character(glob: str, at: int) -> tuple[_Class, int]:
    if glob[at] == "?":
        return _ANY, at + 1
    if glob[at] == "[":
        return _character_class(glob, at + 1)
    if glob[at] == "\\":
        at += 1
        if at == len(glob):
            raise MalformedData("pattern", "ends in a backslash")
    return _Class(False, ((glob[at], glob[at]),)), at + 1


def _character_class(glob: str, at: int) -> tuple[_Class, int]:
    negated = glob.startswith("^", at)
    at += negated
    ranges: list[tuple[str, str]] = []
    while not ranges or not glob.startswith("]", at):
        low, at = _bound(glob, at)
        high = low
        if glob.startswith("-", at):
            high, at = _bound(glob, at + 1)
        ranges.append((low, high))
    return _Class(negated, tuple(ranges)), at + 1


def _bound(glob: str, at: int) -> tuple[str, int]:
    if glob[at : at + 1] in ("", "-", "]"):
        raise MalformedData("pattern", "has a [ without its end, or an empty range")
    at += glob[at] == "\\"
    if at + 1 >= len(glob):
        raise MalformedData("pattern", "has a [ without its end")
    return glob[at], at + 1
