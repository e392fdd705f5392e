"""A handler's response put on the wire the way this request wants it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from p2pmods.httpd.message import FileBody, Request, Response
from p2pmods.httpd.ranges import Part, choose_part
from p2pmods.httpd.render import NO_BODY, head
from p2pmods.httpd.sending import send_all, send_file

if TYPE_CHECKING:
    import socket
    from collections.abc import AsyncIterator

    from p2pmods.httpd.sending import Progress


async def send_response(
    sock: socket.socket, request: Request, response: Response, *, keep: bool, progress: Progress
) -> None:
    """Sends all of it and gives back its file, also when it fails. `keep`: the connection goes on afterwards.

    Raises OSError, trio.ClosedResourceError, FileTooShort, and whatever a body iterator raises.
    """
    try:
        body = response.body
        if body is None or isinstance(body, bytes):
            part = _part(request, response, len(body or b""))
            content = (body or b"")[part.offset : part.offset + part.length]
            start = _head(request, response, part, keep=keep)
            await send_all(sock, start if request.method == "HEAD" else start + content, progress)
        elif isinstance(body, FileBody):
            part = _part(request, response, body.size)
            start = _head(request, response, part, keep=keep)
            if request.method == "HEAD" or not part.length:
                await send_all(sock, start, progress)
            else:
                await send_file(sock, start, body.fd, part.offset, part.length, progress)
        else:
            await _send_stream(sock, request, response, body, keep, progress)
    finally:
        response.close()


def _part(request: Request, response: Response, size: int) -> Part:
    etag = response.header("etag")
    if response.status == 200 and etag is not None and request.method in ("GET", "HEAD"):
        return choose_part(request.headers, etag, size)
    return Part(response.status, 0, size)


def _head(request: Request, response: Response, part: Part, *, keep: bool) -> bytes:
    length = None if part.status in NO_BODY else part.length
    return head(part.status, [*response.headers, *part.headers, *_connection(request, keep=keep)], length)


def _connection(request: Request, *, keep: bool) -> list[tuple[str, str]]:
    if not keep:
        return [("Connection", "close")]
    return [] if request.http11 else [("Connection", "keep-alive")]


async def _send_stream(
    sock: socket.socket,
    request: Request,
    response: Response,
    body: AsyncIterator[bytes],
    keep: bool,
    progress: Progress,
) -> None:
    """Chunked for HTTP/1.1; an HTTP/1.0 client gets it up to the end of the connection."""
    try:
        coding = [("Transfer-Encoding", "chunked")] if request.http11 else []
        fields = [*response.headers, *coding, *_connection(request, keep=keep)]
        await send_all(sock, head(response.status, fields, None), progress)
        if request.method == "HEAD":
            return
        async for piece in body:
            if piece:
                framed = b"%x\r\n%b\r\n" % (len(piece), piece) if request.http11 else piece
                await send_all(sock, framed, progress)
        if request.http11:
            await send_all(sock, b"0\r\n\r\n", progress)
    finally:
        close = getattr(body, "aclose", None)
        if close is not None:
            await close()
