"""URLs of proxies and databases, held to what both Go's net/url and an HTTP client read alike."""

from __future__ import annotations

import ipaddress
import re
from functools import lru_cache
from typing import Final, NamedTuple

MAX_URL: Final = 4096

_URL: Final = re.compile(
    r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://"
    r"(?:(?P<user>[^/?#]*)@)?(?P<host>[^/?#@]*)"
    r"(?P<path>/[^?#]*)?(?:\?(?P<query>[^#]*))?(?:\#(?P<fragment>.*))?",
    re.DOTALL,
)
_USER: Final = re.compile(r"(?:[A-Za-z0-9._:~!$&'()*+,;=@-]|%[0-9A-Fa-f]{2})*")
_HOST: Final = re.compile(r"(?P<name>\[[^\]]*\]|[A-Za-z0-9._~!$&'()*+,;=\u0080-\U0010ffff-]*)(?::(?P<port>[0-9]*))?")
_BAD_ESCAPE: Final = re.compile(r"%(?![0-9A-Fa-f]{2})")
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")


class Url(NamedTuple):
    """A URL's parts as written, still percent-encoded; "" for what is not there. `host` has the port in it."""

    scheme: str
    user: str
    host: str
    path: str

    @property
    def redacted(self) -> str:
        """Without user, password, query and fragment: for logs, messages and the names of sources."""
        return f"{self.scheme}://{self.host}{self.path}"


@lru_cache(64)  # the few of the settings are read again for each request
def parse_url(text: str) -> Url:
    """Read an http, https or file URL. Raises ValueError with a reason that shows nothing of its credentials."""
    found = _URL.fullmatch(text)
    if len(text) > MAX_URL or _CONTROL.search(text):
        raise ValueError("invalid control character in URL, or too long")
    if found is None:
        raise ValueError("missing scheme")
    url = Url(found["scheme"].lower(), found["user"] or "", found["host"], found["path"] or "")
    if url.scheme not in ("http", "https", "file"):
        raise ValueError("invalid scheme (must be https, http, file)")
    if _BAD_ESCAPE.search(url.path):
        raise ValueError("invalid URL escape in path")
    if url.scheme == "file":
        if found["user"] is not None or url.host or found["query"] is not None or found["fragment"]:
            raise ValueError("invalid file:// URL with non-path elements")
    elif not _is_host(url.host):
        raise ValueError("missing or invalid host")
    if not _USER.fullmatch(url.user):
        raise ValueError("invalid userinfo")
    return url


def _is_host(host: str) -> bool:
    found = _HOST.fullmatch(host)
    if found is None or not found["name"] or int(found["port"] or 0) > 65535:
        return False
    if not found["name"].startswith("["):
        return True
    try:
        return ipaddress.ip_address(found["name"][1:-1]).version == 6
    except ValueError:
        return False
