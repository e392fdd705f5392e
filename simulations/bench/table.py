"""Rows of the benchmark's one table: pure values, their medians, and how they are printed."""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

HEADS: Final = ("what", "node", "against", "ratio", "reach", "", "notes")

_SCALES: Final = {  # unit → (divisor, digits, what is printed behind the number)
    "s": (1.0, 2, " s"),
    "ms": (1e-3, 0, " ms"),
    "µs": (1e-6, 0, " µs"),
    "MB": (1e6, 0, " MB"),
    "B/s": (1e9, 2, " GB/s"),
    "/s": (1.0, 0, " /s"),
    "": (1.0, 0, ""),
}


@dataclass(frozen=True, slots=True)
class Reach:
    """The number to reach, for the ratio if there is one, else for the node's own median; `how` is ≤, ≥ or =."""

    how: str
    value: float

    def __post_init__(self) -> None:
        if self.how not in ("≤", "≥", "="):
            raise ValueError(f"{self.how!r} is none of ≤, ≥, =")

    def is_met(self, value: float) -> bool:
        return {"≤": value <= self.value, "≥": value >= self.value, "=": value == self.value}[self.how]


@dataclass(frozen=True, slots=True)
class Row:
    """One line: what the node took in each round and, where there is one, what the other took in the same round.

    Values are seconds, bytes, or counts, as `unit` (a key of the table above) says. A row with `failed` was not
    measured, and that is why.
    """

    what: str
    unit: str = ""
    node: tuple[float, ...] = ()
    against: tuple[float, ...] = ()
    reach: Reach | None = None
    notes: tuple[str, ...] = ()
    failed: str = ""

    def __post_init__(self) -> None:
        if not self.failed and not self.node:
            raise ValueError(f"{self.what}: nothing was measured")
        if self.against and len(self.against) != len(self.node):
            raise ValueError(f"{self.what}: not as many rounds of the one as of the other")

    @property
    def ratio(self) -> float | None:
        """Median over median; None without a baseline."""
        return median(self.node) / median(self.against) if self.against else None

    @property
    def spread(self) -> tuple[float, float] | None:
        """The smallest and the largest ratio of one round: how far the noise went."""
        ratios = [ours / theirs for ours, theirs in zip(self.node, self.against, strict=False)]
        return (min(ratios), max(ratios)) if len(ratios) > 1 else None

    @property
    def is_reached(self) -> bool | None:
        """None when nothing is to be reached, or nothing was measured."""
        if self.reach is None or self.failed:
            return None
        return self.reach.is_met(median(self.node) if self.ratio is None else self.ratio)

    def as_json(self) -> dict[str, object]:
        """Every round; null for one that was never done."""
        return {
            "what": self.what,
            "unit": self.unit,
            "node": [value if math.isfinite(value) else None for value in self.node],
            "against": list(self.against),
            "ratio": self.ratio,
            "reach": f"{self.reach.how} {self.reach.value:g}" if self.reach else None,
            "reached": self.is_reached,
            "notes": list(self.notes),
            "failed": self.failed or None,
        }


def amount(value: float, unit: str) -> str:
    """`value` for a person: `amount(0.25, "ms")` is `250 ms`."""
    divisor, digits, behind = _SCALES[unit]
    return f"{value / divisor:,.{digits}f}{behind}" if math.isfinite(value) else "never"


def format_table(rows: Sequence[Row]) -> str:
    """Aligned text, one line a row, a ruler below the heads."""
    cells = [HEADS, *(_cells(row) for row in rows)]
    widths = [max(len(line[column]) for line in cells) for column in range(len(HEADS) - 1)]
    lines = ["  ".join([*map(str.ljust, line[:-1], widths), line[-1]]).rstrip() for line in cells]
    return "\n".join([lines[0], "-" * len(lines[0]), *lines[1:]])


def _cells(row: Row) -> tuple[str, ...]:
    if row.failed:
        return (row.what, "-", "-", "-", "-", "not measured", row.failed)
    shown = {True: "pass", False: "MISSED", None: ""}[row.is_reached]
    reach = f"{row.reach.how} {_reach_text(row, row.reach)}" if row.reach else ""
    against = amount(median(row.against), row.unit) if row.against else ""
    ratio = "" if row.ratio is None else f"{row.ratio:.3f}"
    spread = [f"rounds {row.spread[0]:.2f}-{row.spread[1]:.2f}"] if row.spread else []
    return (
        row.what,
        amount(median(row.node), row.unit),
        against,
        ratio,
        reach,
        shown,
        "; ".join([*spread, *row.notes]),
    )


def _reach_text(row: Row, reach: Reach) -> str:
    return f"{reach.value:g}" if row.against else amount(reach.value, row.unit)
