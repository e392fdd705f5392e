"""Loading what a node is made of."""

from __future__ import annotations

import gc
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def without_collector() -> Iterator[None]:
    """Nobody looks for garbage while the block runs, nor later among what it made: modules stay.

    Loading makes some hundred thousand objects, and looking through them again and again is 7 % of its time.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
