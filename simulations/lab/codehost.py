"""A code host: git repositories over https, found as `go` finds them, by their `go-import` tags.

`python -m simulations.lab.codehost DIRECTORY CERTIFICATE` prints `ready` and serves until it is stopped. The
repository of `HOST/acme/widget` is that directory below DIRECTORY; its address has `.git` behind it.
"""

from __future__ import annotations

import os
import ssl
import subprocess
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Final

from p2pmods.testing.repos import Host

if TYPE_CHECKING:
    from collections.abc import Sequence

    from p2pmods.gomod.module import ModuleVersion

PORT: Final = 443
_PARTS: Final = 3  # of a repository's path: host, owner and name


class CodeHost(ThreadingHTTPServer):
    """`repositories` are served on all addresses of this machine."""

    daemon_threads = True

    def __init__(self, repositories: Path, certificate: Path) -> None:
        super().__init__(("0.0.0.0", PORT), _Handler)  # of its own namespace
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        self.socket = context.wrap_socket(self.socket, server_side=True, do_handshake_on_connect=False)
        self.repositories = repositories


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: CodeHost

    def do_GET(self) -> None:
        path, _, query = self.path.partition("?")
        if "go-get=1" in query:
            self._go_import(path)
        else:
            self._git(path, query)

    def do_POST(self) -> None:
        path, _, query = self.path.partition("?")
        self._git(path, query)

    def _go_import(self, path: str) -> None:
        parts = [self.headers["Host"], *path.strip("/").split("/")][:_PARTS]
        if not self.server.repositories.joinpath(*parts).is_dir():
            self._answer(404, {}, b"")
            return
        root = "/".join(parts)
        tag = f'<html><head><meta name="go-import" content="{root} git https://{root}.git"></head></html>'
        self._answer(200, {"Content-Type": "text/html"}, tag.encode())

    def _git(self, path: str, query: str) -> None:
        """One answer of `git http-backend`, a CGI program."""
        environ = {
            "PATH": os.environ["PATH"],
            "GIT_PROJECT_ROOT": str(self.server.repositories / self.headers["Host"]),
            "GIT_HTTP_EXPORT_ALL": "1",
            "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
            "PATH_INFO": path.replace(".git/", "/.git/", 1),
            "QUERY_STRING": query,
            "REQUEST_METHOD": self.command,
            "CONTENT_TYPE": self.headers.get("Content-Type", ""),
            "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
        }
        body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        environ |= {"CONTENT_LENGTH": str(len(body))}
        done = subprocess.run(["git", "http-backend"], input=body, capture_output=True, env=environ, check=False)
        head, _, answer = done.stdout.partition(b"\r\n\r\n")
        fields = dict(line.split(": ", 1) for line in head.decode("latin-1").split("\r\n") if ": " in line)
        self._answer(int(fields.pop("Status", "200").split()[0]), fields, answer)

    def _answer(self, status: int, fields: dict[str, str], body: bytes) -> None:
        self.send_response(status)
        for name, value in {**fields, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Nothing: what matters is seen at the other end."""


def serve(repositories: Path, certificate: Path) -> None:
    """Until it is stopped."""
    host = CodeHost(repositories, certificate)
    print("ready", flush=True)
    host.serve_forever()


def fill(repositories: Path, host: str, more: Sequence[ModuleVersion] = ()) -> None:
    """What this code host has: a library, one in a subdirectory, one that needs both, one without tags, and more."""
    code = Host(repositories)
    widget, gadget, plain = (f"{host}/acme/{name}" for name in ("widget", "gadget", "Plain"))
    code.commit(widget, {"go.mod": _go_mod(widget), "widget.go": "package widget\n\nconst Size = 1\n"}, "v1.0.0")
    code.commit(
        widget,
        {
            "widget.go": "package widget\n\nconst Size = 2\n",
            "sub/go.mod": _go_mod(f"{widget}/sub"),
            "sub/sub.go": "package sub\n\nconst Depth = 1\n",
        },
        "v1.1.0",
        "sub/v0.1.0",
    )
    code.commit(plain, {"go.mod": _go_mod(plain), "plain.go": "package plain\n\nconst Word = 3\n"})
    code.commit(
        gadget,
        {
            "go.mod": _go_mod(gadget, f"{widget} v1.1.0", f"{widget}/sub v0.1.0"),
            "gadget.go": f'package gadget\n\nimport (\n\t"{widget}"\n\t"{widget}/sub"\n)\n\n'
            "const Sum = widget.Size + sub.Depth\n",
        },
        "v0.2.0",
    )
    for library in more:
        files = {"go.mod": _go_mod(library.path), "library.go": "package library\n"}
        code.commit(library.path, files, library.version)


def _go_mod(module: str, *requirements: str) -> str:
    needs = "".join(f"require {requirement}\n" for requirement in requirements)
    return f"module {module}\n\ngo 1.21\n{needs}"


if __name__ == "__main__":
    serve(Path(sys.argv[1]), Path(sys.argv[2]))
