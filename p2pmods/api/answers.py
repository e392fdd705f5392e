"""From what a fetch ended with to an HTTP response of the module proxy protocol."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from p2pmods.fetch.outcome import FetchFailed, Served, Verdict
from p2pmods.gomod.module import FileKind
from p2pmods.httpd.message import FileBody, Response, text

if TYPE_CHECKING:
    from p2pmods.fetch.listings import Listing

SOURCE_HEADER: Final = "P2pmods-Source"
_WEEK: Final = ("Cache-Control", "public, max-age=604800, immutable")
MINUTE: Final = ("Cache-Control", "public, max-age=60")
_CONTENT_TYPES: Final = {
    FileKind.INFO: "application/json",
    FileKind.MOD: "text/plain; charset=utf-8",
    FileKind.ZIP: "application/zip",
}


def file_answer(served: Served) -> Response:
    """200 with the file; the server adds what HEAD and Range need."""
    headers = [
        ("Content-Type", _CONTENT_TYPES[served.key.kind]),
        _WEEK if served.lasting else MINUTE,
        ("ETag", f'"{served.sha256}"'),
        (SOURCE_HEADER, served.source.value),
    ]
    if served.body is not None:
        return Response(200, headers, served.body)
    assert served.open is not None
    return Response(200, headers, FileBody(served.open(), served.size))


def listing_answer(listing: Listing, content_type: str) -> Response:
    """200 with a `list`, an `@latest` or the answer to a query."""
    headers = [("Content-Type", content_type), MINUTE, (SOURCE_HEADER, listing.source.value)]
    return Response(200, headers, listing.body)


def failure_answer(failure: FetchFailed, *, alone: bool) -> Response:
    """The status by which go decides whether to ask the next proxy, and a text within what it prints.

    `alone`: no other proxy follows this one, so "cannot answer now" may stop the client.
    """
    match failure.verdict:
        case Verdict.NOT_FOUND:
            return text(404, failure.text(), [MINUTE])
        case Verdict.REFUSED:
            return text(403, failure.text(), [("Cache-Control", "no-store")])
        case Verdict.UNAVAILABLE:
            return text(503 if alone else 404, failure.text(), [("Cache-Control", "no-store")])
