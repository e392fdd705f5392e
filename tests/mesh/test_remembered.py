"""Members that are remembered from one run to the next."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from p2pmods.errors import StoreError
from p2pmods.identity.records import Endpoint
from p2pmods.mesh import remembered as remembered_module
from p2pmods.mesh.remembered import MAX_MEMBERS, Member, RememberedMembers, keep
from p2pmods.store import fs
from p2pmods.wire.codec import encode_part
from tests.mesh.people import ANN, BOB, captured_log, node

if TYPE_CHECKING:
    from pathlib import Path

HERE, THERE = Endpoint("10.0.0.1", 4000), Endpoint("fd00::1", 4000)
MEMBERS = (Member(BOB, (HERE, THERE)), Member(ANN, (HERE,)))


@pytest.fixture
def data(tmp_path: Path) -> Path:
    (tmp_path / "tmp").mkdir()
    return tmp_path


def test_they_come_back_in_their_order(data: Path) -> None:
    RememberedMembers(data, "tag").write(MEMBERS)
    assert RememberedMembers(data, "tag").read() == MEMBERS
    assert not list((data / "tmp").iterdir())


def test_the_members_of_one_swarm_are_not_those_of_another(data: Path) -> None:
    RememberedMembers(data, "office").write(MEMBERS)
    assert RememberedMembers(data, "public").read() == ()
    assert "10.0.0.1" not in str([path.name for path in data.rglob("*")])


def test_nothing_is_remembered_at_first(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    logs = captured_log(monkeypatch, remembered_module)
    assert RememberedMembers(data, "tag").read() == ()
    assert logs == []


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff" * 100,
        b"\x91" * 70_000,
        encode_part(Member(ANN, (HERE,))),
        encode_part(Member(ANN, (HERE,)))[:-1],
    ],
    ids=["empty", "noise", "too long", "something else", "cut"],
)
def test_a_damaged_file_is_an_empty_one(data: Path, content: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    logs = captured_log(monkeypatch, remembered_module)
    remembered = RememberedMembers(data, "tag")
    remembered.write(MEMBERS)
    remembered.path.write_bytes(content)
    assert remembered.read() == ()
    assert [entry["log_level"] for entry in logs] == ["warning"]
    remembered.write(MEMBERS)
    assert remembered.read() == MEMBERS


def test_an_id_that_is_none_makes_a_damaged_file(data: Path) -> None:
    remembered = RememberedMembers(data, "tag")
    remembered.write(MEMBERS)
    remembered.path.write_bytes(remembered.path.read_bytes().replace(BOB.encode(), BOB.upper().encode()))
    assert remembered.read() == ()


def test_only_so_many_and_always_readable(data: Path) -> None:
    ends = tuple(Endpoint(f"2001:db8:1111:2222:3333:4444:5555:{n:04x}", 65535) for n in range(0x1111, 0x1119))
    many = [Member(node(str(n)), ends) for n in range(MAX_MEMBERS + 50)]
    RememberedMembers(data, "tag").write(many)
    assert RememberedMembers(data, "tag").read() == tuple(many[:MAX_MEMBERS])


def test_what_a_kill_left_behind_is_no_obstacle(data: Path) -> None:
    (data / "tmp" / "members.tag").write_bytes(b"half")
    RememberedMembers(data, "tag").write(MEMBERS)
    assert RememberedMembers(data, "tag").read() == MEMBERS


def test_a_disk_that_takes_nothing_is_one_line_in_the_log(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    remembered = RememberedMembers(data, "tag")
    remembered.write(MEMBERS)
    monkeypatch.setattr(fs, "create", full)
    with pytest.raises(StoreError, match="the disk is full"):
        remembered.write(())
    logs = captured_log(monkeypatch, remembered_module)
    keep(remembered, ())
    assert len(logs) == 1
    assert remembered.read() == MEMBERS


@pytest.mark.parametrize("tag", ["", "../x", "A", "a/b", "a" * 65])
def test_a_tag_is_a_file_name(data: Path, tag: str) -> None:
    with pytest.raises(ValueError, match="tag"):
        RememberedMembers(data, tag)
