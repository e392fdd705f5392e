"""Real nodes on this machine: what one has, the others get, with its proof, and never what is private or unproven."""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

import httpx
import pytest
import trio

from p2pmods.directory import coldstart, patience
from p2pmods.directory.rendezvous import homes
from p2pmods.fetch.proofs import Proofs
from p2pmods.gomod.info import Info
from p2pmods.gomod.module import FileKey, FileKind, ModuleVersion
from p2pmods.mesh.interfaces import look_around
from p2pmods.mesh.kinds import Kind
from p2pmods.mesh.wake import MachineWatch
from p2pmods.node import meshing
from p2pmods.testing import upstream_faults as faults
from tests.world import SWARM, WIDGET, Client, Room, World, noise, wait_met, wait_offered

if TYPE_CHECKING:
    from p2pmods.config.values import Address
    from p2pmods.mesh.interfaces import Presence
    from p2pmods.trust.files import Statement

KINDS = ("info", "mod", "zip")


async def start_pair(room: Room, *, proven: bool = True) -> tuple[Client, Client]:
    """Ann, who has WIDGET, and Bob, who came later and has met her."""
    ann = await room.start("ann")
    await download(ann)
    if proven:
        await ann.wait_proven()
    bob = await room.start("bob", ann)
    await wait_met(ann, bob)
    if proven:
        await wait_offered(bob)
    return ann, bob


async def download(client: Client, module: ModuleVersion = WIDGET) -> dict[str, str]:
    """Get all three files as go does; where each came from."""
    found = {}
    for kind in KINDS:
        answer = await client.file(module, kind)
        assert answer.status_code == 200, answer.text
        found[kind] = answer.headers["P2pmods-Source"]
    return found


FROM_PEERS = dict.fromkeys(KINDS, "peer")


def files_asked(world: World, module: ModuleVersion = WIDGET) -> list[str]:
    """What the upstream was asked for of this module version."""
    stem = f"/{FileKey(module, FileKind.ZIP).url_path}".removesuffix("zip")
    return [path for path in world.upstream.requests if path.startswith(stem)]


async def test_the_second_node_gets_everything_from_the_first_and_nothing_from_upstream(
    world: World, room: Room
) -> None:
    world.publish()
    _ann, bob = await start_pair(room)
    asked = files_asked(world)
    assert await download(bob) == FROM_PEERS
    assert files_asked(world) == asked
    assert (await bob.file(WIDGET, "zip")).content == world.zips[WIDGET]


async def test_why_names_the_peer_and_the_proof(world: World, room: Room) -> None:
    world.publish()
    ann, bob = await start_pair(room)
    await download(bob)
    why = await bob.why(WIDGET)
    assert {file["name"] for file in why["files"]} == set(KINDS)
    for file in why["files"]:
        assert (file["source"]["kind"], file["source"]["id"]) == ("peer", ann.node.node_id)
    evidence = {file["name"]: [item["kind"] for item in file["evidence"]] for file in why["files"]}
    assert evidence == {"info": ["peer"], "mod": ["sumdb"], "zip": ["sumdb"]}


async def test_of_an_info_only_version_and_time_travel(world: World, room: Room) -> None:
    world.publish()
    origin = {"VCS": "git", "URL": "https://ann:secret@example.org/acme/widget"}
    info = Info(WIDGET.version, "2024-01-02T03:04:05Z", origin)
    world.upstream.add(WIDGET, world.zips[WIDGET], info=info)
    ann, bob = await start_pair(room)
    assert "Origin" in (await ann.file(WIDGET, "info")).json()
    assert (await bob.file(WIDGET, "info")).json() == {"Version": "v1.0.0", "Time": "2024-01-02T03:04:05Z"}


async def test_with_everything_outside_gone_the_second_node_is_served_with_its_proof(
    world: World, room: Room
) -> None:
    world.publish()
    _ann, bob = await start_pair(room)
    world.upstream.fault("", faults.status(503))
    assert await download(bob) == FROM_PEERS
    assert (await bob.status())["held"]["unproven"] == 0
    sumdb = f"/sumdb/{world.log.name}"
    lookup = await bob.get(f"{sumdb}/lookup/{WIDGET}")
    assert lookup.status_code == 200
    assert f"{WIDGET.path} {WIDGET.version} h1:" in lookup.text
    assert (await bob.get(f"{sumdb}/supported")).status_code == 200


async def test_a_proof_that_takes_its_time_does_not_drive_anyone_upstream(
    world: World, room: Room, hasty: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.publish()
    _ann, bob = await start_pair(room)
    world.upstream.fault("", faults.status(503))
    statements = Proofs.statements

    async def slow_statements(self: Proofs, key: FileKey, *, is_needed: bool = False) -> list[Statement]:
        await trio.sleep(2 * patience.SILENCE)
        return await statements(self, key, is_needed=is_needed)

    monkeypatch.setattr(Proofs, "statements", slow_statements)
    assert await download(bob) == FROM_PEERS


async def test_a_lookup_that_nobody_asked_for_before_passes_offline_from_a_peer(world: World, room: Room) -> None:
    world.publish()
    _ann, bob = await start_pair(room)
    world.upstream.fault("", faults.status(503))
    lookup = await bob.get(f"/sumdb/{world.log.name}/lookup/{WIDGET}")
    assert lookup.status_code == 200
    assert f"{WIDGET.path} {WIDGET.version} h1:" in lookup.text


async def test_what_the_second_has_from_the_first_the_third_has_from_the_second(world: World, room: Room) -> None:
    world.publish()
    ann, bob = await start_pair(room)
    await download(bob)
    cat = await room.start("cat", bob)
    await wait_met(bob, cat)
    await room.stop(ann)
    await wait_offered(cat)
    world.upstream.fault("", faults.status(503))
    assert await download(cat) == FROM_PEERS
    sources = {file["source"]["id"] for file in (await cat.why(WIDGET))["files"]}
    assert sources == {bob.node.node_id}


async def test_a_node_with_another_swarms_secret_is_a_stranger(world: World, room: Room) -> None:
    world.publish()
    ann = await room.start("ann")
    await download(ann)
    await ann.wait_proven()
    eve = await room.start("eve", ann, swarm=f"tests:{'66' * 32}")
    assert await download(eve) == dict.fromkeys(KINDS, "upstream")
    assert (await ann.status())["peers"] == []


async def test_a_node_without_a_checksum_database_is_in_no_swarm(world: World, room: Room) -> None:
    world.publish()
    ann = await room.start("ann")
    await download(ann)
    off = await room.start("off", ann, sumdb="off")
    assert await download(off) == dict.fromkeys(KINDS, "upstream")
    assert (await off.status())["peers"] == []
    assert (await ann.status())["peers"] == []


async def test_a_node_alone_works_as_without_a_mesh(world: World, room: Room) -> None:
    world.publish()
    ann = await room.start("ann")
    assert await download(ann) == dict.fromkeys(KINDS, "upstream")
    assert len(files_asked(world)) == 3


# Who may have what.


async def test_what_the_database_does_not_list_is_given_to_nobody(world: World, room: Room) -> None:
    world.publish(recorded=False)
    _, bob = await start_pair(room, proven=False)
    assert await download(bob) == dict.fromkeys(KINDS, "upstream")


async def test_what_is_not_proven_yet_is_given_to_nobody(world: World, room: Room) -> None:
    world.publish()
    world.upstream.fault("/sumdb/", faults.status(503))
    ann, bob = await start_pair(room, proven=False)
    assert (await ann.status())["held"]["unproven"] == 2
    assert await download(bob) == dict.fromkeys(KINDS, "upstream")


# Many want the same at once.


async def start_room(room: Room, count: int) -> list[Client]:
    nodes = [await room.start("n0")]
    for number in range(1, count):
        nodes.append(await room.start(f"n{number}", nodes[0]))
    await wait_met(*nodes)
    return nodes


async def fetch_all(nodes: list[Client], module: ModuleVersion = WIDGET) -> list[str]:
    """All ask for the zip in the same moment; where each got it."""
    sources: dict[int, str] = {}

    async def fetch(number: int, node: Client) -> None:
        answer = await node.file(module, "zip")
        assert answer.status_code == 200, answer.text
        sources[number] = answer.headers["P2pmods-Source"]

    async with trio.open_nursery() as nursery:
        for number, node in enumerate(nodes):
            nursery.start_soon(fetch, number, node)
    return [sources[number] for number in range(len(nodes))]


async def test_five_nodes_that_want_the_same_zip_cause_one_upstream_request(world: World, room: Room) -> None:
    world.publish()
    nodes = await start_room(room, 5)
    sources = await fetch_all(nodes)
    assert sorted(sources) == ["peer"] * 4 + ["upstream"]
    assert world.asked("v1.0.0.zip") == 1


async def test_nodes_that_have_just_started_meet_before_they_go_upstream(
    world: World, room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(coldstart, "LONGEST", 15.0)
    monkeypatch.setattr(coldstart, "QUIET", 1.5)
    monkeypatch.setattr(meshing, "BEGAN", time.monotonic())
    world.publish()
    ann = await room.start("ann")
    bob = await room.start("bob", ann)
    assert sorted(await fetch_all([ann, bob])) == ["peer", "upstream"]


def look_elsewhere(listen: Address | None, port: int) -> tuple[Presence, int]:
    """The same addresses, at interfaces that were not there before."""
    here, flags = look_around(listen, port)
    return replace(here, kinds=frozenset({Kind.WIFI}), interfaces=()), flags


async def test_who_wants_something_when_its_network_changes_gets_it_from_the_one_it_meets_again(
    world: World, room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    changes = []
    run = MachineWatch.run

    async def run_and_be_seen(self: MachineWatch) -> None:
        changes.append(self._on_change)
        await run(self)

    monkeypatch.setattr(MachineWatch, "run", run_and_be_seen)
    monkeypatch.setattr(coldstart, "LONGEST", 0.0)
    world.publish()
    _ann, bob = await start_pair(room)
    monkeypatch.setattr(coldstart, "LONGEST", 15.0)
    monkeypatch.setattr(coldstart, "QUIET", 1.5)
    asked = files_asked(world)
    start = trio.current_time()
    monkeypatch.setattr("p2pmods.mesh.mesh.look_around", look_elsewhere)
    changes[-1]()
    assert await download(bob) == FROM_PEERS
    assert trio.current_time() - start >= 1.5  # whatever is met meanwhile
    assert files_asked(world) == asked


async def test_who_waits_receives_while_the_bytes_still_arrive(world: World, room: Room) -> None:
    world.publish(text=noise(400_000))
    size = len(world.zips[WIDGET])
    nodes = await start_room(room, 4)
    world.upstream.fault("v1.0.0.zip", faults.trickle(size // 20, 0.05))
    start = trio.current_time()
    sources = await fetch_all(nodes)
    assert sorted(sources) == ["peer"] * 3 + ["upstream"]
    assert world.asked("v1.0.0.zip") == 1
    assert trio.current_time() - start < 10  # the waiters' own patience would have cost more


@pytest.mark.parametrize("is_home", [False, True], ids=["a claimant", "the home itself"])
async def test_a_fetcher_that_stops_midway_costs_the_others_one_more_request(
    world: World, room: Room, *, is_home: bool
) -> None:
    world.publish(text=noise(400_000))
    nodes = await start_room(room, 4)
    home = home_of(WIDGET, nodes)
    nodes = sorted(nodes, key=lambda node: (node is home) is not is_home)
    begun = trio.Event()

    async def stall(exchange: faults.Exchange) -> None:
        begun.set()
        await faults.stall(100_000)(exchange)

    world.upstream.fault("v1.0.0.zip", stall, times=1)
    async with trio.open_nursery() as nursery:
        fetcher = nodes[0]
        nursery.start_soon(ask_in_vain, fetcher)
        await begun.wait()
        nursery.start_soon(room.stop, fetcher)
        sources = await fetch_all(nodes[1:])
    check_taken_over(world, sources)


async def test_while_the_upstream_wants_a_pause_the_others_do_not_go_there_too(
    world: World, room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(patience, "CONFIRMED", 0.3)  # shorter than the pause, or nobody would lose patience
    world.publish()
    world.upstream.fault("v1.0.0.zip", faults.status(429, retry_after="5"), times=1)
    nodes = await start_room(room, 3)
    assert sorted(await fetch_all(nodes)) == ["peer", "peer", "upstream"]
    assert world.asked("v1.0.0.zip") == 2  # the refused one, and the same again


def check_taken_over(world: World, sources: list[str]) -> None:
    """Everybody has it, and one more has fetched it."""
    assert sorted(sources) == ["peer"] * (len(sources) - 1) + ["upstream"]
    assert world.asked("v1.0.0.zip") == 2


def home_of(module: ModuleVersion, nodes: list[Client]) -> Client:
    """Who is asked first for this zip."""
    best = homes(SWARM.object_key(module), [node.node.node_id for node in nodes])[0]
    return next(node for node in nodes if node.node.node_id == best)


async def ask_in_vain(node: Client) -> None:
    """The node goes away before it has answered, or says that it stops."""
    with suppress(httpx.TransportError):
        await node.file(WIDGET, "zip")


async def test_a_home_that_stopped_costs_nobody_the_zip(world: World, room: Room) -> None:
    world.publish()
    nodes = await start_room(room, 3)
    home = home_of(WIDGET, nodes)
    rest = [node for node in nodes if node is not home]
    await room.stop(home)
    sources = await fetch_all(rest)
    assert sorted(sources) == ["peer", "upstream"]
    assert world.asked("v1.0.0.zip") == 1


async def test_when_the_fetchers_upstream_fails_every_node_says_so_and_goes_on(world: World, room: Room) -> None:
    world.publish()
    nodes = await start_room(room, 2)
    world.upstream.fault("v1.0.0.zip", faults.status(404))
    for node in nodes:
        answer = await node.file(WIDGET, "zip")
        assert answer.status_code == 404, answer.text
        assert "p2pmods: example.org/acme/widget" in answer.text
    other = world.publish(ModuleVersion("example.org/acme/gadget", "v1.1.0"))
    assert sorted(await fetch_all(nodes, other)) == ["peer", "upstream"]
