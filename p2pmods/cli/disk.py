"""Looking into a data directory with no node running."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from p2pmods.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from p2pmods.store.store import Store


@contextlib.contextmanager
def opened_store(data: Path) -> Iterator[Store]:
    """The store of `data`. UserError when no node ever ran there: looking makes nothing."""
    from p2pmods.store.store import Store

    if not (data / "modules").is_dir():
        raise UserError(f"nothing is held yet: no node ever ran on {data}")
    store = Store.open(data)
    try:
        yield store
    finally:
        store.close()
