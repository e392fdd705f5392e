"""Without internet a node gets its proofs from peers, and believes nothing of what they send before it is proven."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

import pytest
import trio
import trio.testing

from p2pmods.errors import NotFound, PeerError, SumdbError, SumdbSecurityError, Unavailable
from p2pmods.fetch import checksum_peers, checksum_serving, checksum_sources
from p2pmods.fetch.checksum_database import DatabaseChecksums
from p2pmods.fetch.checksum_peers import levels_wanted
from p2pmods.fetch.checksums import NoChecksums, PeerHead
from p2pmods.fetch.proofs import statement_for
from p2pmods.gomod.module import FileKey, FileKind, ModuleVersion
from p2pmods.sumdb.note import make_signer
from p2pmods.sumdb.records import lookup_path
from p2pmods.sumdb.tlog import Tree, format_tree
from p2pmods.testing.sumdb import ForkableLog
from p2pmods.trust.evidence import SumdbProof
from p2pmods.wire.codec import encode, evolve
from p2pmods.wire.proofs import (
    AskHead,
    AskRecord,
    AskTile,
    HeadBundle,
    NotHeld,
    RecordBundle,
    TileBytes,
    TileHashes,
)
from tests.fetch.checksums.room import Room
from tests.fetch.checksums.world import H1, TOML, LogSource, file_client, go_client

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from p2pmods.fetch.checksum_log import CheckedLog
    from p2pmods.sumdb.tiles import Position
    from tests.fetch.checksums.room import Lie

OTHER = ModuleVersion("example.com/filler", "v0.299.0")  # the record before TOML's


@dataclass
class Pair:
    """`giver` had internet, and proved TOML; `asker` has none. Both have their own directory."""

    room: Room
    giver: DatabaseChecksums
    asker: DatabaseChecksums
    offline: LogSource
    data: Path


@pytest.fixture
async def pair(log: ForkableLog, tmp_path: Path) -> AsyncIterator[Pair]:
    room, offline = Room(), LogSource(log, online=False)
    async with (
        room.open("giver", tmp_path / "giver", LogSource(log)) as giver,
        room.open("asker", tmp_path / "asker", offline) as asker,
    ):
        await giver.prove(TOML)
        yield Pair(room, giver, asker, offline, tmp_path / "asker")


def assert_nothing_but_the_truth(data: Path, log: ForkableLog) -> None:
    """Of a liar's answer only the true parts may stay: tiles of the log and its heads. It has no record to keep."""
    public = data / "modules" / "sumdb" / log.name
    for path in (public / "tile").rglob("*"):
        if path.is_file():
            assert path.read_bytes() == log.answer(path.relative_to(public).as_posix())[1]
    assert not list((public / "lookup").rglob("*"))
    if (public / "latest").exists():
        assert (public / "latest").read_bytes() == log.head()
        assert not list((data / "evidence").rglob("*"))


def files_of(data: Path) -> dict[str, bytes]:
    return {str(path.relative_to(data)): path.read_bytes() for path in data.rglob("*") if path.is_file()}


async def online(pair: Pair, module: ModuleVersion) -> None:
    """The asker has internet for one moment."""
    pair.offline.online = True
    await pair.asker.prove(module)
    pair.offline.online = False


async def test_a_node_that_never_had_internet_proves_what_a_peer_proved(pair: Pair) -> None:
    proof = await pair.asker.prove(TOML)
    assert (proof.zip_h1, proof.record_id, proof.tree) == (H1, 300, 601)
    assert not pair.offline.requests
    pair.room.away.add("giver")
    client = go_client(pair.asker, pair.offline.log.verifier_key)
    assert await client.lookup(lookup_path(TOML))
    assert await file_client(pair.data, pair.offline.log).lookup(lookup_path(TOML))


async def test_a_cold_node_needs_one_question(pair: Pair) -> None:
    await pair.asker.prove(TOML)
    assert [type(question) for question in pair.room.questions] == [AskRecord]


async def test_a_node_with_a_head_is_sent_only_the_tiles_that_it_may_lack(pair: Pair) -> None:
    pair.offline.online = True
    await pair.asker.supported()
    pair.offline.online = False
    await pair.asker.prove(TOML)
    (question,) = pair.room.questions
    assert isinstance(question, AskRecord)
    assert (question.size, question.levels) == (601, 1)
    answer = pair.giver.reply(question)
    assert isinstance(answer, RecordBundle)
    assert [tile.tile.path for tile in answer.tiles] == ["8/0/001"]


async def test_upstream_is_asked_first_and_then_nobody(pair: Pair) -> None:
    pair.offline.online = True
    await pair.asker.prove(TOML)
    assert not pair.room.questions
    with pytest.raises(NotFound):
        await pair.asker.prove(ModuleVersion("example.com/unknown", "v1.0.0"))
    assert not pair.room.questions


async def test_an_upstream_that_talks_nonsense_is_no_reason_to_fail(pair: Pair) -> None:
    pair.offline.online = True
    pair.offline.log.replace("", b"<!doctype html>")
    assert (await pair.asker.prove(TOML)).zip_h1 == H1


async def test_an_upstream_that_shows_a_fork_is_the_end_and_no_peer_is_asked(pair: Pair, log: ForkableLog) -> None:
    await online(pair, OTHER)
    pair.offline.log = log.fork(400)
    newest = pair.offline.log.grow(400)[-1]
    pair.offline.online = True
    with pytest.raises(SumdbSecurityError, match="does not contain"):
        await pair.asker.prove(newest)
    assert not pair.room.questions
    assert len(pair.room.alarms) == 1


async def test_what_nobody_has_fails_with_the_reason_of_the_upstream(pair: Pair) -> None:
    with pytest.raises(Unavailable, match=r"offline; no help from peers \(1 asked\)"):
        await pair.asker.prove(OTHER)
    assert not pair.room.blamed  # to have nothing is no fault


async def test_a_private_path_is_not_named_to_peers_and_nothing_is_said_of_it(
    log: ForkableLog, tmp_path: Path
) -> None:
    room = Room()
    async with (
        room.open("giver", tmp_path / "giver", LogSource(log), private=TOML.path) as giver,
        room.open("asker", tmp_path / "asker", LogSource(log, online=False), private=TOML.path) as asker,
    ):
        await giver.prove(TOML)
        with pytest.raises(Unavailable, match="offline"):
            await asker.prove(TOML)
        assert not room.questions
        assert giver.reply(AskRecord(log.name, TOML.path, TOML.version, 0, 8)) == NotHeld()


async def test_the_other_nodes_database_is_not_ours(pair: Pair) -> None:
    for question in (
        AskRecord("sum.example.com", TOML.path, TOML.version, 0, 8),
        AskTile("sum.example.com", 0, 1, 256),
        AskHead("sum.example.com", None),
    ):
        assert pair.giver.reply(question) == NotHeld()


async def test_a_node_without_a_head_has_nothing_to_say(pair: Pair) -> None:
    assert pair.asker.reply(AskHead(pair.asker.name, 0)) == NotHeld()
    assert NoChecksums().reply(AskHead(pair.asker.name, 0)) == NotHeld()
    assert await NoChecksums().note_peer_head(b"", "giver") == PeerHead.LATER
    with pytest.raises(Unavailable, match="GOSUMDB"):
        await NoChecksums().receive(TOML, RecordBundle(0, b"", b"", ()), "giver")


async def test_replies_cost_the_upstream_nothing(pair: Pair, log: ForkableLog) -> None:
    asked = list(log.requests)
    pair.giver.reply(AskRecord(log.name, OTHER.path, OTHER.version, 601, 8))
    pair.giver.reply(AskTile(log.name, 0, 0, 256))
    pair.giver.reply(AskHead(log.name, 1))
    assert log.requests == asked


@pytest.mark.parametrize(
    ("tile", "held"),
    [
        ((0, 1, 256), True),
        ((0, 1, 3), True),
        ((0, 2, 89), True),
        ((0, 2, 90), False),  # not yet
        ((0, 0, 256), False),  # never fetched
        ((1, 0, 2), True),
        ((7, 0, 1), False),
        ((0, (1 << 63) - 1, 256), False),
    ],
)
async def test_tiles_are_given_at_every_width_that_is_held(
    pair: Pair, log: ForkableLog, tile: tuple[int, int, int], *, held: bool
) -> None:
    question = AskTile(log.name, *tile)
    expected = TileBytes(log.tile(question.tile)) if held else NotHeld()
    assert pair.giver.reply(question) == expected


async def test_the_head_alone_costs_no_tiles(pair: Pair, log: ForkableLog) -> None:
    assert pair.giver.reply(AskHead(log.name, None)) == HeadBundle(log.head(), ())
    assert pair.giver.reply(AskHead(log.name, 1 << 62)) == HeadBundle(log.head(), ())
    led = pair.giver.reply(AskHead(log.name, 300))
    assert isinstance(led, HeadBundle)
    assert {tile.tile.path for tile in led.tiles} == {"8/0/001", "8/0/002.p/89", "8/1/000.p/2"}


async def test_a_record_comes_cut_to_the_askers_tree(pair: Pair, log: ForkableLog) -> None:
    answer = pair.giver.reply(AskRecord(log.name, TOML.path, TOML.version, 400, 8))
    assert isinstance(answer, RecordBundle)
    assert [tile.tile.path for tile in answer.tiles] == ["8/0/001.p/144", "8/1/000.p/1"]


async def test_a_record_inside_the_held_tree_does_not_move_it(pair: Pair, log: ForkableLog) -> None:
    await online(pair, OTHER)
    log.grow(300)
    newest = log.grow(1)[0]
    await pair.giver.prove(newest)
    assert (await pair.asker.prove(TOML)).tree == 601


async def test_nodes_that_met_online_lead_each_other_forward_offline(pair: Pair, log: ForkableLog) -> None:
    middle = log.grow(249)[-1]
    await online(pair, middle)
    newest = log.grow(550)[-1]
    await pair.giver.prove(newest)
    with pytest.raises(Unavailable):  # the giver came from 601, and holds nothing that leads from 850 to 1400
        await pair.asker.prove(newest)
    assert not pair.room.blamed
    assert await pair.giver.note_peer_head(await pair.asker.latest(), "asker") == PeerHead.JOINED
    assert (await pair.asker.prove(newest)).tree == 1400
    pair.room.away.add("giver")
    for head in (b"", log.head(850), log.head()):
        for module in (middle, newest):
            client = go_client(pair.asker, log.verifier_key)
            client.latest = head
            assert await client.lookup(lookup_path(module))


async def test_a_local_clients_newer_head_is_joined_with_a_peers_tiles(log: ForkableLog, tmp_path: Path) -> None:
    room, offline = Room(), LogSource(log)
    async with (
        room.open("giver", tmp_path / "giver", LogSource(log)) as giver,
        room.open("asker", tmp_path / "asker", offline, gopath=tmp_path / "gopath") as asker,
    ):
        await asker.prove(TOML)
        log.grow(20)
        await giver.prove(log.grow(1)[0])
        offline.online = False
        latest = tmp_path / "gopath" / "pkg" / "sumdb" / log.name / "latest"
        latest.parent.mkdir(parents=True)
        latest.write_bytes(log.head())
        await asker.follow_clients()
        assert asker.statistics().tree_size == 622
        assert asker.statistics().problem is None


async def test_supported_is_said_with_a_head_from_a_peer(pair: Pair) -> None:
    await pair.asker.supported()
    assert pair.asker.statistics().tree_size == 601


async def test_a_lost_tile_is_healed_by_a_peer(pair: Pair, log: ForkableLog, tmp_path: Path) -> None:
    await pair.asker.prove(TOML)
    tile = pair.data / "modules" / "sumdb" / log.name / "tile" / "8" / "0" / "001"
    tile.write_bytes(b"\0" * 8192)
    async with pair.room.open("again", pair.data, pair.offline) as again:
        assert again.held_proof(TOML) is None
        assert await again.tile("8/0/001") == log.answer("tile/8/0/001")[1]
    assert tile.read_bytes() == log.answer("tile/8/0/001")[1]


async def test_what_does_not_fit_into_one_message_is_asked_for_by_the_tile(
    pair: Pair, log: ForkableLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checksum_serving, "MAX_MESSAGE", 9_000)
    assert len(encode(bundle_of(pair))) <= 9_000
    assert (await pair.asker.prove(TOML)).zip_h1 == H1
    assert AskTile in {type(question) for question in pair.room.questions}


async def test_a_note_too_long_for_a_message_is_kept_to_oneself(log: ForkableLog, tmp_path: Path) -> None:
    signatures = ("— witness " + "QUFB" * 50 + "\n").encode() * 90
    for endpoint in ("latest", "lookup/"):
        log.change(endpoint, lambda answer: (answer[0], answer[1] + signatures))
    room = Room()
    async with room.open("giver", tmp_path, LogSource(log)) as giver:
        await giver.prove(TOML)
        assert giver.reply(AskHead(log.name, None)) == NotHeld()
        assert giver.reply(AskRecord(log.name, TOML.path, TOML.version, 0, 8)) == NotHeld()


async def test_a_record_too_long_for_a_message_is_kept_to_oneself(log: ForkableLog, tmp_path: Path) -> None:
    wordy = ModuleVersion("example.com/wordy", "v1.0.0")
    lines = [f"{wordy.path} {wordy.version} h{number}:{'A' * 43}=\n" for number in range(1, 200)]
    log.add_text(wordy, "".join(lines).encode())
    room = Room()
    async with room.open("giver", tmp_path, LogSource(log)) as giver:
        await giver.prove(wordy)
        assert giver.reply(AskRecord(log.name, wordy.path, wordy.version, 0, 8)) == NotHeld()


async def test_a_name_too_long_for_a_message_is_not_asked_for(pair: Pair) -> None:
    long = ModuleVersion("example.com/" + "/".join(["x" * 200] * 30), "v1.0.0")
    with pytest.raises(Unavailable):
        await pair.asker.prove(long)
    assert not pair.room.questions
    assert not pair.room.blamed


# What travels beside a file.


def bundle_of(pair: Pair, size: int = 0) -> RecordBundle:
    answer = pair.giver.reply(AskRecord(pair.giver.name, TOML.path, TOML.version, size, 8))
    assert isinstance(answer, RecordBundle)
    return answer


async def test_a_bundle_that_came_with_a_file_is_its_evidence_and_is_kept(pair: Pair) -> None:
    proof = await pair.asker.receive(TOML, bundle_of(pair), "giver")
    statement = statement_for(FileKey(TOML, FileKind.ZIP), proof)
    assert statement is not None
    assert statement.h1 == H1
    assert statement.evidence == SumdbProof(pair.giver.name, 300, 601)
    assert not pair.room.questions  # all of it came along
    assert pair.asker.held_proof(TOML) == proof
    pair.room.away.add("giver")
    assert await go_client(pair.asker, pair.offline.log.verifier_key).lookup(lookup_path(TOML))


async def test_what_a_bundle_lacks_is_asked_of_the_same_peer(pair: Pair) -> None:
    bundle = evolve(bundle_of(pair), tiles=())
    assert (await pair.asker.receive(TOML, bundle, "giver")).zip_h1 == H1
    assert {type(question) for question in pair.room.questions} == {AskTile}


async def test_what_is_held_is_not_proven_again(pair: Pair) -> None:
    await pair.asker.prove(TOML)
    bundle = RecordBundle(0, b"nonsense", b"", ())
    assert (await pair.asker.receive(TOML, bundle, "giver")).zip_h1 == H1


# Liars.


def in_bundles(change: Callable[[RecordBundle], RecordBundle | NotHeld]) -> Lie:
    return lambda _, answer: change(answer) if isinstance(answer, RecordBundle) else answer


def in_tiles(where: Callable[[TileHashes], bool], change: Callable[[bytes], bytes]) -> Lie:
    """Changes the tiles of bundles and those that are asked for one by one alike."""

    def lie(question: Any, answer: Any) -> object:
        if isinstance(answer, TileBytes):
            asked = TileHashes(question.level, question.index, answer.hashes)
            return TileBytes(change(answer.hashes)) if where(asked) else answer
        if isinstance(answer, RecordBundle | HeadBundle):
            tiles = [
                TileHashes(tile.level, tile.index, change(tile.hashes)) if where(tile) else tile
                for tile in answer.tiles
            ]
            return evolve(answer, tiles=tuple(tiles))
        return answer

    return lie


def flip(hashes: bytes) -> bytes:
    return bytes([hashes[0] ^ 1]) + hashes[1:]


def at(level: int, index: int) -> Callable[[TileHashes], bool]:
    return lambda tile: (tile.level, tile.index) == (level, index)


def another_tree(_: object, answer: object) -> object:
    """Everything is consistent, but signed by somebody else."""
    log = other_log()
    if not isinstance(answer, RecordBundle):
        return NotHeld()
    theirs = [(t, log.tile(t.tile)) for t in answer.tiles]
    tiles = tuple(TileHashes(t.level, t.index, hashes) for t, hashes in theirs if hashes)
    return RecordBundle(300, answer.text.replace(b"h1:A", b"h1:B"), log.head(), tiles)


def other_log() -> ForkableLog:
    log = ForkableLog(seed="another")
    log.grow(300)
    log.add(TOML, H1.replace("A", "B", 1), H1)
    log.grow(300)
    return log


def signed_by_another(bundle: RecordBundle) -> RecordBundle:
    signer = make_signer("sum.example.org", b"\7" * 32)
    return evolve(bundle, note=signer.sign(bundle.note.partition(b"\n\n")[0] + b"\n"))


def unsigned_giant(bundle: RecordBundle) -> RecordBundle:
    return evolve(bundle, id=(1 << 63) - 1, note=format_tree(Tree(10**17, b"\0" * 32)) + b"\n")


ATTACKS: dict[str, Lie] = {
    "a forged hash in the record": in_bundles(lambda b: evolve(b, text=b.text.replace(b"h1:A", b"h1:B"))),
    "the record of another module": in_bundles(
        lambda b: evolve(b, id=299, text=b.text.replace(TOML.path.encode(), OTHER.path.encode()))
    ),
    "a line more": in_bundles(lambda b: evolve(b, text=b.text + b"x y h1:z\n")),
    "an empty record": in_bundles(lambda b: evolve(b, text=b"")),
    "the right record under a wrong id": in_bundles(lambda b: evolve(b, id=299)),
    "an id in another tile": in_bundles(lambda b: evolve(b, id=520)),
    "an id beyond the tree": in_bundles(lambda b: evolve(b, id=601)),
    "the largest id": in_bundles(lambda b: evolve(b, id=(1 << 63) - 1)),
    "an unsigned giant tree": in_bundles(unsigned_giant),
    "a forged tile at level 0": in_tiles(at(0, 1), flip),
    "a forged edge at level 0": in_tiles(at(0, 2), flip),
    "a forged tile at level 1": in_tiles(at(1, 0), flip),
    "tiles that are too short": in_tiles(lambda tile: len(tile.hashes) > 32, lambda hashes: hashes[:-32]),
    "tiles that are too wide": lambda _, answer: (
        TileBytes(answer.hashes[:-32] or answer.hashes * 2) if isinstance(answer, TileBytes) else _bare(answer)
    ),
    "a note by another key": in_bundles(signed_by_another),
    "no note": in_bundles(lambda b: evolve(b, note=b"")),
    "a cut note": in_bundles(lambda b: evolve(b, note=b.note[:-9])),
    "another tree": another_tree,
    "another message": lambda _, __: AskHead("sum.example.org", None),
}


def _bare(answer: object) -> object:
    return evolve(answer, tiles=()) if isinstance(answer, RecordBundle | HeadBundle) else answer


EDGES = ("a forged edge at level 0", "a forged tile at level 1")  # which a node with a head has already


@pytest.mark.parametrize("head_held", [False, True])
@pytest.mark.parametrize("attack", ATTACKS)
async def test_a_lie_is_blamed_and_leaves_no_trace(pair: Pair, attack: str, *, head_held: bool) -> None:
    if head_held:
        pair.offline.online = True
        await pair.asker.supported()
        pair.offline.online = False
    pair.room.lies["giver"] = ATTACKS[attack]
    if head_held and attack in EDGES:
        assert (await pair.asker.prove(TOML)).zip_h1 == H1
        return
    with pytest.raises((SumdbError, Unavailable)):
        await pair.asker.prove(TOML)
    assert [error.node_id for error in pair.room.blamed] == ["giver"]
    assert pair.asker.held_proof(TOML) is None
    assert_nothing_but_the_truth(pair.data, pair.offline.log)
    assert not pair.room.alarms
    del pair.room.lies["giver"]
    assert (await pair.asker.prove(TOML)).zip_h1 == H1


@pytest.mark.parametrize(
    "lie",
    [
        in_tiles(at(0, 2), flip),
        in_tiles(at(0, 3), flip),
        in_tiles(at(1, 0), flip),
        in_bundles(signed_by_another),
        in_bundles(lambda b: evolve(b, note=b.note[:-9])),
        in_bundles(lambda b: evolve(b, note=b.note.replace(b"901", b"902"))),
        lambda _, answer: TileBytes(answer.hashes[:32] * 200) if isinstance(answer, TileBytes) else _bare(answer),
    ],
)
async def test_a_lie_on_the_way_to_a_newer_tree_leaves_the_old_one_in_force(
    pair: Pair, log: ForkableLog, lie: Lie
) -> None:
    await online(pair, OTHER)
    held = files_of(pair.data)
    newest = log.grow(300)[-1]
    await pair.giver.prove(newest)
    pair.room.lies["giver"] = lie
    with pytest.raises(Unavailable):
        await pair.asker.prove(newest)
    assert files_of(pair.data) == held
    assert len(pair.room.blamed) == 1
    assert pair.asker.held_proof(OTHER)
    assert not pair.room.alarms
    pair.room.lies.clear()
    assert (await pair.asker.prove(newest)).tree == 901


async def test_a_tile_of_another_width_is_named_as_such(pair: Pair) -> None:
    pair.room.lies["giver"] = ATTACKS["tiles that are too wide"]
    with pytest.raises(Unavailable):
        await pair.asker.prove(TOML)
    assert "bytes for tile/8/" in pair.room.blamed[0].reason


async def test_what_came_too_narrow_is_asked_for_by_itself(pair: Pair) -> None:
    def cut(bundle: RecordBundle) -> RecordBundle:
        return evolve(bundle, tiles=tuple(evolve(tile, hashes=tile.hashes[:32]) for tile in bundle.tiles))

    pair.room.lies["giver"] = in_bundles(cut)
    assert (await pair.asker.prove(TOML)).zip_h1 == H1
    assert not pair.room.blamed


def test_in_a_large_log_only_the_upper_levels_are_looked_through() -> None:
    class Whole:
        looked = 0

        @property
        def head(self) -> Tree:
            return Tree(10_000_000, b"")

        def held_tile(self, position: Position) -> bytes:
            self.looked += 1
            return b"held"

    whole = Whole()
    assert levels_wanted(cast("CheckedLog", whole)) == 2  # of level 2 there is one tile, of level 1 there are 153
    assert whole.looked == 1


async def test_a_liar_does_not_keep_the_next_peer_from_helping(pair: Pair, log: ForkableLog, tmp_path: Path) -> None:
    pair.room.lies["giver"] = ATTACKS["a forged tile at level 0"]
    async with pair.room.open("honest", tmp_path / "honest", LogSource(log)) as honest:
        await honest.prove(TOML)
        assert (await pair.asker.prove(TOML)).zip_h1 == H1
    assert [error.node_id for error in pair.room.blamed] == ["giver"]


async def test_who_is_asked_at_the_same_time_is_not_blamed_for_the_liar(
    pair: Pair, log: ForkableLog, tmp_path: Path
) -> None:
    pair.room.lies["giver"] = ATTACKS["a forged tile at level 0"]
    bundle = evolve(bundle_of(pair), tiles=())
    outcomes: dict[str, object] = {}

    async def receive(node_id: str) -> None:
        try:
            outcomes[node_id] = (await pair.asker.receive(TOML, bundle, node_id)).zip_h1
        except PeerError as error:
            outcomes[node_id] = error.node_id

    async with pair.room.open("honest", tmp_path / "honest", LogSource(log)) as honest:
        await honest.prove(TOML)
        await pair.asker.supported()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(receive, "giver")
            nursery.start_soon(receive, "honest")
    assert outcomes == {"giver": "giver", "honest": H1}


async def test_only_a_few_peers_are_asked_for_one_record(pair: Pair) -> None:
    pair.room.nodes.update({f"ghost{number}": pair.giver for number in range(10)})
    pair.room.lies.update({f"ghost{number}": ATTACKS["an empty record"] for number in range(10)})
    pair.room.lies["giver"] = ATTACKS["an empty record"]
    with pytest.raises(Unavailable):
        await pair.asker.prove(TOML)
    assert len(pair.room.questions) == checksum_sources.MAX_PEERS


async def test_a_peer_that_vanishes_is_blamed(pair: Pair) -> None:
    ghost = RecordBundle(300, b"", b"", ())
    with pytest.raises(PeerError, match="ghost"):
        await pair.asker.receive(TOML, ghost, "ghost")
    bundle = evolve(bundle_of(pair), tiles=())
    with pytest.raises(PeerError, match="is gone"):
        await pair.asker.receive(TOML, bundle, "ghost")


@pytest.mark.parametrize(
    "attack", ["a forged hash in the record", "a forged tile at level 0", "another tree", "no note"]
)
async def test_a_bundle_that_proves_nothing_is_the_peers_fault(pair: Pair, log: ForkableLog, attack: str) -> None:
    question = AskRecord(log.name, TOML.path, TOML.version, 0, 8)
    bundle = ATTACKS[attack](question, pair.giver.reply(question))
    assert isinstance(bundle, RecordBundle)
    pair.room.away.add("giver")
    with pytest.raises(PeerError, match="proves nothing") as caught:
        await pair.asker.receive(TOML, bundle, "giver")
    assert caught.value.node_id == "giver"
    assert pair.asker.held_proof(TOML) is None
    assert_nothing_but_the_truth(pair.data, log)


async def test_a_peer_that_says_nothing_is_given_up_and_blamed(
    log: ForkableLog, tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    class Silent:
        blamed: list[PeerError]

        async def candidates(self, module: ModuleVersion | None) -> list[str]:
            return ["silent"]

        async def ask(self, node_id: str, question: object) -> object:
            await trio.sleep_forever()
            raise AssertionError

        def blame(self, error: PeerError) -> None:
            self.blamed.append(error)

    silent = Silent()
    silent.blamed = []
    async with trio.open_nursery() as nursery:
        node = DatabaseChecksums(
            log.verifier_key,
            data=tmp_path,
            source=LogSource(log, online=False),
            nursery=nursery,
            peers=silent,
            may_name=lambda _: True,
        )
        started = trio.current_time()
        with pytest.raises(Unavailable):
            await node.prove(TOML)
        assert trio.current_time() - started <= checksum_peers.DEADLINE
        assert [error.node_id for error in silent.blamed] == ["silent"]


async def test_signatures_that_a_peer_adds_to_a_note_are_not_kept(pair: Pair, log: ForkableLog) -> None:
    added = "— padding " + "QUFB" * 2500 + "\n"
    pair.room.lies["giver"] = in_bundles(lambda b: evolve(b, note=b.note + added.encode()))
    await pair.asker.prove(TOML)
    assert await pair.asker.latest() == log.head()


async def test_an_old_head_takes_nothing_back(pair: Pair, log: ForkableLog) -> None:
    await online(pair, OTHER)
    pair.room.lies["giver"] = in_bundles(lambda b: evolve(b, note=log.head(301)))
    assert (await pair.asker.prove(TOML)).tree == 601
    assert pair.asker.statistics().heads == 1


async def test_a_forked_peer_is_caught_with_both_notes_kept(pair: Pair, log: ForkableLog, tmp_path: Path) -> None:
    await online(pair, OTHER)
    source = LogSource(log.fork(400))
    async with pair.room.open("forked", tmp_path / "forked", source) as forked:
        source.log.grow(201)
        await forked.supported()
        newest = source.log.grow(200)[-1]
        await forked.prove(newest)
        with pytest.raises(SumdbSecurityError, match="does not contain"):
            await pair.asker.prove(newest)
    assert not pair.room.blamed
    (alarm,) = pair.room.alarms
    kept = {path.read_bytes() for path in (pair.data / "evidence").iterdir()}
    assert {log.head(), source.log.head()} <= kept
    assert pair.asker.statistics().state == "frozen"
    assert alarm == pair.asker.statistics().alarm
    # What was proven is served, to peers too, and nothing new gets in.
    assert isinstance(pair.asker.reply(AskRecord(log.name, OTHER.path, OTHER.version, 0, 8)), RecordBundle)
    with pytest.raises(SumdbSecurityError, match="frozen"):
        await pair.asker.receive(TOML, bundle_of(pair), "giver")


@dataclass
class SilentSource(LogSource):
    """An upstream that says nothing until `speaks`. `given_up` counts who did not wait for that."""

    speaks: trio.Event = field(default_factory=trio.Event)
    given_up: int = 0

    async def fetch_sumdb(self, name: str, endpoint: str, *, url: str | None = None) -> bytes:
        try:
            await self.speaks.wait()
        except trio.Cancelled:
            self.given_up += 1
            raise
        return await super().fetch_sumdb(name, endpoint, url=url)


async def test_a_silent_upstream_does_not_keep_peers_from_proving(
    log: ForkableLog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checksum_sources, "PATIENCE", 0.01)
    room, silent = Room(), SilentSource(log, online=False)
    async with (
        room.open("giver", tmp_path / "giver", LogSource(log)) as giver,
        room.open("asker", tmp_path / "asker", silent) as asker,
    ):
        await giver.prove(TOML)
        assert (await asker.prove(TOML)).zip_h1 == H1
        silent.speaks.set()
        await trio.testing.wait_all_tasks_blocked()
        assert silent.given_up == 0  # whoever comes next is to know that it is out of reach


async def test_what_a_slow_upstream_says_counts_when_no_peer_can_help(
    log: ForkableLog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checksum_sources, "PATIENCE", 0.01)
    room, slow = Room(), SilentSource(log)

    def cannot_help(_question: object, answer: object) -> object:
        slow.speaks.set()
        return answer

    room.lies["cold"] = cannot_help
    async with (
        room.open("cold", tmp_path / "cold", LogSource(log, online=False)),
        room.open("asker", tmp_path / "asker", slow) as asker,
    ):
        assert (await asker.prove(TOML)).zip_h1 == H1
        assert [type(question) for question in room.questions] == [AskRecord]
