"""When bytes contradict the checksum database: both are kept, an alarm stays, and who got them is named."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import structlog

from p2pmods.errors import StoreError
from p2pmods.trust.evidence import evidence_to_json

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from p2pmods.fetch.checksums import Alarm as DatabaseAlarm
    from p2pmods.gomod.module import FileKey
    from p2pmods.store.store import Store
    from p2pmods.trust.evidence import Source, SumdbProof

log = structlog.get_logger()

MAX_REMEMBERED: Final = 10_000  # unproven files whose receivers are known
MAX_RECEIVERS: Final = 20  # of one file


@dataclass(frozen=True, slots=True)
class Contradiction:
    """`proof` states the h1 `want` for `key`, whose bytes from `source` have the h1 `got`."""

    key: FileKey
    want: str
    got: str
    proof: SumdbProof
    source: Source


class Receivers:
    """Who was given bytes that are not proven yet, so that a late contradiction can name them."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._given: OrderedDict[FileKey, list[tuple[float, str]]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._given)

    def note(self, key: FileKey, client: str) -> None:
        """`client` (an address, or where a command runs) gets this file now."""
        receivers = self._given.setdefault(key, [])
        if len(receivers) < MAX_RECEIVERS:
            receivers.append((self._clock(), client))
        if len(self._given) > MAX_REMEMBERED:
            self._given.popitem(last=False)

    def forget(self, key: FileKey) -> None:
        """It is proven now."""
        self._given.pop(key, None)

    def of(self, key: FileKey) -> tuple[tuple[float, str], ...]:
        return tuple(self._given.get(key, ()))


class Alarms:
    """Turns contradictions into evidence, a log line and an alarm. Its methods block while evidence is written."""

    def __init__(self, store: Store, receivers: Receivers) -> None:
        self._store = store
        self._receivers = receivers

    def contradicted(self, found: Contradiction, blob: bytes | Path | None) -> None:
        """The bytes (`blob`, None when they cannot be kept) were refused, or are about to be taken out of service."""
        receivers = self._receivers.of(found.key)
        served = f"; already given to {', '.join(who for _, who in receivers)}" if receivers else ""
        text = (
            f"{found.key} from {found.source.id} has the hash {found.got}, but {found.proof.database} (record "
            f"{found.proof.record}) states {found.want}: the bytes were refused{served}"
        )
        log.error("bytes contradict the checksum database", file=str(found.key), served_to=receivers)
        self._store.refuse(found.key, found.source, text)
        statement = {
            "stated": found.want,
            "found": found.got,
            "by": evidence_to_json(found.proof),
            "source": {"kind": found.source.kind.value, "id": found.source.id, "at": found.source.at},
            "served_to": [{"at": at, "client": who} for at, who in receivers],
        }
        blobs: Mapping[str, bytes | Path] = {} if blob is None else {f"refused.{found.key.kind.value}": blob}
        try:
            kept = self._store.keep_contradiction(found.key, statement, blobs)
            self._store.raise_alarm(f"hash:{found.key}:{found.got}", text, kept)
        except StoreError as error:
            log.warning("the evidence could not be kept", file=str(found.key), error=str(error))

    def database_contradicted_itself(self, name: str, alarm: DatabaseAlarm) -> None:
        """A fork or rollback: the checksum service has frozen the database and kept both heads."""
        log.error("the checksum database contradicts itself", reason=alarm.reason)
        try:
            self._store.raise_alarm(f"sumdb:{name}", f"{name}: {alarm.reason}", ", ".join(alarm.evidence))
        except StoreError as error:
            log.warning("the alarm could not be recorded", error=str(error))
