"""An HTTP/1.1 server core: trio + httptools, sendfile for files, ready-made bytes for what is small and hot.

It knows nothing of modules. A handler gets a bounded `Request` and returns a `Response`; HEAD, Range, conditional
requests, timeouts, limits and hostile bytes are dealt with here.
"""

from __future__ import annotations

from p2pmods.httpd.limits import Limits
from p2pmods.httpd.listening import CannotListen, listen, url_of
from p2pmods.httpd.message import FileBody, Headers, Request, Response, text
from p2pmods.httpd.render import ready_made
from p2pmods.httpd.server import Handler, Server, ServerStatistics, serve

__all__ = [
    "CannotListen",
    "FileBody",
    "Handler",
    "Headers",
    "Limits",
    "Request",
    "Response",
    "Server",
    "ServerStatistics",
    "listen",
    "ready_made",
    "serve",
    "text",
    "url_of",
]
