"""Which program holds a TCP port of this machine, as well as can be told."""

from __future__ import annotations

import contextlib
import socket
from pathlib import Path
from typing import Final

from p2pmods.cli.client import exchange
from p2pmods.errors import printable

_LISTENING: Final = "0A"  # the state column of /proc/net/tcp
HEALTH_DEADLINE: Final = 1.0


def find_listener(host: str, port: int) -> str | None:
    """As `who_listens`; None when nobody listens there."""
    try:
        socket.create_connection((host, port), HEALTH_DEADLINE).close()
    except OSError:
        return None
    return who_listens(host, port)


def who_listens(host: str, port: int) -> str:
    """`another p2pmods node`, `process 123 (name)`, or `another program`."""
    name = process_on(port)
    asked = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    with contextlib.suppress(OSError):
        status, body = exchange(f"http://{asked}", "GET", "/-/healthz", {}, None, HEALTH_DEADLINE)
        if status == 200 and body.strip() == b"ok":
            return f"another p2pmods node{f', {name}' if name else ''}"
    return name or "another program"


def process_on(port: int, proc: Path = Path("/proc")) -> str | None:
    """`process PID (name)` of who listens on `port`; None where the system does not say (not Linux, not ours)."""
    inodes = {inode for table in ("net/tcp", "net/tcp6") for inode in _listening_inodes(proc / "self" / table, port)}
    wanted = {f"socket:[{inode}]" for inode in inodes}
    if not wanted:
        return None
    for directory in proc.glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if any(_link(descriptor) in wanted for descriptor in (directory / "fd").iterdir()):
                return f"process {directory.name} ({printable((directory / 'comm').read_text().strip(), 40)})"
    return None


def _link(descriptor: Path) -> str:
    try:
        return str(descriptor.readlink())
    except OSError:
        return ""


def _listening_inodes(table: Path, port: int) -> list[str]:
    try:
        lines = table.read_text().splitlines()[1:]
    except OSError:
        return []
    rows = (line.split() for line in lines)
    return [row[9] for row in rows if len(row) > 9 and row[3] == _LISTENING and row[1].endswith(f":{port:04X}")]
