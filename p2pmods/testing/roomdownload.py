"""What a node of a room has of one zip that it wants."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from p2pmods.directory.claimant import Claimant
    from p2pmods.directory.messages import Growing


@dataclass(slots=True)
class Download:
    """One claim of a node and what it has: `source` is a fetcher, a list of holders, or None for upstream."""

    claimant: Claimant
    began: float
    got: int = 0
    seen: int = 0  # of the present source
    received: int = 0  # of all of them
    last: float = -math.inf  # when bytes came
    source: Growing | list[str] | None = None
    pull_at: float = math.inf
    upstream_since: float = math.inf
    copies: int = 0  # downloads from upstream that were begun
    ended: float = math.inf
