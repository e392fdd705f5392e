"""White space as Go's strings.Fields and strings.TrimSpace see it: Python's own has four control characters more."""

from __future__ import annotations

import re
from typing import Final

_SPACE: Final = "\t\n\v\f\r \x85\xa0\u1680\u2028\u2029\u202f\u205f\u3000" + "".join(map(chr, range(0x2000, 0x200B)))
_FIELD: Final = re.compile(f"[^{_SPACE}]+")


def fields(text: str) -> list[str]:
    """The parts of `text` between runs of white space (strings.Fields)."""
    return _FIELD.findall(text)


def trim_space(text: str) -> str:
    """`text` without white space around it (strings.TrimSpace)."""
    return text.strip(_SPACE)


def has_space(text: str) -> bool:
    """Whether any white space is in it."""
    return any(character in _SPACE for character in text)
