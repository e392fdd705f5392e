"""Lists from neighbours: versions that they deliver and the checksum database knows, when the upstream is away."""

from __future__ import annotations

from typing import TYPE_CHECKING

from p2pmods.gomod.module import ModuleVersion
from p2pmods.swarm.messages import Versions
from p2pmods.testing import upstream_faults as faults
from tests.world import WIDGET, Client, Room, World, wait_met, wait_offered

if TYPE_CHECKING:
    import pytest

    from p2pmods.mesh.listing import Versioning

LIST = "/example.org/acme/widget/@v/list"
NEXT = ModuleVersion(WIDGET.path, "v1.1.0")
INVENTED = "v9.0.0"


async def start_pair(world: World, room: Room) -> tuple[Client, Client]:
    """Ann has WIDGET; Bob has nothing; the upstream goes away."""
    world.publish()
    ann = await room.start("ann")
    for kind in ("info", "mod", "zip"):
        assert (await ann.file(WIDGET, kind)).status_code == 200
    await ann.wait_proven()
    bob = await room.start("bob", ann)
    await wait_met(ann, bob)
    await wait_offered(bob)
    world.upstream.fault("/@v/list", faults.status(500))
    world.upstream.fault("/@latest", faults.status(500))
    return ann, bob


async def test_a_list_is_made_of_what_neighbours_can_deliver(world: World, room: Room) -> None:
    _ann, bob = await start_pair(world, room)
    answer = await bob.get(LIST)
    assert (answer.status_code, answer.text) == (200, "v1.0.0\n")
    latest = await bob.get("/example.org/acme/widget/@latest")
    assert latest.json()["Version"] == "v1.0.0"


async def test_a_version_that_the_database_does_not_know_is_listed_by_nobody(
    world: World, room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def lie(self: Versioning, path: str) -> list[str]:
        return ["v1.0.0", INVENTED, "no version", "v2.0.0"]

    _ann, bob = await start_pair(world, room)
    monkeypatch.setattr("p2pmods.mesh.listing.Versioning.ask", lie)
    assert (await bob.get(LIST)).text == "v1.0.0\n"


async def test_what_is_not_proven_is_in_no_neighbours_list(world: World, room: Room) -> None:
    ann, bob = await start_pair(world, room)
    world.publish(NEXT, recorded=False)
    for kind in ("info", "mod", "zip"):
        assert (await ann.file(NEXT, kind)).status_code == 200
    # Bob may be home to its go.mod and so have seen it: then he refuses to name an older one as the newest.
    assert NEXT.version not in (await bob.get(LIST)).text.splitlines()


async def test_neighbours_are_not_asked_while_the_upstream_answers(world: World, room: Room) -> None:
    _ann, bob = await start_pair(world, room)
    world.upstream.behave()
    world.upstream.remove(WIDGET)
    assert (await bob.get(LIST)).text == ""


async def test_a_private_path_is_asked_of_no_neighbour(
    world: World, room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    async def note(self: Versioning, path: str) -> list[str]:
        asked.append(path)
        return []

    world.publish()
    ann = await room.start("ann")
    bob = await room.start("bob", ann, private="example.org/acme/*")
    await wait_met(ann, bob)
    world.upstream.fault("/@v/list", faults.status(500))
    monkeypatch.setattr("p2pmods.mesh.listing.Versioning.ask", note)
    assert (await bob.get(LIST)).status_code == 404
    assert asked == []


def test_the_longest_answer_fits_a_message() -> None:
    from p2pmods.swarm.messages import MAX_VERSION, MAX_VERSIONS
    from p2pmods.wire.codec import encode

    assert encode(Versions(("v" * MAX_VERSION,) * MAX_VERSIONS))
