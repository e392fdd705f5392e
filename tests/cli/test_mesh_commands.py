"""The commands of the mesh, against real nodes in processes of their own that share on loopback."""

from __future__ import annotations

import json
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import trio

from p2pmods.cli.lease import _environment, node_command
from p2pmods.cli.livestatus import status_line
from p2pmods.cli.meshcmds import human_offered, human_peers
from p2pmods.testing import upstream_faults as faults
from tests.cli.world import COLOUR, GREET, World, read_until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

SECRET = "5a" * 32
MESHED: dict[str, Any] = {
    "P2PMODS_MESH": "on",
    "P2PMODS_PEER_LISTEN": "127.0.0.1:0",
    "P2PMODS_SWARM": f"tests:{SECRET}",
}


@pytest.fixture
async def world(home: Path) -> AsyncIterator[World]:
    world = World(home)
    async with world.upstream.running():
        yield world


class Room:
    """Nodes that know each other's addresses; each has a data directory of its own name."""

    def __init__(self, world: World) -> None:
        self.world = world

    def data(self, name: str) -> Path:
        return self.world.home / name

    def facts(self, name: str) -> dict[str, Any]:
        facts: dict[str, Any] = json.loads((self.data(name) / "node.json").read_text())
        return facts

    @contextmanager
    def up(self, name: str, *known: str, flags: tuple[str, ...] = ()) -> Iterator[list[str]]:
        """A node that runs while the block lasts; what it said at its start."""
        peers = [part for other in known for part in ("--peer", self.facts(other)["peer"])]
        with self.world.started("up", "--data", self.data(name), *peers, *flags, **MESHED) as process:
            yield read_until(process, "ready ")

    async def say(self, name: str, *command: str | Path) -> Any:
        """The JSON of a command for that node."""
        ended = await self.world.p2pmods(*command, "--json", "--data", self.data(name))
        assert ended.out, ended.err
        return json.loads(ended.out)

    async def told(self, name: str, *command: str | Path, status: int = 0) -> str:
        ended = await self.world.p2pmods(*command, "--data", self.data(name))
        assert ended.status == status, ended
        return ended.out + ended.err

    async def wait(self, name: str, command: str | tuple[str | Path, ...], condition: Any) -> Any:
        """Until the JSON of `command` is as wanted: another process's doing, of which no event tells."""
        command = (command,) if isinstance(command, str) else command
        with trio.fail_after(30):
            while not condition(report := await self.say(name, *command)):  # noqa: ASYNC110 - see above
                await trio.sleep(0.05)
        return report


@pytest.fixture
async def room(world: World) -> AsyncIterator[Room]:
    """Ann and bob have met."""
    room = Room(world)
    with room.up("ann"), room.up("bob", "ann"):
        for name in ("ann", "bob"):
            await room.wait(name, "peers", lambda report: [p["state"] for p in report["peers"]] == ["alive"])
        yield room


async def test_peers_shows_who_is_there_and_what_went_to_and_fro(room: Room) -> None:
    await room.told("ann", "get", str(GREET))
    await room.wait("ann", "offered", lambda report: len(report["files"]) == 2)
    got = await room.told("bob", "get", str(GREET))
    assert "1 peers · all proven" in got
    [ann] = (await room.say("bob", "peers"))["peers"]
    assert ann["node_id"] == room.facts("ann")["node_id"]
    assert ann["address"] == room.facts("ann")["peer"]
    assert (ann["swarm"], ann["state"]) == ("tests", "alive")
    assert ann["rtt_ms"] > 0
    zip_size = len(room.world.upstream.files["/example.com/greet/@v/v1.0.0.zip"])
    assert ann["received"]["bytes"] >= zip_size
    [bob] = (await room.say("ann", "peers"))["peers"]
    assert bob["given"]["files"] >= ann["received"]["files"] >= 1
    assert bob["given"]["bytes"] >= ann["received"]["bytes"]
    said = await room.told("bob", "peers")
    assert ann["node_id"][:8] in said
    assert ann["address"] in said


async def test_status_is_as_scripts_expect_it_and_tells_of_the_mesh(room: Room) -> None:
    report = await room.say("ann", "status")
    assert report["peer"] == room.facts("ann")["peer"]
    [bob] = report["peers"]
    assert bob.keys() == {"node_id", "address", "state", "swarm", "rtt_ms"}
    assert report["given"] == {"files": 0, "bytes": 0}
    assert report["mesh"]["state"] == "on"
    said = await room.told("ann", "status")
    assert "peers        1 there" in said
    assert SECRET not in said
    assert SECRET not in await room.told("ann", "status", "--json")


async def test_what_is_paused_is_neither_offered_nor_given_until_resumed(room: Room) -> None:
    await room.told("ann", "get", str(GREET))
    await room.wait("ann", "offered", lambda report: len(report["files"]) == 2)
    assert "paused" in await room.told("ann", "pause")
    await room.wait("ann", "offered", lambda report: not report["files"])
    assert (await room.say("ann", "status"))["mesh"]["state"] == "paused"
    assert "paused" in await room.told("ann", "status")
    assert "1 upstream" in await room.told("bob", "get", str(GREET))
    assert (await room.say("ann", "peers"))["peers"][0]["given"] == {"files": 0, "bytes": 0}
    assert "1 upstream" in await room.told("ann", "get", str(COLOUR)), "asking goes on; bob has it not"
    await room.told("ann", "resume")
    offered = await room.wait("ann", "offered", lambda report: len(report["files"]) == 4)
    assert {file["module"] for file in offered["files"]} == {GREET.path, COLOUR.path}


async def test_what_a_laptop_fetched_is_at_the_seed_when_the_laptop_and_the_upstream_are_gone(world: World) -> None:
    room = Room(world)
    with room.up("seed", flags=("--seed", "--disk-limit", "2GB")) as said:
        assert "0 modules, 0 B of the 2.0 GB that it may" in "\n".join(said)
        assert "seed          keeps copies of what others fetch" in "\n".join(said)
        with room.up("ann", "seed"):
            await room.wait("seed", "peers", lambda report: [p["state"] for p in report["peers"]] == ["alive"])
            assert "1 upstream" in await room.told("ann", "get", str(GREET))
            report = await room.wait("seed", "status", lambda report: report["mesh"]["seed"]["copied"] == 1)
            assert report["mesh"]["seed"] == {"copied": 1, "waiting": 0, "problem": None}
            assert "seed         1 module copied, 0 waiting" in await room.told("seed", "status")
            await room.wait("seed", "offered", lambda report: len(report["files"]) == 2)
        asked = list(world.upstream.requests)
        world.upstream.fault("", faults.status(500))
        with room.up("bob", "seed"):
            await room.wait("bob", "peers", lambda report: "alive" in [p["state"] for p in report["peers"]])
            assert "1 peers · all proven" in await room.told("bob", "get", str(GREET))
    assert sum(path.endswith("greet/@v/v1.0.0.zip") for path in asked) == 1
    assert (room.data("seed") / "seed.json").is_file()


async def test_check_tells_what_only_a_peer_holds_and_that_this_is_not_here(room: Room) -> None:
    project = room.world.project(GREET, COLOUR)
    await room.told("ann", "get", str(GREET))
    ann = room.facts("ann")["node_id"]
    report = await room.wait("bob", ("check", project), lambda report: report["peer"])
    assert report["peer"][-1] == f"{GREET}.zip"  # bob may have the .mod: as its home he gets it for ann
    assert report["nowhere"] == [f"{COLOUR}.mod", f"{COLOUR}.zip"]
    assert report["holders"][f"{GREET}.zip"] == [ann]
    assert report["builds"] is False
    said = await room.told("bob", "check", project, status=1)
    assert f"only on a peer  {GREET}.zip  held by {ann[:8]}" in said


async def test_the_source_of_a_peers_files_is_its_node_id(room: Room) -> None:
    await room.told("ann", "get", str(GREET))
    await room.wait("ann", "offered", lambda report: len(report["files"]) == 2)
    await room.told("bob", "get", str(GREET))
    ann = room.facts("ann")["node_id"]
    files = {file["name"]: file for file in (await room.say("bob", "why", str(GREET)))["files"]}
    assert files["zip"]["source"]["kind"] == "peer"
    assert files["zip"]["source"]["id"] == ann
    assert {item["kind"] for item in files["zip"]["evidence"]} == {"sumdb"}
    assert f"from    peer {ann}" in await room.told("bob", "why", str(GREET))


async def test_what_is_missing_names_who_held_it_last(world: World) -> None:
    room = Room(world)
    project = world.project(GREET)
    with room.up("bob"):
        with room.up("ann", "bob"):
            ann = room.facts("ann")["node_id"]
            await room.told("ann", "get", str(GREET))
            await room.wait("bob", ("check", project), lambda report: f"{GREET}.zip" in report["peer"])
        world.upstream.fault("/example.com/", faults.status(500))
        ended = await world.p2pmods("get", str(GREET), "--data", room.data("bob"))
    assert ended.status == 1
    assert f"last held by {ann[:8]}, seen " in ended.err


async def test_up_says_the_swarm_where_it_is_found_and_what_it_shares(world: World) -> None:
    room = Room(world)
    with room.up("ann"), room.up("bob", "ann") as lines:
        said = "\n".join(lines)
        peer = room.facts("bob")["peer"]
    assert "swarm         tests, whose members need its secret" in said
    assert f"found at      {peer} (TCP and UDP), and not by mDNS, which is off" in said
    assert "asked: whatever no private pattern matches" in said
    assert "offered: only what the checksum database proves" in said
    assert SECRET not in said


async def test_alone_off_and_without_a_node_are_three_clear_answers(world: World) -> None:
    room = Room(world)
    assert "no mesh: no node runs" in await room.told("ann", "peers")
    assert await room.say("ann", "peers") == {"mesh": {"state": "off", "problem": "no node runs"}, "peers": []}
    assert "no node runs" in await room.told("ann", "pause", status=1)
    assert "no node runs" in await room.told("ann", "offered", status=1)
    with room.up("ann"):
        assert "no other node is there" in await room.told("ann", "peers")
        assert "nothing is offered yet" in await room.told("ann", "offered")
    with world.started("up", "--data", room.data("ann")) as process:
        await trio.to_thread.run_sync(read_until, process, "ready ")
        assert "no mesh: switched off" in await room.told("ann", "peers")
        assert "nothing to pause" in await room.told("ann", "pause", status=1)
        assert (await room.say("ann", "status"))["peer"] is None


async def test_the_public_swarm_is_not_joined_with_another_checksum_database(world: World) -> None:
    ended = [line async for line in _start_lines(world, **{**MESHED, "P2PMODS_SWARM": "public"})]
    assert any("mesh          off (the public swarm has the public checksum database" in line for line in ended)


async def _start_lines(world: World, **env: Any) -> AsyncIterator[str]:
    with world.started("up", **env) as process:
        for line in await trio.to_thread.run_sync(read_until, process, "ready "):
            yield line


def test_a_started_nodes_command_line_holds_no_secret() -> None:
    flags = {"swarm": f"tests:{SECRET}", "offline": True, "mdns": None, "peers": ["127.0.0.1:1"]}
    assert SECRET not in " ".join(node_command(Path("data"), flags))
    assert _environment(flags)["P2PMODS_SWARM"] == f"tests:{SECRET}"


EVIL = "\x1b]0;owned\x07"


def mesh(**facts: Any) -> dict[str, Any]:
    """What a node of a swarm reports of it."""
    counts = {"files": 0, "bytes": 0}
    known = {"state": "on", "problem": None, "swarm": EVIL, "database": EVIL, "role": "leaf", "mdns": True}
    return {**known, "offered": 0, "given": counts, "given_now": 0, "received": counts, **facts}


def test_nothing_of_a_peer_reaches_the_terminal_as_it_is() -> None:
    counts = {"files": 1, "bytes": 1}
    peer = {"node_id": EVIL, "address": EVIL, "state": EVIL, "rtt_ms": None, "given": counts, "received": counts}
    file = {"module": EVIL, "version": "v1.0.0", "kind": "zip", "bytes": 5}
    said = [
        *human_peers({"mesh": mesh(), "peers": [peer, {**peer, "state": "dead", "rtt_ms": 1.0}]}, EVIL),
        *human_offered({"mesh": mesh(), "files": [file], "bytes": 5}),
        *human_peers({"mesh": {"state": "off", "problem": EVIL}, "peers": []}, None),
    ]
    assert "\x1b" not in "\n".join(said)


def test_what_is_not_offered_for_a_while_is_not_said_to_lack_a_proof() -> None:
    why = "the connection is metered"
    said = human_offered({"mesh": mesh(reluctance=why), "files": [], "bytes": 0})
    assert said == [f"nothing is offered now: {why}"]
    assert "has a proof" in human_offered({"mesh": mesh(reluctance=None), "files": [], "bytes": 0})[0]


def test_the_live_line_counts_the_peers_that_are_there() -> None:
    states = ("alive", "leaf", "dead")
    status = {
        "held": {"modules": 1, "bytes": 1, "unproven": 0},
        "traffic": {},
        "upstream": {"state": "online"},
        "peers": [{"state": state} for state in states],
        "mesh": mesh(state="paused"),
        "alarms": [],
    }
    assert "2 peers · giving is paused" in status_line(status)
    seed = {"copied": 120, "waiting": 3, "problem": EVIL}
    line = status_line({**status, "mesh": mesh(seed=seed)})
    assert "seed: 120 modules copied, 3 waiting; copies nothing now: " in line
    assert "\x1b" not in line
