"""What the store knows beside its files: marks on module versions, refusals, and alarms."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from p2pmods.errors import Poisoned, Tombstoned
from p2pmods.gomod.module import FileKey, FileKind, ModuleVersion
from p2pmods.store.database import Damaged, Row
from p2pmods.store.schema import seal_of
from p2pmods.store.stored import Alarm, Refusal
from p2pmods.trust.evidence import Source, SourceKind

if TYPE_CHECKING:
    import sqlite3

    from p2pmods.store.database import Database

MAX_REFUSALS: Final = 10_000  # rows; the oldest go first (audit.jsonl keeps them all)


class State(StrEnum):
    """Why a module version is not served."""

    POISONED = "poisoned"
    REMOVED = "removed"


@dataclass(frozen=True, slots=True)
class Mark:
    """`module` is not served since Unix time `at`; `kind` is the file that was found poisoned, or ""."""

    module: ModuleVersion
    state: State
    kind: str
    reason: str
    at: float


def put_mark(connection: sqlite3.Connection, mark: Mark) -> None:
    """Write `mark`, inside a transaction of `Database.write`."""
    values = (mark.module.path, mark.module.version, mark.state.value, mark.kind, mark.reason, float(mark.at))
    connection.execute("INSERT OR REPLACE INTO marks VALUES (?, ?, ?, ?, ?, ?, ?)", (*values, seal_of(*values)))


class Marks:
    """The marks, all of them in memory: they are asked about before anything is served."""

    def __init__(self, database: Database) -> None:
        """Raises StoreError."""
        self._database = database
        self._held: dict[ModuleVersion, dict[State, Mark]] = {}
        for mark in database.query(_read_marks):
            self._held.setdefault(mark.module, {})[mark.state] = mark

    def check(self, module: ModuleVersion) -> None:
        """Raises Poisoned or Tombstoned when nothing of `module` may be served, wherever it lies."""
        marks = self._held.get(module)
        if not marks:
            return
        if State.POISONED in marks:
            raise Poisoned(str(module), marks[State.POISONED].reason)
        raise Tombstoned(str(module), marks[State.REMOVED].at)

    def of(self, module: ModuleVersion) -> tuple[Mark, ...]:
        return tuple(self._held.get(module, {}).values())

    def add(self, mark: Mark) -> None:
        """Raises StoreError when it could not be made durable; it is in force until the end all the same."""
        self._held.setdefault(mark.module, {})[mark.state] = mark
        self._database.write(lambda connection: put_mark(connection, mark))

    def lift(self, module: ModuleVersion, state: State) -> bool:
        """Take a mark away; False when there was none. Raises StoreError."""
        if state not in self._held.get(module, {}):
            return False
        self._database.write(
            lambda connection: connection.execute(
                "DELETE FROM marks WHERE path = ? AND version = ? AND state = ?",
                (module.path, module.version, state.value),
            )
        )
        del self._held[module][state]
        return True


def _read_marks(connection: sqlite3.Connection) -> list[Mark]:
    marks = []
    for *values, seal in connection.execute("SELECT * FROM marks"):
        if seal_of(*values) != seal:
            raise Damaged("a row of marks")
        path, version, state, kind, reason, at = values
        marks.append(Mark(ModuleVersion(path, version), State(state), kind, reason, at))
    return marks


def put_refusal(connection: sqlite3.Connection, refusal: Refusal) -> None:
    """Write `refusal`, inside a transaction of `Database.write`, and drop the oldest beyond MAX_REFUSALS."""
    module, source = refusal.key.module, refusal.source
    cursor = connection.execute(
        "INSERT INTO refusals (path, version, kind, source_kind, source_id, at, reason) VALUES (?, ?, ?, ?, ?, ?, ?)",
        (module.path, module.version, refusal.key.kind.value, *_source_columns(source), refusal.reason),
    )
    connection.execute("DELETE FROM refusals WHERE id <= ?", ((cursor.lastrowid or 0) - MAX_REFUSALS,))


def put_alarm(connection: sqlite3.Connection, alarm: Alarm) -> None:
    """Write `alarm`, inside a transaction of `Database.write`; one that is known keeps its `since`."""
    connection.execute(
        "INSERT INTO alarms VALUES (?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET text = excluded.text,"
        " evidence = COALESCE(excluded.evidence, evidence), acknowledged = excluded.acknowledged",
        (alarm.id, alarm.since, alarm.text, alarm.evidence, int(alarm.acknowledged)),
    )


class Notes:
    """Refusals and alarms. Every method raises StoreError when the index cannot be used."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add_refusal(self, refusal: Refusal) -> None:
        self._database.write(lambda connection: put_refusal(connection, refusal))

    def refusals(self, module: ModuleVersion) -> list[Refusal]:
        """What was not let in under the name of `module`, oldest first."""

        def look(connection: sqlite3.Connection) -> list[Refusal]:
            rows = connection.execute(
                "SELECT kind, source_kind, source_id, at, reason FROM refusals WHERE path = ? AND version = ?"
                " ORDER BY id",
                (module.path, module.version),
            )
            return [_refusal(module, row) for row in rows]

        return self._database.query(look)

    def put_alarm(self, alarm: Alarm) -> None:
        self._database.write(lambda connection: put_alarm(connection, alarm))

    def alarms(self) -> list[Alarm]:
        rows = self._database.read("SELECT id, since, text, evidence, acknowledged FROM alarms ORDER BY since, id")
        return [
            Alarm(alarm_id, since, text, evidence, bool(acknowledged))
            for alarm_id, since, text, evidence, acknowledged in rows
        ]

    def acknowledge(self, alarm_id: str) -> bool:
        """False when there is no such alarm."""
        return self._database.write(
            lambda connection: (
                connection.execute("UPDATE alarms SET acknowledged = 1 WHERE id = ?", (alarm_id,)).rowcount > 0
            )
        )


def _source_columns(source: Source) -> tuple[str, str, float]:
    return (source.kind.value, source.id, source.at)


def _refusal(module: ModuleVersion, row: Row) -> Refusal:
    kind, source_kind, source_id, at, reason = row
    try:
        return Refusal(FileKey(module, FileKind(kind)), Source(SourceKind(source_kind), source_id, at), reason)
    except ValueError as error:
        raise Damaged("a row of refusals") from error
