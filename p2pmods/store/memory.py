"""What upstreams last said to `list`, `@latest` and queries, and the highest version ever seen of each path.

The first is a cache with bounds; the second only grows, so that a shortened list never makes go downgrade.
"""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Final

from p2pmods.errors import StoreError
from p2pmods.gomod.listing import latest
from p2pmods.store.database import Damaged
from p2pmods.store.schema import seal_of
from p2pmods.store.stored import Answer
from p2pmods.trust.evidence import Source, SourceKind

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable

    from p2pmods.store.database import Database

MAX_ANSWER: Final = 16 << 20  # bytes; the longest list of the public mirror is below 1 MiB
MAX_ANSWERS: Final = 50_000  # rows; the oldest go first


class Memory:
    """Every method raises StoreError when the index cannot be used."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def remember(self, path: str, query: str, answer: Answer) -> None:
        """Keep `answer` to `query` ("list", "@latest", "main", …) about `path`, in place of an older one."""
        if len(answer.body) > MAX_ANSWER:
            raise StoreError(f"the answer to {path} {query} has more than {MAX_ANSWER} bytes")
        source = answer.source
        values = (path, query, source.kind.value, source.id, float(source.at))
        seal = seal_of(*values, zlib.crc32(answer.body))

        def keep(connection: sqlite3.Connection) -> None:
            connection.execute(
                "INSERT OR REPLACE INTO answers VALUES (?, ?, ?, ?, ?, ?, ?)",
                (*values[:2], answer.body, *values[2:], seal),
            )
            (count,) = connection.execute("SELECT COUNT(*) FROM answers").fetchone()
            if count > MAX_ANSWERS:
                connection.execute(
                    "DELETE FROM answers WHERE (path, query) IN"
                    " (SELECT path, query FROM answers ORDER BY at LIMIT ?)",
                    (MAX_ANSWERS // 10,),
                )

        self._database.write(keep)

    def recall(self, path: str, query: str) -> Answer | None:
        def look(connection: sqlite3.Connection) -> Answer | None:
            row = connection.execute(
                "SELECT body, source_kind, source_id, at, seal FROM answers WHERE path = ? AND query = ?",
                (path, query),
            ).fetchone()
            if row is None:
                return None
            body, kind, source_id, at, seal = row
            if seal_of(path, query, kind, source_id, at, zlib.crc32(body)) != seal:
                raise Damaged("a row of answers")
            return Answer(body, Source(SourceKind(kind), source_id, at))

        return self._database.query(look)

    def highest(self, path: str) -> str | None:
        """The version that go would have picked as the latest of all that were ever seen, or None."""

        def look(connection: sqlite3.Connection) -> str | None:
            row = connection.execute("SELECT version, seal FROM highest WHERE path = ?", (path,)).fetchone()
            if row is not None and seal_of(path, row[0]) != row[1]:
                raise Damaged("a row of highest")
            return None if row is None else str(row[0])

        return self._database.query(look)

    def saw(self, path: str, versions: Iterable[str]) -> bool:
        """Take note of `versions` (valid ones); True when one of them is higher than all before."""
        known = self.highest(path)
        highest = latest([*versions, *([known] if known else [])])
        if highest is None or highest == known:
            return False
        values = (path, highest, seal_of(path, highest))
        self._database.write(
            lambda connection: connection.execute("INSERT OR REPLACE INTO highest VALUES (?, ?, ?)", values)
        )
        return True
