"""Module proxies that are a directory: `file://` in GOPROXY."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO
from urllib.parse import unquote, urlsplit

import trio

from p2pmods.errors import printable
from p2pmods.store.fs import stream_regular
from p2pmods.upstream.failure import UpstreamNotFound, UpstreamRefused, UpstreamUnavailable
from p2pmods.upstream.limits import Limits, Want
from p2pmods.upstream.transfer import Transfer

if TYPE_CHECKING:
    from p2pmods.upstream.sink import Sink

_READ_SIZE = 1 << 20


def file_path(url: str, path: str, *, windows: bool = os.name == "nt") -> str:
    """The file for `path` below a file:// URL, percent-decoded once; `file:///C:/x` is `C:/x` on Windows."""
    directory = unquote(urlsplit(url).path)
    if windows and directory[:1] == "/" and directory[2:3] == ":":
        directory = directory[1:]
    return f"{directory.rstrip('/')}/{path}"


async def fetch_from_directory(url: str, path: str, want: Want, sink: Sink) -> None:
    """As ProxyClient.fetch. A file that may not be read is refused, as a 403 is."""
    elements = path.split("/")
    if ".." in elements or "\0" in path or "\\" in path or (os.name == "nt" and ":" in path):
        raise UpstreamNotFound(url, "not a name of the module proxy protocol")
    transfer = Transfer(url, want, sink, Limits())
    try:
        with await trio.to_thread.run_sync(_open, file_path(url, path)) as file:
            while data := await trio.to_thread.run_sync(file.read, _READ_SIZE):
                transfer.receive(data, sharers=0, now=0.0)
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError) as error:
        raise UpstreamNotFound(url, f"no file {printable(path)}") from error
    except PermissionError as error:
        raise UpstreamRefused(url, f"permission denied: {printable(path)}") from error
    except OSError as error:
        raise UpstreamUnavailable(url, f"{error.strerror}: {printable(path)}") from error
    transfer.finish()


def _open(path: str) -> BinaryIO:
    try:
        return stream_regular(Path(path))
    except OSError as error:
        if error.errno == errno.ELOOP:  # a directory, a pipe, a circle of links
            raise FileNotFoundError(path) from error
        raise
