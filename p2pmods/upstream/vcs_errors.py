"""What the go command's words about a repository mean."""

from __future__ import annotations

import re
from typing import Final

from p2pmods.errors import printable
from p2pmods.upstream.failure import (
    Unreachable,
    UpstreamFailed,
    UpstreamNotFound,
    UpstreamRefused,
    UpstreamUnavailable,
)

SOURCE: Final = "version control"

_MAX_WORDS: Final = 400


class NeedsNewerGo(UpstreamUnavailable):
    """The module requires a newer Go than the go command that we have; `needed` is that version."""

    @property
    def needed(self) -> str:
        found = _NEWER_GO.search(self.reason)
        return found[1] if found else ""


_NEWER_GO: Final = re.compile(r"requires go >= ([0-9][0-9A-Za-z.]*)")

_NO_GIT: Final = re.compile(r"executable file not found")

# In this order: the first that is found counts. Words of go, git, curl and ssh in the C locale.
_MEANINGS: Final[tuple[tuple[type[UpstreamFailed], re.Pattern[str]], ...]] = tuple(
    (kind, re.compile(words, re.IGNORECASE))
    for kind, words in (
        (NeedsNewerGo, _NEWER_GO.pattern),
        (UpstreamUnavailable, _NO_GIT.pattern),
        (UpstreamNotFound, r"404 not found|410 gone|returned error: 4(04|10)"),
        (UpstreamRefused, r"401 unauthorized|403 forbidden|returned error: 40[13]|GOVCS disallows"),
        (UpstreamRefused, r"transport '[^']*' not allowed|authentication failed|permission denied|host key verific"),
        (
            Unreachable,
            r"no such host|could not resolve|failure in name resolution|server misbehaving|no route to host",
        ),
        (Unreachable, r"connection (refused|reset|timed out|closed)|failed to connect|couldn't connect|unreachable"),
        (Unreachable, r"i/o timeout|operation timed out|operation too slow|tls handshake|x509:|unable to access"),
        (Unreachable, r"unexpected eof|early eof|hung up unexpectedly|returned error: 5[0-9]{2}|50[0-9] [a-z]+"),
        (UpstreamNotFound, r"could not read username|repository not found|not appear to be a git repository"),
        (
            UpstreamNotFound,
            r"unknown revision|no matching versions|not found|couldn't find remote ref|invalid version",
        ),
        (UpstreamNotFound, r"no go-import meta tag|unrecognized import path|not a valid object"),
    )
)
_NAMES: Final = re.compile(r"(?!i/o\b)\S*/\S*")  # of modules, repositories, files: their words mean nothing
_NOISE: Final = (
    "go: downloading",
    "Please make sure",
    "and the repository exists",
    "fatal: Could not read from remote",
)


def explain(text: str, directory: str) -> UpstreamFailed:
    """The failure that `text` (an `Error` or stderr of the go command) stands for, without our `directory` in it."""
    text = re.sub(rf" in {re.escape(directory)}[^\s:]*", "", text).replace(directory, "…")
    lines = [line.strip() for line in text.split("\n")]
    told = "; ".join(line for line in lines if line and not line.startswith(_NOISE))
    words = printable(told.removeprefix("go: "), _MAX_WORDS) or "the go command failed without a word"
    if _NO_GIT.search(text):
        words = f"there is no git on this machine: {words}"
    plain = _NAMES.sub(" ", text)
    kinds = (kind for kind, pattern in _MEANINGS if pattern.search(plain))
    return next(kinds, UpstreamUnavailable)(SOURCE, words)
