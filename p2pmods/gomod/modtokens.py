"""The syntax of go.mod: lines of words, blocks in parentheses, `//` comments, quoted strings."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple

from p2pmods.errors import MalformedData, printable

if TYPE_CHECKING:
    from collections.abc import Iterator

_TOKEN: Final = re.compile(
    r"[ \t\r]+"
    r"|(?P<comment>//.*)"
    r"|(?P<token>[()\[\]{},]"
    r'|"(?:[^"\\]|\\.)*"'
    r"|`[^`]*`"
    r'|(?!["`])(?:(?!//|/\*)[^\s()\[\]{},])+)',
    re.DOTALL,
)
_ESCAPE: Final = re.compile(
    r"""\\(?:(?P<simple>[abfnrtv\\"])|x(?P<x>[0-9A-Fa-f]{2})|(?P<octal>[0-3][0-7]{2})"""
    r"""|u(?P<u>[0-9A-Fa-f]{4})|U(?P<U>[0-9A-Fa-f]{8})|(?P<bad>.?))""",
    re.DOTALL,
)
_SIMPLE: Final = dict(zip('abfnrtv\\"', '\a\b\f\n\r\t\v\\"', strict=True))


class Statement(NamedTuple):
    """One line, or one line of a block: `verb` and the words after it, quotes still around them."""

    line: int
    verb: str
    arguments: list[str]
    in_block: bool


def read_statements(text: str) -> Iterator[Statement]:
    """The statements in order; those of blocks with more than one word before the `(` are passed over, as go does.

    Raises MalformedData for what is no go.mod syntax.
    """
    block: list[str] = []
    opened = 0
    for number, line in enumerate(text.split("\n"), 1):
        tokens = _tokens(line, number)
        if not tokens:
            continue
        if not opened:
            if len(tokens) > 1 and tokens[-1] == "(":
                block, opened = tokens[:-1], number
            elif not (len(tokens) > 2 and tokens[-2:] == ["(", ")"]):
                yield Statement(number, tokens[0], tokens[1:], False)
        elif tokens[0] == ")":
            if len(tokens) > 1:
                raise MalformedData("go.mod", f"line {number}: expected newline after closing paren")
            opened = 0
        elif len(block) == 1:
            yield Statement(number, block[0], tokens, True)
    if opened:
        raise MalformedData("go.mod", f"line {opened}: unterminated block")


def unquote(token: str) -> str:
    """The text of a word, or of a string in double quotes. Raises MalformedData; other quotes are reserved."""
    if not token.startswith('"'):
        if any(quote in token for quote in "\"'`"):
            raise MalformedData("string", "an unquoted string cannot contain a quote")
        return token
    # Escapes may make bytes that are only together one character, so this goes through bytes.
    return _ESCAPE.sub(_unescaped, token[1:-1]).encode("utf-8", "surrogateescape").decode("utf-8", "surrogateescape")


def _tokens(line: str, number: int) -> list[str]:
    tokens: list[str] = []
    at = 0
    while at < len(line):
        found = _TOKEN.match(line, at)
        token = found["token"] if found else None
        if found is None or (token is not None and not token.isprintable() and token[0] not in '"`'):
            raise MalformedData("go.mod", f"line {number}: unexpected {printable(line[at:], 20)!r}")
        if token is not None:
            tokens.append(token)
        at = found.end()
    return tokens


def _unescaped(found: re.Match[str]) -> str:
    if found["simple"]:
        return _SIMPLE[found["simple"]]
    if byte := found["x"] or found["octal"]:
        code = int(byte, 16 if found["x"] else 8)
        return chr(code) if code < 0x80 else chr(0xDC00 + code)  # the byte, as surrogateescape writes it
    code = int(found["u"] or found["U"] or "110000", 16)
    if code > 0x10FFFF or 0xD800 <= code < 0xE000:
        raise MalformedData("string", "invalid escape")
    return chr(code)
