"""Getting bytes out: send and sendfile on a non-blocking socket, and reading where there is no sendfile."""

from __future__ import annotations

import errno
import os
import socket
from typing import TYPE_CHECKING

import trio

if TYPE_CHECKING:
    from collections.abc import Callable

    Progress = Callable[[], None]

CAN_SENDFILE = hasattr(os, "sendfile")
# Read and sent together with the head: one system call fewer than sendfile needs.
SMALL_FILE = 32 << 10
# What is asked of the kernel before others get their turn: about a millisecond. A reader that keeps up would be
# sent the whole file in one call otherwise. A sixteenth of it at a time sends a tenth less, four times it no more.
_TURN = 4 << 20
_PIECE = 256 << 10  # what is read into memory at once where the kernel cannot send the file itself
_MORE = getattr(socket, "MSG_MORE", 0)
# The file's or the socket's kind cannot be sent from inside the kernel: read it instead.
_NO_SENDFILE = frozenset(
    {errno.EINVAL, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOTSOCK, errno.EOVERFLOW}
)


class FileTooShort(Exception):
    """The file ended before the length that its head promised; the connection cannot go on."""


async def send_all(sock: socket.socket, data: bytes, progress: Progress, flags: int = 0) -> None:
    """Sends `data`; `progress` is called before a wait and whenever the client took some.

    Raises OSError, trio.ClosedResourceError.
    """
    try:
        sent = sock.send(data, flags)
    except BlockingIOError:
        sent = 0
    if sent == len(data):
        return
    progress()  # the time to stall begins now
    rest = memoryview(data)[sent:]
    while rest:
        await trio.lowlevel.wait_writable(sock)
        try:
            rest = rest[sock.send(rest, flags) :]
        except BlockingIOError:
            continue
        progress()


async def send_file(sock: socket.socket, head: bytes, fd: int, offset: int, length: int, progress: Progress) -> None:
    """Sends `head` and then `length` bytes of `fd` from `offset`.

    Raises FileTooShort, OSError, trio.ClosedResourceError.
    """
    if length <= SMALL_FILE:
        await send_all(sock, head + _read(fd, offset, length), progress)
        return
    progress()
    await send_all(sock, head, progress, _MORE)
    sent = await _sendfile(sock, fd, offset, length, progress) if CAN_SENDFILE else 0
    while sent < length:
        piece = _read(fd, offset + sent, min(_PIECE, length - sent))
        await send_all(sock, piece, progress)
        sent += len(piece)
        await trio.lowlevel.checkpoint()


async def _sendfile(sock: socket.socket, fd: int, offset: int, length: int, progress: Progress) -> int:
    """How many bytes were sent: `length`, or 0 where this file cannot be sent so."""
    sent = 0
    while sent < length:
        try:
            count = os.sendfile(sock.fileno(), fd, offset + sent, min(_TURN, length - sent))
        except BlockingIOError:
            await trio.lowlevel.wait_writable(sock)
            continue
        except OSError as error:
            if sent == 0 and error.errno in _NO_SENDFILE:
                return 0
            raise
        if count == 0:
            raise FileTooShort
        sent += count
        progress()
        await trio.lowlevel.checkpoint()
    return sent


def _read(fd: int, offset: int, length: int) -> bytes:
    """Exactly `length` bytes; Windows has no pread, and there nobody else moves the position of this descriptor."""
    parts: list[bytes] = []
    while length > 0:
        if hasattr(os, "pread"):
            part = os.pread(fd, length, offset)
        else:
            os.lseek(fd, offset, os.SEEK_SET)
            part = os.read(fd, length)
        if not part:
            raise FileTooShort
        parts.append(part)
        offset += len(part)
        length -= len(part)
    return parts[0] if len(parts) == 1 else b"".join(parts)
