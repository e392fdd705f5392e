"""The signed records of the nodes that this home names to others, so that those can be reached."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from p2pmods.errors import MalformedData
from p2pmods.identity.records import open_record

if TYPE_CHECKING:
    from collections.abc import Iterable

MAX_NODES: Final = 2048  # 1.3 MB of records at most; who was not heard of for longest goes first


class AddressBook:
    """One record for each node, the last that the node itself gave."""

    def __init__(self) -> None:
        self._records: dict[str, bytes] = {}

    def __len__(self) -> int:
        return len(self._records)

    def note(self, node: str, raw: bytes) -> None:
        """`node` itself gave this record. Raises MalformedData when it is not a record of that node, signed by it."""
        if self._records.pop(node, None) != raw and open_record(raw).record.node_id != node:
            raise MalformedData("node record", "another node's")
        while len(self._records) >= MAX_NODES:
            del self._records[next(iter(self._records))]
        self._records[node] = raw

    def record_of(self, node: str) -> bytes | None:
        """The record of `node`, if one is known."""
        return self._records.get(node)

    def records_of(self, nodes: Iterable[str], most: int) -> tuple[bytes, ...]:
        """The records of these nodes, as far as they are known, each once, no more than `most`."""
        known = (self._records.get(node) for node in dict.fromkeys(nodes))
        return tuple([raw for raw in known if raw is not None][:most])
