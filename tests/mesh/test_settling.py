"""When a node knows whether it is alone."""

from __future__ import annotations

from p2pmods.mesh.settling import Settling
from tests.mesh.people import ANN, BOB, EVE, node


def test_alone_half_a_second_after_the_process_began() -> None:
    settling = Settling(started=100.0)
    assert settling.at == 100.5
    assert settling.members == 0


def test_each_new_member_adds_half_a_second_and_an_old_one_none() -> None:
    settling = Settling(started=0.0)
    settling.met(ANN, now=0.4)
    assert settling.at == 0.9
    settling.met(ANN, now=0.8)
    assert settling.at == 0.9
    settling.met(BOB, now=0.8)
    assert settling.at == 1.3
    assert settling.members == 2


def test_two_seconds_at_most() -> None:
    settling = Settling(started=0.0)
    for n in range(100):
        settling.met(node(str(n)), now=n * 0.1)
    assert settling.at == 2.0
    assert settling.members == 20


def test_settled_once_settled_for_good() -> None:
    settling = Settling(started=0.0)
    settling.met(EVE, now=0.6)
    assert settling.at == 0.5
    assert settling.members == 0


def test_no_wait_where_none_is_wanted() -> None:
    settling = Settling(started=7.0, quiet=0.0)
    assert settling.at == 7.0
