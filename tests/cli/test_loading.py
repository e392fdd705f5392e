"""How a node is loaded."""

from __future__ import annotations

import gc

import pytest

from p2pmods.cli.loading import without_collector


def test_garbage_is_looked_for_again_when_all_is_loaded() -> None:
    try:
        with without_collector():
            assert not gc.isenabled()
        assert gc.isenabled()
        assert gc.get_freeze_count() > 0
        with pytest.raises(ImportError), without_collector():
            raise ImportError
        assert gc.isenabled()
    finally:
        gc.unfreeze()
