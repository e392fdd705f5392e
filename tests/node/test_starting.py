"""A node can be told to stop at any moment, also while it starts."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest
import trio

from p2pmods.config import load_config
from p2pmods.node import NODE_FILE, run_node

if TYPE_CHECKING:
    from pathlib import Path

    from p2pmods.config import Config

MANY = 10_000  # steps, more than any start has
HANGS = 20.0  # seconds


class StopAt(trio.abc.Instrument):
    """Cancels `scope` before the step of that number; `steps` counts on."""

    def __init__(self, number: int) -> None:
        self.scope = trio.CancelScope()
        self.steps = 0
        self._number = number

    def before_task_step(self, _task: trio.lowlevel.Task) -> None:
        self.steps += 1
        if self.steps == self._number:
            self.scope.cancel()


def config_of(place: Path, *, mesh: bool) -> Config:
    flags = {
        "data": str(place / "data"),
        "listen": "127.0.0.1:0",
        "upstream": "off",
        "sumdb": "sum.golang.org",
        "private": "",
        "module_cache": "off",
        "mesh": mesh,
        "mdns": False,
        "peer_listen": "127.0.0.1:0",
        "swarm": f"starting:{'5a' * 32}",
    }
    return load_config(flags, {"P2PMODS_GOPATH": str(place / "gopath")}, lambda: None)


def start_and_stop(config: Config, stop: StopAt) -> list[BaseException | None]:
    """What came of it: an error or None, and nothing at all when it did not end."""
    ends: list[BaseException | None] = []

    async def main() -> None:
        with stop.scope:
            async with trio.open_nursery() as nursery:
                await nursery.start(run_node, config)
                nursery.cancel_scope.cancel()

    def run() -> None:
        try:
            trio.run(main, instruments=[stop])
        except BaseException as error:
            ends.append(error)
        else:
            ends.append(None)

    thread = threading.Thread(target=run, daemon=True)  # what is shielded for ever no deadline ends
    thread.start()
    thread.join(HANGS)
    return ends


@pytest.mark.parametrize("mesh", [False, True], ids=["alone", "in a mesh"])
def test_it_can_be_told_to_stop_at_any_moment_of_its_start(tmp_path: Path, mesh: bool) -> None:
    config = config_of(tmp_path, mesh=mesh)
    for number in range(1, MANY):
        stop = StopAt(number)
        assert start_and_stop(config, stop) == [None], number
        assert not (config.data / NODE_FILE).exists()
        if stop.steps < number:
            break
    assert 10 < number < MANY
