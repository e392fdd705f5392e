"""Members lie about large zips in every way there is: what is wrong costs a piece or a giver, and go gets the zip."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
import trio
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from p2pmods.directory.messages import Claim, Growing, Providers, Wait
from p2pmods.errors import PeerRefused
from p2pmods.gomod.module import FileKey, FileKind
from p2pmods.mesh import seeding
from p2pmods.mesh.growing import Growing as Arriving
from p2pmods.swarm.bits import first_bits, pack, pieces_of, unpack
from p2pmods.swarm.dealing import HAND
from p2pmods.swarm.messages import BUSY, NOT_HELD, STOPPED, GetFile
from p2pmods.swarm.pieces import (
    MAX_PIECES,
    PIECE,
    Follow,
    Followed,
    GetPieces,
    Have,
    ListGrew,
    NewsReader,
    ObjectName,
    Others,
    Pieces,
    count_of,
    pack_news,
)
from p2pmods.wire.codec import evolve
from tests.mesh.fakes import InMemory
from tests.mesh.hostile import TOKEN, digest, open_eve, refusing, replying, sending, silent, versions_at
from tests.mesh.piecegiver import PieceGiver
from tests.world import noise

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from p2pmods.gomod.module import ModuleVersion
    from p2pmods.mesh.answer import Answer
    from p2pmods.mesh.call import Call, Handler
    from tests.mesh.hostile import Eve
    from tests.mesh.scene import Scene

COUNT = 20  # pieces of the zips here


def publish_large(scene: Scene, module: ModuleVersion | None = None) -> ModuleVersion:
    return scene.world.publish(module or scene.versions(), text=noise(2 * COUNT * PIECE))


def struck(scene: Scene, eve: Eve) -> bool:
    return scene.mesh.blame.is_struck(eve.node_id)


async def check_from_peer(scene: Scene, module: ModuleVersion) -> None:
    with trio.fail_after(15):
        answer = await scene.ann.file(module, "zip")
    assert answer.status_code == 200, answer.text
    assert answer.headers["P2pmods-Source"] == "peer"
    assert answer.content == scene.world.zips[module]
    await scene.ann.wait_proven()
    scene.check_kept()


def holding(scene: Scene, module: ModuleVersion) -> bytes:
    """Eve says that she holds it; its bytes."""
    good = scene.world.zips[module]
    scene.eve.says_that_she_holds(good, digest(good))
    return good


async def test_an_honest_member_gives_it(scene: Scene) -> None:
    module = publish_large(scene)
    giver = PieceGiver(holding(scene, module))
    giver.give(scene.eve)
    await check_from_peer(scene, module)
    assert sorted(giver.asked) == list(range(len(giver.data) // PIECE + 1))
    assert scene.eve.count(GetFile) == 0


async def test_a_list_of_the_wrong_bytes_costs_its_maker_a_strike(scene: Scene) -> None:
    module = publish_large(scene)
    good = holding(scene, module)
    PieceGiver(good[:100] + b"!" + good[101:]).give(scene.eve)
    await scene.check_served_from_upstream(module)
    assert struck(scene, scene.eve)
    asked = scene.eve.count(Follow)
    other = publish_large(scene)
    holding(scene, other)
    await scene.check_served_from_upstream(other)
    assert scene.eve.count(Follow) == asked


async def test_a_list_of_the_wrong_bytes_that_nobody_made_costs_who_brought_it_a_strike(scene: Scene) -> None:
    """A key of its own for each list costs Eve nothing."""
    module = publish_large(scene)
    good = holding(scene, module)
    giver = PieceGiver(good[:100] + b"!" + good[101:])
    scene.eve.answers[Follow] = giver.following(Ed25519PrivateKey.generate())
    scene.eve.answers[GetPieces] = giver.get
    await scene.check_served_from_upstream(module)
    assert struck(scene, scene.eve)


async def test_pieces_that_are_not_those_of_the_list_cost_their_giver_a_strike(scene: Scene) -> None:
    module = publish_large(scene)
    good = holding(scene, module)
    PieceGiver(bytes(len(good)), listed=good).give(scene.eve)
    await scene.check_served_from_upstream(module)
    assert struck(scene, scene.eve)


async def test_one_bad_piece_costs_one_piece(scene: Scene, tmp_path: Path) -> None:
    """Eve and Dan both hold it, and one of Eve's pieces is wrong: the rest of what she gave is of use."""
    async with open_eve(tmp_path / "dan", scene.ann, 2) as dan:
        module = publish_large(
            scene, versions_at(dan.node_id, scene.ann.node.node_id, iter(lambda: scene.versions().version, ""))()
        )
        good = scene.world.zips[module]
        wrong, right = PieceGiver(good, bodies={3: bytes(PIECE)}), PieceGiver(good)
        wrong.give(scene.eve)
        right.give(dan)
        let_others_begin(right, dan, scene.eve)
        holders = (scene.eve.holder(good, digest(good)), dan.holder(good, digest(good)))
        both = replying(Providers(holders, (scene.eve.record, dan.record)))
        for eve in (scene.eve, dan):
            eve.answers[Claim] = both
        await check_from_peer(scene, module)
        assert struck(scene, scene.eve)
        assert not struck(scene, dan)
        came_twice = [piece for piece in wrong.asked if piece in right.asked]
        assert 3 in came_twice
        assert len(set(right.asked)) < COUNT  # what Eve gave before was kept


def let_others_begin(giver: PieceGiver, dan: Eve, eve: Eve) -> None:
    """Dan has nothing before Eve was asked for the bad piece."""
    follow = giver.following(dan.key)

    get = eve.answers[GetPieces]
    asked = trio.Event()

    async def note(call: Call) -> None:
        if call.message.first <= 3 < call.message.first + call.message.count:
            asked.set()
        await get(call)

    async def later(call: Call) -> None:
        await asked.wait()
        await follow(call)

    eve.answers[GetPieces] = note
    dan.answers[Follow] = later


def follow_ways(eve: Eve, giver: PieceGiver) -> dict[str, Handler]:
    """What a Follow may come to that leads nowhere at once."""

    def news(*all_of_them: object, end: bool = True) -> Handler:
        async def handler(call: Call) -> None:
            await call.reply_stream(Followed())
            for one in all_of_them:
                await call.send(one if isinstance(one, bytes) else pack_news(one))
            if end:
                await call.end()
            else:
                await trio.sleep_forever()

        return handler

    part = ListGrew(0, bytes(64), None, b"\2" * 32, b"\2" * 64)
    return {
        "refused": refusing(STOPPED),
        "another head": replying(Pieces()),
        "no news": news(),
        "an end in the middle": news(b"\0\x40abc"),
        "not a message": news(b"\0\3abc"),
        "another message": news(Pieces()),
        "a list that nobody signed": news(part),
        "a list with a gap": news(ListGrew(5, bytes(64), None, bytes(32), bytes(64))),
        "more pieces than there can be": news(Have(b"\xff" * (MAX_PIECES // 8)), Have(b"\0" * 1000)),
        "records that are none": news(Others((b"x",))),
    }


NONSENSE = {
    "another head",
    "not a message",
    "another message",
    "a list that nobody signed",
    "a list with a gap",
    "records that are none",
}


@pytest.mark.usefixtures("hasty")
@pytest.mark.parametrize("role", ["holder", "fetcher"])
@pytest.mark.parametrize("way", list(follow_ways(None, None)))  # type: ignore[arg-type]
async def test_one_who_cannot_be_followed(scene: Scene, way: str, role: str) -> None:
    module = publish_large(scene)
    giver = PieceGiver(scene.world.zips[module])
    if role == "holder":
        holding(scene, module)
    else:
        fetching_large(scene)
    scene.eve.answers[Follow] = follow_ways(scene.eve, giver)[way]
    await scene.check_served_from_upstream(module)
    assert scene.eve.count(Follow) >= 1
    if way in NONSENSE or role == "holder":  # a fetcher of whom nothing came is given up for other reasons
        assert struck(scene, scene.eve) == (way in NONSENSE)


def fetching_large(scene: Scene) -> None:
    """Eve says that she fetches it, and that much of it is there."""
    growing = Growing(scene.eve.node_id, TOKEN, 4 << 20)
    scene.eve.answers[Claim] = replying(Wait(growing, limited=False, record=scene.eve.record))


async def drip(call: Call) -> None:
    await call.reply_stream(Pieces())
    while True:
        await call.send(b"P")
        await trio.sleep(0.05)


def get_ways() -> dict[str, Handler]:
    async def die(call: Call) -> None:
        await call.reply_stream(Pieces())
        await call.send(bytes(100))
        await call.refuse(STOPPED, "died")

    return {
        "too short": sending(Pieces(), b"x"),
        "too long": sending(Pieces(), bytes(17 * PIECE)),
        "another head": replying(Followed()),
        "refused": refusing(STOPPED),
        "dead": die,
        "always busy": refusing(BUSY),
        "silent": silent,
        "a head and no more": sending(Pieces()),
        "drip": drip,
    }


@pytest.mark.usefixtures("hasty")
@pytest.mark.parametrize("way", list(get_ways()))
async def test_one_who_does_not_give_what_it_has(scene: Scene, way: str) -> None:
    module = publish_large(scene)
    PieceGiver(holding(scene, module)).give(scene.eve)
    scene.eve.answers[GetPieces] = get_ways()[way]
    await scene.check_served_from_upstream(module)
    assert scene.eve.count(GetPieces) >= 1


@pytest.mark.usefixtures("hasty")
async def test_one_who_has_nothing_new_for_ever_is_not_waited_for(scene: Scene) -> None:
    module = publish_large(scene)
    holding(scene, module)

    async def nothing(call: Call) -> None:
        await call.reply_stream(Followed())
        await trio.sleep_forever()

    scene.eve.answers[Follow] = nothing
    await scene.check_served_from_upstream(module)


async def test_of_a_fetcher_whose_list_another_made_nothing_is_taken(scene: Scene, tmp_path: Path) -> None:
    """Dan's list is in order, but he does not fetch it."""
    module = publish_large(scene)
    fetching_large(scene)
    async with open_eve(tmp_path / "dan", scene.ann, 2) as dan:
        giver = PieceGiver(scene.world.zips[module])
        scene.eve.answers[Follow], scene.eve.answers[GetPieces] = giver.following(dan.key), giver.get
        await scene.check_served_from_upstream(module)
        assert giver.asked == []


@pytest.mark.usefixtures("hasty")
async def test_a_list_of_other_bytes_than_were_promised(scene: Scene) -> None:
    """A right zip of the module, but not the object that Eve said she holds."""
    module = publish_large(scene)
    good = scene.world.zips[module]
    scene.eve.says_that_she_holds(good, digest(b"another"))
    PieceGiver(good).give(scene.eve)
    with trio.fail_after(15):
        answer = await scene.ann.file(module, "zip")
    assert answer.content == good


# What a stranger may ask of Ann.


async def read_until_whole(answer: Answer) -> list[object]:
    """The news of a Follow, until all pieces of the complete list are there."""
    reader, heard = NewsReader(), list[object]()
    have, count = 0, None
    while count is None or have != first_bits(count):
        for news in reader.feed(await anext(answer)):
            heard.append(news)
            if isinstance(news, Have):
                have |= unpack(news.pieces, MAX_PIECES)
            elif isinstance(news, ListGrew) and news.length is not None:
                count = count_of(news.length)
    return heard


async def kept_object(scene: Scene) -> ObjectName:
    """A large zip that Ann has, proven."""
    module = publish_large(scene)
    await scene.ann.file(module, "zip")
    await scene.ann.wait_proven()
    return ObjectName(module.path, module.version, digest(scene.world.zips[module]), None)


async def test_only_who_follows_gets_pieces(scene: Scene) -> None:
    name = await kept_object(scene)
    with pytest.raises(PeerRefused):
        await scene.eve.ask(scene.ann, GetPieces(name, 0, 1))
    answer = await scene.eve.ask(scene.ann, Follow(name, 0, scene.eve.record))
    news = await read_until_whole(answer)
    assert sum(isinstance(one, ListGrew) and one.length is not None for one in news) == 1
    got = await scene.eve.ask(scene.ann, GetPieces(name, 0, 16))
    good = scene.world.zips[next(iter(scene.world.zips))]
    assert b"".join([data async for data in got]) == good[: 16 * PIECE]
    for first, count in ((MAX_PIECES - 1, 1), (COUNT, 16)):
        with pytest.raises(PeerRefused):
            await scene.eve.ask(scene.ann, GetPieces(name, first, count))
    await answer.discard()
    with pytest.raises(PeerRefused):
        await ask_until_refused(scene, GetPieces(name, 0, 1))


async def ask_until_refused(scene: Scene, question: GetPieces) -> None:
    """That she follows no more has to arrive first."""
    while True:
        await (await scene.eve.ask(scene.ann, question)).discard()


@contextmanager
def fetched_by_ann(scene: Scene) -> Iterator[tuple[ObjectName, Arriving]]:
    """A zip that she says she is receiving, of which nothing is there yet."""
    module = scene.versions()
    growing = Arriving(InMemory(), lambda _size: None, lambda _at: None)
    with scene.mesh.growing.share(FileKey(module, FileKind.ZIP), TOKEN, growing):
        yield ObjectName(module.path, module.version, None, TOKEN), growing


@pytest.mark.parametrize("way", ["not a message", "another message"])
async def test_a_follower_who_talks_nonsense_about_what_it_has_gets_a_strike(scene: Scene, way: str) -> None:
    scene.eve.answers[Follow] = follow_ways(scene.eve, PieceGiver(b""))[way]
    with fetched_by_ann(scene) as (name, _), trio.fail_after(5):
        answer = await scene.eve.ask(scene.ann, Follow(name, 0, scene.eve.record))
        while not struck(scene, scene.eve):  # noqa: ASYNC110 - a strike rings no bell
            await trio.sleep(0.01)
        await answer.discard()


@pytest.mark.parametrize("way", ["refused", "no news", "an end in the middle", "more pieces than there can be"])
async def test_a_follower_who_does_not_say_what_it_has_gets_everything(scene: Scene, way: str) -> None:
    """One hand after the other, as it takes what it was dealt."""
    scene.eve.answers[Follow] = follow_ways(scene.eve, PieceGiver(b""))[way]
    with fetched_by_ann(scene) as (name, growing), trio.fail_after(10):
        answer = await scene.eve.ask(scene.ann, Follow(name, 0, scene.eve.record))
        growing.write(bytes(3 * HAND * PIECE))
        growing.finish()
        reader, have = NewsReader(), 0
        while have != first_bits(3 * HAND):
            for news in reader.feed(await anext(answer)):
                for piece in pieces_of(unpack(news.pieces, MAX_PIECES)) if isinstance(news, Have) else ():
                    got = await scene.eve.ask(scene.ann, GetPieces(name, piece, 1))
                    assert b"".join([data async for data in got]) == bytes(PIECE)
                    have |= 1 << piece
        await answer.discard()


async def test_a_follower_who_says_what_it_has_is_dealt_what_it_lacks(scene: Scene) -> None:
    """It is told of more than a hand without taking anything."""
    said = trio.Event()

    async def say(call: Call) -> None:
        await call.reply_stream(Followed())
        await call.send(pack_news(Have(pack(first_bits(HAND), HAND))))
        said.set()
        await trio.sleep_forever()

    scene.eve.answers[Follow] = say
    with fetched_by_ann(scene) as (name, growing), trio.fail_after(10):
        answer = await scene.eve.ask(scene.ann, Follow(name, 0, scene.eve.record))
        await said.wait()
        growing.write(bytes(2 * HAND * PIECE))
        growing.finish()
        await read_until_whole(answer)
        await answer.discard()


async def test_a_piece_that_was_dealt_to_another_is_not_given(scene: Scene, tmp_path: Path) -> None:
    """Each of two followers is told of one of two pieces, and gets that one."""
    with fetched_by_ann(scene) as (name, growing), trio.fail_after(10):
        async with open_eve(tmp_path / "dan", scene.ann, 2) as dan:
            answers = [await eve.ask(scene.ann, Follow(name, 0, eve.record)) for eve in (scene.eve, dan)]
            growing.write(bytes(2 * PIECE))
            told = [await first_pieces(answer) for answer in answers]
            assert sorted(told) == [0b01, 0b10]
            mine, others = (piece.bit_length() - 1 for piece in told)
            with pytest.raises(PeerRefused):
                await scene.eve.ask(scene.ann, GetPieces(name, others, 1))
            got = await scene.eve.ask(scene.ann, GetPieces(name, mine, 1))
            assert b"".join([data async for data in got]) == bytes(PIECE)
            for answer in answers:
                await answer.discard()


async def test_nothing_more_is_given_to_a_follower_whose_link_proves_to_be_a_vpns(scene: Scene) -> None:
    """The tunnel came up, and its link, before this node looked at its addresses again."""
    with fetched_by_ann(scene) as (name, growing), trio.fail_after(10):
        answer = await scene.eve.ask(scene.ann, Follow(name, 0, scene.eve.record))
        growing.write(bytes(2 * PIECE))
        await first_pieces(answer)
        scene.mesh.policy.tunnels = frozenset({"127.0.0.1"})
        with pytest.raises(PeerRefused) as caught:
            await scene.eve.ask(scene.ann, GetPieces(name, 0, 1))
        assert caught.value.code == NOT_HELD
        await answer.discard()


async def first_pieces(answer: Answer) -> int:
    """What the first Have of the news names."""
    reader = NewsReader()
    while True:
        for news in reader.feed(await anext(answer)):
            if isinstance(news, Have):
                return unpack(news.pieces, MAX_PIECES)


async def test_what_is_not_there_cannot_be_followed(scene: Scene) -> None:
    name = await kept_object(scene)
    for other in (
        evolve(name, sha256=digest(b"other")),
        evolve(name, sha256=None, token=TOKEN),
        evolve(name, path="../etc"),
    ):
        with pytest.raises(PeerRefused):
            await scene.eve.ask(scene.ann, Follow(other, 0, scene.eve.record))


async def test_nobody_has_another_named(scene: Scene, tmp_path: Path) -> None:
    """A record that is not the asker's own would send others to whomever it likes."""
    name = await kept_object(scene)
    async with open_eve(tmp_path / "dan", scene.ann, 2) as dan:
        for record in (dan.record, b"", b"x" * 100):
            with pytest.raises(PeerRefused):
                await scene.eve.ask(scene.ann, Follow(name, 0, record))


async def test_followers_beyond_the_cap_are_only_told_of_the_others(
    scene: Scene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(seeding, "MAX_FOLLOWERS", 1)
    name = await kept_object(scene)
    async with open_eve(tmp_path / "dan", scene.ann, 2) as dan:
        first = await scene.eve.ask(scene.ann, Follow(name, 0, scene.eve.record))
        second = await dan.ask(scene.ann, Follow(name, 0, dan.record))
        reader = NewsReader()
        heard = [news async for data in second for news in reader.feed(data)]
        assert heard == [Others((scene.eve.record,))]
        with pytest.raises(PeerRefused):
            await dan.ask(scene.ann, GetPieces(name, 0, 1))
        await first.discard()
