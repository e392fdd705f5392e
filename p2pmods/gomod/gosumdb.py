"""GOSUMDB: which checksum database to believe, by its key, and where it is (cmd/go's modfetch dbDial)."""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import dataclass, replace
from typing import Final

from p2pmods.errors import MalformedData
from p2pmods.gomod.fields import fields, has_space
from p2pmods.gomod.urls import parse_url

PUBLIC_NAME: Final = "sum.golang.org"
# Built into go (modfetch/key.go). Only what this key signs makes a module public.
PUBLIC_KEY: Final = "sum.golang.org+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8"
_MIRROR: Final = "sum.golang.google.cn"  # the same database under a name that can be reached from inside China

_ED25519: Final = 1
_KEY: Final = re.compile(r"(?P<name>[^+]+)\+(?P<hash>[0-9A-Fa-f]{8})\+(?P<key>[0-9A-Za-z+/]{44})")
# Beyond go: no empty element, no `.` or `..` and no escapes, for the name is a place on disk as well.
_NAME: Final = re.compile(
    r"[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*(?::[0-9]+)?(?:/(?!\.\.?(?:/|\Z))[A-Za-z0-9._~$&:;=@!'()*,-]+)*"
)
_MAX_NAME: Final = 255


@dataclass(frozen=True, slots=True)
class SumdbSetting:
    """`name` is host[/path]; `verifier_key` is `name+hash+base64`; `url` is set when GOSUMDB gave one.

    With a `url` go asks only there; without, the proxies that support it first, then `direct_url`.
    """

    name: str
    verifier_key: str
    url: str | None = None

    def __post_init__(self) -> None:
        if _check_key(self.verifier_key) != self.name:
            raise MalformedData("GOSUMDB", "the key is that of another name")
        if self.url is not None:
            _check_url(self.url)

    @property
    def direct_url(self) -> str:
        """The URL of the database itself."""
        return self.url or f"https://{self.name}"

    @property
    def is_public(self) -> bool:
        """Whether it is the database whose key is built into go: what it proves may be given to strangers."""
        return self.verifier_key == PUBLIC_KEY

    @property
    def redacted(self) -> SumdbSetting:
        """Without user, password and query in the URL: for what is shown."""
        return self if self.url is None else replace(self, url=parse_url(self.url).redacted)


def parse_gosumdb(text: str) -> SumdbSetting | None:
    """`name`, `key`, or either and a URL; None for `off`. Raises MalformedData as go would."""
    if text == "off":
        return None
    parts = [PUBLIC_NAME, f"https://{_MIRROR}"] if text == _MIRROR else fields(text)
    if not parts:
        raise MalformedData("GOSUMDB", "is empty")
    if len(parts) > 2:
        raise MalformedData("GOSUMDB", "too many fields")
    key = PUBLIC_KEY if parts[0] == PUBLIC_NAME else parts[0]
    return SumdbSetting(_check_key(key), key, parts[1] if len(parts) == 2 else None)


def format_gosumdb(setting: SumdbSetting | None) -> str:
    """The shortest text that parses into this setting."""
    if setting is None:
        return "off"
    name = PUBLIC_NAME if setting.is_public else setting.verifier_key
    return name if setting.url is None else f"{name} {setting.url}"


def _check_key(text: str) -> str:
    """The name in a verifier key that is well formed: the hash fits, and the algorithm is Ed25519."""
    found = _KEY.fullmatch(text)
    if found is None or has_space(text):
        raise MalformedData("GOSUMDB", "neither a known name nor a verifier key (name+hash+key)")
    name, key = found["name"], base64.b64decode(found["key"], validate=True)
    if len(name) > _MAX_NAME or not _NAME.fullmatch(name):
        raise MalformedData("GOSUMDB", "invalid database name (must be host[/path])")
    if int(found["hash"], 16).to_bytes(4, "big") != hashlib.sha256(name.encode() + b"\n" + key).digest()[:4]:
        raise MalformedData("GOSUMDB", "invalid hash in the verifier key")
    if key[0] != _ED25519:
        raise MalformedData("GOSUMDB", "unknown algorithm of the verifier key")
    return name


def _check_url(url: str) -> None:
    try:
        parse_url(url)
    except ValueError as error:
        raise MalformedData("GOSUMDB", f"URL: {error}") from error
