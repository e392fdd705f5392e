"""A checksum database of the lab's own: the forkable log over http, with the records of one file.

`python -m simulations.lab.checksumdb RECORDS PORT` prints `ready` and serves until it is stopped. RECORDS is JSON: a
list of `[path, version, h1 of the zip, h1 of the go.mod]`.
"""

from __future__ import annotations

import json
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Final

from p2pmods.gomod.module import ModuleVersion
from p2pmods.testing.sumdb import ForkableLog

NAME: Final = "sum.lab.example"
PORT: Final = 8090
_OTHERS: Final = 300  # records of nobody's modules: more than one tile
_log: Final = ForkableLog(NAME, "lab")


def verifier_key() -> str:
    """As GOSUMDB takes it."""
    return _log.verifier_key


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        status, body = _log.answer(self.path)
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Nothing."""


def serve(records: Path, port: int) -> None:
    """Until it is stopped."""
    _log.grow(_OTHERS)
    for path, version, zip_h1, mod_h1 in json.loads(records.read_text()):
        _log.add(ModuleVersion(path, version), zip_h1, mod_h1)
    server = ThreadingHTTPServer(("0.0.0.0", port), _Handler)  # of its own namespace
    server.daemon_threads = True
    print("ready", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    serve(Path(sys.argv[1]), int(sys.argv[2]))
