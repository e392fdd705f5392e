"""A home's side of the adverts: one log per provider, applied in order, begun again when there is a gap."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from p2pmods.directory.messages import Advert, Advertised

if TYPE_CHECKING:
    from p2pmods.directory.addresses import AddressBook
    from p2pmods.directory.providers import ProviderTable

MAX_LOGS: Final = 2048  # providers; one more, and whoever was silent for longest has to begin again


class Intake:
    """Where each provider's log stands."""

    def __init__(self, table: ProviderTable, book: AddressBook) -> None:
        self._table = table
        self._book = book
        self._logs: dict[str, tuple[bytes, int]] = {}  # session, and the number wanted next

    def receive(self, peer: str, advert: Advert, *, now: float) -> Advertised:
        """Apply what `peer` advertises, and say what is wanted next. Raises MalformedData for another's record."""
        self._book.note(peer, advert.record)
        self._table.is_back(peer)
        session, wanted = self._logs.pop(peer, (b"", 0))
        if advert.begins:
            self._table.forget(peer)
        elif session != advert.session or advert.sequence not in (wanted - 1, wanted):
            return Advertised(advert.session, None)  # a gap
        if advert.begins or advert.sequence == wanted:
            self._apply(peer, advert, now)
        self._remember(peer, advert)
        return Advertised(advert.session, advert.sequence + 1)

    def clear(self) -> None:
        """Everyone begins again."""
        self._logs.clear()

    def _apply(self, peer: str, advert: Advert, now: float) -> None:
        for key in advert.removed:
            self._table.remove(peer, key)
        for holding in advert.added:
            self._table.add(peer, holding, now=now)

    def _remember(self, peer: str, advert: Advert) -> None:
        while len(self._logs) >= MAX_LOGS:
            silent = next(iter(self._logs))
            del self._logs[silent]
            self._table.forget(silent)
        self._logs[peer] = (advert.session, advert.sequence + 1)
