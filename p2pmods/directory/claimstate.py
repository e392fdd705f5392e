"""What a claim is about."""

from __future__ import annotations

from enum import Enum, auto
from typing import Final


class State(Enum):
    """Of a claim."""

    SETTLING = auto()  # the node has just started, or its network changed
    ASKING = auto()  # there is no source yet
    RECEIVING = auto()  # from providers, or from a fetcher
    FETCHING = auto()  # upstream, for all
    DELAYED = auto()  # about to go upstream, one of a crowd
    ALONE = auto()  # upstream, for this node
    ENDED = auto()


UNDECIDED: Final = (State.SETTLING, State.ASKING, State.RECEIVING, State.DELAYED)
