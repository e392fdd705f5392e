"""Work that outlives the cancellation of who began it, and is ended in good order."""

from __future__ import annotations

import math

import trio


def shield(scope: trio.CancelScope) -> None:
    """Let only `scope` itself end what runs in it, unless the calling task is cancelled already.

    Then whoever would end it never gets to know of it.
    """
    scope.shield = trio.current_effective_deadline() > -math.inf
