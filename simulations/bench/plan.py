"""How much is done: rounds, sizes, deadlines. Two plans: the full one, and the quick one for CI."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Plan:
    """Rounds of each row; sizes in MB (of 10^6 bytes)."""

    quick: bool
    cold_rounds: int
    warm_rounds: int
    load_rounds: int
    load_seconds: float
    hash_rounds: int
    start_rounds: int
    large_mb: int = 40  # the zip of the throughput row, and the one that 64 clients want
    huge_mb: int = 400
    link_mb: int = 1000  # through one link
    link_trips: int = 5000  # small questions over one link
    download_deadline: float = 600.0
    proof_deadline: float = 180.0  # until nothing is unproven


FULL: Final = Plan(
    quick=False, cold_rounds=7, warm_rounds=5, load_rounds=5, load_seconds=3.0, hash_rounds=3, start_rounds=5
)
QUICK: Final = Plan(
    quick=True,
    cold_rounds=2,
    warm_rounds=3,
    load_rounds=2,
    load_seconds=0.5,
    hash_rounds=1,
    start_rounds=2,
    huge_mb=80,
    link_mb=100,
    link_trips=500,
    download_deadline=60.0,
    proof_deadline=30.0,
)
