"""What a home knows to answer with: who holds what, and how those are reached."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from p2pmods.directory.addresses import AddressBook
from p2pmods.directory.intake import Intake
from p2pmods.directory.messages import MAX_HOLDERS
from p2pmods.directory.providers import ProviderTable
from p2pmods.errors import MalformedData

if TYPE_CHECKING:
    from collections.abc import Iterable

    from p2pmods.directory.messages import Holder
    from p2pmods.wire.entropy import Entropy


class Holdings:
    """The table of providers, what fills it, and the records that go with it."""

    def __init__(self, entropy: Entropy) -> None:
        self.book = AddressBook()
        self.table = ProviderTable(entropy)
        self.intake = Intake(self.table, self.book)

    def records(self, holders: Iterable[Holder], most: int = MAX_HOLDERS) -> tuple[bytes, ...]:
        """The signed records of these holders, as far as they are known."""
        return self.book.records_of((holder.node for holder in holders), most)

    def note(self, node: str, records: Iterable[bytes]) -> None:
        """Keep those of `records`, which somebody passed on, that are of `node`, unless one is known."""
        if self.book.record_of(node) is None:
            for raw in records:
                with contextlib.suppress(MalformedData):
                    self.book.note(node, raw)

    def clear(self) -> None:
        """Forget who holds what; where nodes are stays true."""
        self.table.clear()
        self.intake.clear()
