"""How figures and tables are written for a person."""

from __future__ import annotations

import json
import sys
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


def say(text: str = "") -> None:
    """A line on stdout."""
    print(text)


def note(text: str) -> None:
    """A line on stderr, after everything that stdout holds already."""
    sys.stdout.flush()
    print(text, file=sys.stderr, flush=True)


def say_json(data: Any) -> None:
    """One indented JSON document on stdout."""
    say(json.dumps(data, indent=2, ensure_ascii=True))


def size(count: float) -> str:
    """Bytes in decimal units: `0 B`, `812 B`, `3.4 kB`, `181 MB`."""
    if count < 1000:
        return f"{count:.0f} B"
    for unit in ("kB", "MB", "GB", "TB"):
        count /= 1000
        if count < 9.95:
            return f"{count:.1f} {unit}"
        if count < 999.5:
            return f"{count:.0f} {unit}"
    return f"{count:.0f} TB"


def duration(seconds: float) -> str:
    """`0.4 s`, `9 s`, `2 min 5 s`, `3 h 10 min`, `4 d 2 h`."""
    if seconds < 1:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 120:
        return f"{whole} s"
    for small, unit, large, name in ((1, "s", 60, "min"), (60, "min", 3600, "h"), (3600, "h", 86400, "d")):
        if whole < large * 60 or name == "d":
            return f"{whole // large} {name} {whole % large // small} {unit}"
    raise AssertionError("unreachable")


def ago(at: float) -> str:
    """`5 s ago` for a Unix time."""
    return f"{duration(max(0.0, time.time() - at))} ago"


def plural(count: int, noun: str, plural_form: str = "") -> str:
    """`1 module`, `2 modules`, `1,234 modules`."""
    return f"{count:,} {noun if count == 1 else plural_form or noun + 's'}"


def table(rows: Iterable[Sequence[str]], *, indent: str = "") -> list[str]:
    """Rows as lines with aligned columns; the last column is not padded."""
    rows = [tuple(row) for row in rows]
    if not rows:
        return []
    widths = [max(len(row[i]) for row in rows if i < len(row)) for i in range(max(map(len, rows)))]
    return [
        indent + "  ".join(cell.ljust(widths[i]) if i < len(row) - 1 else cell for i, cell in enumerate(row)).rstrip()
        for row in rows
    ]
