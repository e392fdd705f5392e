"""node.json: where the node of a data directory is, and the token of its control API, while it runs."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathlib import Path

NODE_FILE: Final = "node.json"


@dataclass(frozen=True, slots=True)
class NodeFile:
    """What the file says beside this process's id; `peer` is `host:port`, None for a node in no swarm."""

    api: str
    peer: str | None
    node_id: str
    token: str


def write_node_file(data: Path, facts: NodeFile) -> None:
    """Put it there in one step, readable by its owner alone. Raises OSError."""
    path = data / NODE_FILE
    temporary = path.with_suffix(f".{os.getpid()}")
    with suppress(FileNotFoundError):
        temporary.unlink()
    table = {"pid": os.getpid(), "api": facts.api, "peer": facts.peer, "node_id": facts.node_id, "token": facts.token}
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        json.dump(table, file)
    temporary.replace(path)


def remove_node_file(data: Path) -> None:
    with suppress(OSError):
        (data / NODE_FILE).unlink()
