"""No child of the benchmark outlives its deadline or its block."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import pytest

from simulations.bench.children import BenchFailed, Child

if TYPE_CHECKING:
    from pathlib import Path


def child(directory: Path, program: str, deadline: float = 30) -> Child:
    return Child([sys.executable, "-c", program], directory=directory, environ=os.environ, deadline=deadline)


def test_a_child_past_its_deadline_is_killed_and_that_is_said(tmp_path: Path) -> None:
    with (
        child(tmp_path, "import time; time.sleep(60)", deadline=0.5) as slow,
        pytest.raises(BenchFailed, match="not done"),
    ):
        slow.finish()


def test_leaving_the_block_ends_a_child_that_waits_for_ever(tmp_path: Path) -> None:
    with child(tmp_path, "print('ready here', flush=True); input()") as server:
        assert server.read_line("ready ") == "here"
    assert server.usage() is None


def test_a_failure_is_told_in_the_childs_last_words(tmp_path: Path) -> None:
    with (
        child(tmp_path, "raise SystemExit('no such module')") as broken,
        pytest.raises(BenchFailed, match="no such module"),
    ):
        broken.finish()


def test_a_child_that_ends_before_it_is_ready_is_a_failure(tmp_path: Path) -> None:
    with child(tmp_path, "print('hello')") as ended, pytest.raises(BenchFailed, match="exit status 0"):
        ended.read_line("ready ")


def test_a_child_that_is_gone_when_it_is_asked_is_a_failure(tmp_path: Path) -> None:
    with child(tmp_path, "raise SystemExit('no such module')") as gone:
        with pytest.raises(BenchFailed):
            gone.read_line("ready ")
        with pytest.raises(BenchFailed, match="no such module"):
            gone.write_line("tally")
