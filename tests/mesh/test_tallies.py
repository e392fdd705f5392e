"""What is remembered of peers is bounded, and sums stay right."""

from __future__ import annotations

from p2pmods.directory.messages import Holder
from p2pmods.gomod.module import FileKey, FileKind, ModuleVersion
from p2pmods.identity.key import node_id
from p2pmods.mesh import sightings, tallies
from p2pmods.mesh.sightings import Sighting, Sightings
from p2pmods.mesh.tallies import Tallies, Tally
from tests.mesh.world import KEYS

ANN, BOB = map(node_id, KEYS[:2])
ZIP = FileKey(ModuleVersion("example.com/a", "v1.0.0"), FileKind.ZIP)


def holder(node: str) -> Holder:
    return Holder(node, bytes(32), 5, 0)


def test_files_and_bytes_are_counted_by_peer_and_together() -> None:
    given = Tallies()
    given.add("ann", 10)
    given.add("ann", 5, files=1)
    given.add("bob", 7, files=2)
    assert given.of("ann") == Tally(1, 15)
    assert given.of("eve") == Tally()
    assert given.total == Tally(3, 22)


def test_who_was_idle_longest_is_forgotten_and_the_total_is_not() -> None:
    given = Tallies()
    for number in range(tallies.MAX_PEERS):
        given.add(f"n{number}", 1)
    given.add("n0", 1)
    given.add("one more", 1)
    assert given.of("n0") == Tally(0, 2)
    assert given.of("n1") == Tally()
    assert given.total.bytes == tallies.MAX_PEERS + 2


def test_the_last_holder_is_remembered_when_nobody_holds_it_any_more() -> None:
    seen = Sightings(lambda: 1000.0)
    seen.note(ZIP, [holder(ANN), holder(BOB)])
    seen.note(ZIP, [])
    assert seen.last(ZIP) == Sighting(ANN, 1000.0)


def test_no_more_files_are_remembered_than_there_is_room_for() -> None:
    seen = Sightings(lambda: 1000.0)
    for number in range(sightings.MAX_FILES + 1):
        seen.note(FileKey(ModuleVersion("example.com/a", f"v1.0.{number}"), FileKind.ZIP), [holder(ANN)])
    assert seen.last(ZIP) is None
