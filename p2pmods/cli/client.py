"""Talks to the node that runs on a data directory, over its loopback control API."""

from __future__ import annotations

import http.client
import json
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote, urlencode, urlsplit

from p2pmods.errors import UserError, printable
from p2pmods.gomod.urls import parse_url
from p2pmods.store.fs import stream_regular

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

NODE_FILE: Final = "node.json"
MAX_NODE_FILE: Final = 64 << 10
MAX_ANSWER: Final = 256 << 20  # bytes; a `check` of a hundred thousand modules stays far below
HEALTH_DEADLINE: Final = 5.0  # seconds, on loopback
DEADLINE: Final = 60.0  # seconds between two bytes of an answer
MAX_PID: Final = 2**31 - 1  # C's int, as kill(2) takes it


@dataclass(frozen=True, slots=True)
class RunningNode:
    """What node.json says of the node that runs: process, API base URL without a trailing slash, control token.

    Raises ValueError for what no node can have written.
    """

    pid: int
    api: str
    token: str
    peer: str | None
    node_id: str

    def __post_init__(self) -> None:
        if not 0 <= self.pid <= MAX_PID or parse_url(self.api).scheme != "http":
            raise ValueError("no process, or no address of a node")
        if not all(text.isascii() and text.isprintable() for text in (self.api, self.token)):
            raise ValueError("an address or a token that cannot be sent")

    def get(self, path: str, query: Mapping[str, str] | None = None) -> Any:
        """GET /-/api/v1/`path`. The answer's JSON; NodeRefused for a status other than 200."""
        return self._ask("GET", path + (f"?{urlencode(query, quote_via=quote)}" if query else ""), None)

    def post(self, path: str, body: object, *, deadline: float = DEADLINE) -> Any:
        """POST JSON, otherwise as `get`."""
        return self._ask("POST", path, json.dumps(body).encode(), deadline)

    def delete(self, path: str) -> Any:
        """DELETE, otherwise as `get`."""
        return self._ask("DELETE", path, None)

    def _ask(self, method: str, path: str, body: bytes | None, deadline: float = DEADLINE) -> Any:
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"}
        if body is None:
            del headers["Content-Type"]
        try:
            status, answer = exchange(self.api, method, f"/-/api/v1/{path}", headers, body, deadline)
        except OSError as error:
            raise UserError(f"the node (process {self.pid}, {self.api}) does not answer: {error}") from error
        if status != 200:
            raise NodeRefused(status, _reason(answer))
        try:
            return json.loads(answer)
        except (ValueError, RecursionError) as error:
            raise UserError(
                f"the node (process {self.pid}) answered {path} with something that is no JSON"
            ) from error


class NodeRefused(UserError):
    """The node answered with an error; `status` is HTTP's."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason or f"the node answered {status}")
        self.status = status


def find_node(data: Path) -> RunningNode | None:
    """The node that runs on `data`; None when there is none (no node.json, or one left by a node that died).

    UserError when there is a node but it does not answer.
    """
    node = read_node_file(data)
    if node is None or not _is_alive(node.pid):
        return None
    try:
        status, _ = exchange(node.api, "GET", "/-/healthz", {}, None, HEALTH_DEADLINE)
    except TimeoutError as error:
        raise UserError(f"the node (process {node.pid}, {node.api}) does not answer") from error
    except OSError:
        return None
    return node if status == 200 else None


def read_node_file(data: Path) -> RunningNode | None:
    """node.json as it stands, whether its node lives or not."""
    try:
        with stream_regular(data / NODE_FILE) as file:
            table = json.loads(file.read(MAX_NODE_FILE))
        peer = table["peer"]
        api = str(table["api"]).rstrip("/")
        return RunningNode(int(table["pid"]), api, str(table["token"]), peer and str(peer), str(table["node_id"]))
    except PermissionError as error:
        raise UserError(f"{data / NODE_FILE} belongs to somebody else: that node is not yours") from error
    except (OSError, ValueError, KeyError, TypeError, OverflowError, RecursionError):
        return None


def exchange(
    base: str, method: str, target: str, headers: Mapping[str, str], body: bytes | None, deadline: float
) -> tuple[int, bytes]:
    """One HTTP exchange with a node at `base` (never through a proxy). OSError when it fails."""
    parts = urlsplit(base)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=deadline)
    try:
        connection.request(method, parts.path.rstrip("/") + target, body, dict(headers))
        response = connection.getresponse()
        return response.status, response.read(MAX_ANSWER)
    except http.client.HTTPException as error:
        raise ConnectionError(f"{type(error).__name__}: {printable(str(error))}") from error
    finally:
        connection.close()


def _reason(answer: bytes) -> str:
    """The text of an error answer: `{"error": …}` or plain text."""
    try:
        table = json.loads(answer)
        return printable(str(table["error"]), 500)
    except (ValueError, KeyError, TypeError, RecursionError):
        return printable(answer.strip(), 500)


def _is_alive(pid: int) -> bool:
    """Whether a process has this id. On Windows always true: there os.kill(pid, 0) would end it."""
    if os.name == "nt":
        return True
    if pid <= 0:
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True
