"""A member gives bad zips in every way there is: go gets the right bytes from upstream, and nothing else is kept."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import trio

from p2pmods.directory.messages import Claim, Providers
from p2pmods.swarm.messages import BUSY, IN_PIECES, NOT_HELD, READY, STOPPED, FileHead, GetFile, SmallHead
from p2pmods.swarm.pieces import Follow
from p2pmods.testing.modzips import Crafted, Ending, craft_zip, deflate, make_module_zip
from tests.mesh.hostile import digest, open_eve, refusing, replying, sending, silent, versions_at

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from p2pmods.gomod.module import ModuleVersion
    from p2pmods.mesh.call import Call, Handler
    from tests.mesh.scene import Scene


def good_files(module: ModuleVersion) -> dict[str, bytes]:
    return {"go.mod": f"module {module.path}\n".encode(), "widget.go": b"package widget\n"}


def poisoned(module: ModuleVersion) -> bytes:
    """A zip of this module, of the right size, with another program in it."""
    return make_module_zip(module, {**good_files(module), "widget.go": b"package wigdet\n"})


def ambiguous(module: ModuleVersion) -> bytes:
    """The right files, and in front of them a zip that other readers may find."""
    return craft_zip(entries(module), Ending(before=poisoned(module)))


def doubled(module: ModuleVersion) -> bytes:
    """One name twice: readers differ in which they take."""
    crafted = entries(module)
    return craft_zip([*crafted, Crafted(crafted[1].name, b"package evil\n")])


def bomb(module: ModuleVersion) -> bytes:
    """Every header is right, and so would the hash be; the content goes on for 64 MiB."""
    first, second = entries(module)
    return craft_zip([first, Crafted(second.name, second.content, raw=deflate(second.content + bytes(64 << 20)))])


def vast(module: ModuleVersion) -> bytes:
    """It says that it inflates to more than any module may."""
    first, second = entries(module)
    return craft_zip([first, Crafted(second.name, second.content, central={"size": 600 << 20})])


def entries(module: ModuleVersion) -> list[Crafted]:
    return [Crafted(f"{module}/{name}".encode(), content) for name, content in good_files(module).items()]


def unreadable(module: ModuleVersion) -> bytes:
    """The hash is right; but Go's reader refuses the stream, which a fast one takes."""
    first, second = entries(module)
    return craft_zip([first, Crafted(second.name, second.content, raw=loose(second.content))])


def loose(content: bytes) -> bytes:
    """`content` deflated with a set of Huffman codes that has codes left over: each symbol has five bits."""
    symbols = sorted({*content, 256})
    bits = [1, 0, 1]  # the last block, with codes of its own

    def put(value: int, count: int) -> None:
        bits.extend(value >> i & 1 for i in range(count))

    for value, count in ((0, 5), (0, 5), (6, 4)):  # 257 symbols, one distance, ten lengths of code lengths
        put(value, count)
    for length in (16, 17, 18, 0, 8, 7, 9, 6, 10, 5):
        put(length in (0, 5), 3)
    for symbol in range(257):
        put(symbol in symbols, 1)
    put(0, 1)  # no distance
    for symbol in (*content, 256):
        bits.extend(symbols.index(symbol) >> i & 1 for i in reversed(range(5)))
    bits += [0] * (-len(bits) % 8)
    return bytes(sum(bit << i for i, bit in enumerate(bits[at : at + 8])) for at in range(0, len(bits), 8))


def nonsense(module: ModuleVersion) -> bytes:
    return b"x" * 5000


def empty(module: ModuleVersion) -> bytes:
    return b""


BAD_ZIPS = [poisoned, ambiguous, doubled, bomb, vast, unreadable, nonsense, empty]


@pytest.mark.parametrize("make", BAD_ZIPS, ids=lambda make: make.__name__)
async def test_a_bad_zip_of_a_holder(scene: Scene, make: Callable[[ModuleVersion], bytes]) -> None:
    module, other = scene.next_version(), scene.next_version()
    bad = make(module)
    scene.eve.says_that_she_holds(bad, digest(bad))
    scene.eve.answers[GetFile] = sending(FileHead(len(bad), digest(bad)), bad, length=len(bad))
    await scene.check_served_from_upstream(module)
    assert scene.eve.count(GetFile) == 1
    await scene.check_served_from_upstream(other)
    assert scene.eve.count(GetFile) == 1  # the strike


async def test_a_fetcher_who_speaks_of_pieces_and_has_none(scene: Scene) -> None:
    module = scene.next_version()
    scene.eve.says_that_she_fetches()
    scene.eve.answers[GetFile] = refusing(IN_PIECES)
    scene.eve.answers[Follow] = refusing(NOT_HELD)
    await scene.check_served_from_upstream(module)
    assert scene.eve.count(Follow) >= 1


@pytest.mark.parametrize("make", BAD_ZIPS, ids=lambda make: make.__name__)
async def test_a_bad_zip_of_a_fetcher(scene: Scene, make: Callable[[ModuleVersion], bytes]) -> None:
    module, other = scene.next_version(), scene.next_version()
    scene.eve.says_that_she_fetches()
    scene.eve.answers[GetFile] = sending(FileHead(None, None), make(module))
    await scene.check_served_from_upstream(module)
    asked = scene.eve.count(GetFile)
    assert asked >= 1
    await scene.check_served_from_upstream(other)
    assert scene.eve.count(GetFile) == asked


def handlers(data: bytes) -> dict[str, Handler]:
    """Ways to answer a GetFile for `data`, that end badly for the asker at once."""
    size, sha256 = len(data), digest(data)

    async def die(call: Call) -> None:
        await call.reply_stream(FileHead(size, sha256), size)
        await call.send(data[: size * 99 // 100])
        await call.refuse(STOPPED, "died")

    return {
        "too short": sending(FileHead(size, sha256), data[:-1]),
        "too long": sending(FileHead(size, sha256), data, b"x"),
        "a length of none": sending(FileHead(0, sha256), data),
        "another object": sending(FileHead(size, digest(b"other")), data, length=size),
        "no object": sending(FileHead(size, None), data, length=size),
        "a head of another kind": replying(SmallHead(READY)),
        "a file where none is announced": replying(FileHead(size, sha256)),
        "dead at 99 per cent": die,
        "not held": refusing(NOT_HELD),
        "an unknown refusal": refusing(4000),
        "always busy": refusing(BUSY),
        "in pieces, and has none": refusing(IN_PIECES),
    }


@pytest.mark.usefixtures("hasty")
@pytest.mark.parametrize("way", list(handlers(b"x")))
async def test_a_holder_who_does_not_deliver(scene: Scene, way: str) -> None:
    module = scene.next_version()
    good = scene.world.zips[module]
    scene.eve.says_that_she_holds(good, digest(good))
    scene.eve.answers[GetFile] = handlers(good)[way]
    await scene.check_served_from_upstream(module)
    assert scene.eve.count(GetFile) >= 1


async def drip(call: Call) -> None:
    """One byte, and another when it is too late."""
    await call.reply_stream(FileHead(None, None))
    while True:
        await call.send(b"P")
        await trio.sleep(0.05)


async def pour(call: Call) -> None:
    """No end of bytes."""
    await call.reply_stream(FileHead(None, None))
    while True:
        await call.send(bytes(1 << 16))


SLOW = {"silent": silent, "a head and no more": sending(FileHead(None, None)), "drip": drip, "pour": pour}


@pytest.mark.usefixtures("hasty")
@pytest.mark.parametrize("way", list(SLOW))
async def test_a_fetcher_who_keeps_others_waiting(scene: Scene, way: str) -> None:
    module, other = scene.next_version(), scene.next_version()
    scene.eve.says_that_she_fetches()
    scene.eve.answers[GetFile] = SLOW[way]
    await scene.check_served_from_upstream(module)
    await scene.check_served_from_upstream(other)
    with trio.fail_after(10):
        while scene.mesh.links.statistics().held:  # noqa: ASYNC110 - other questions are under way
            await trio.sleep(0.01)


async def test_who_breaks_off_cannot_have_the_next_one_struck(scene: Scene, tmp_path: Path) -> None:
    """Eve gives wrong bytes and stops; Dan, honest, completes them."""

    async def break_off(call: Call) -> None:
        data = scene.world.zips[wanted_by(call)]
        await call.reply_stream(FileHead(len(data), digest(data)), len(data))
        await call.send(b"x" * 100)
        await call.refuse(STOPPED, "died")

    async def honest(call: Call) -> None:
        data = scene.world.zips[wanted_by(call)]
        head = FileHead(len(data), digest(data))
        await sending(head, data[call.message.offset :], length=len(data) - call.message.offset)(call)

    def wanted_by(call: Call) -> ModuleVersion:
        return next(one for one in (module, other) if one.version == call.message.version)

    async with open_eve(tmp_path / "dan", scene.ann, 2) as dan:
        both = versions_at(dan.node_id, scene.ann.node.node_id, iter(lambda: scene.versions().version, ""))
        module, other = scene.world.publish(both()), scene.world.publish(both())
        scene.eve.answers[GetFile], dan.answers[GetFile] = break_off, honest

        async def name_both(call: Call) -> None:
            data = scene.world.zips[next(one for one in (module, other) if str(one) == call.message.module)]
            holders = (scene.eve.holder(data, digest(data)), dan.holder(data, digest(data)))
            await call.reply(Providers(holders, (scene.eve.record, dan.record)))

        scene.eve.answers[Claim] = dan.answers[Claim] = name_both
        for one in (module, other):
            answer = await scene.ann.file(one, "zip")
            assert answer.headers["P2pmods-Source"] == "peer"
            assert answer.content == scene.world.zips[one]
        assert scene.eve.count(GetFile) == 1
        assert [message.offset for message in dan.heard if isinstance(message, GetFile)] == [100, 0, 0]


async def test_a_transfer_that_ends_early_is_resumed_at_the_next_holder(scene: Scene, tmp_path: Path) -> None:
    """Eve ends as if that were all; Dan has the rest."""

    async def half(call: Call) -> None:
        data = scene.world.zips[module]
        await sending(FileHead(len(data), digest(data)), data[:100])(call)

    async def rest(call: Call) -> None:
        data, offset = scene.world.zips[module], call.message.offset
        await sending(FileHead(len(data), digest(data)), data[offset:], length=len(data) - offset)(call)

    async with open_eve(tmp_path / "dan", scene.ann, 2) as dan:
        module = scene.world.publish(
            versions_at(dan.node_id, scene.ann.node.node_id, iter(lambda: scene.versions().version, ""))()
        )
        data = scene.world.zips[module]
        holders = (scene.eve.holder(data, digest(data)), dan.holder(data, digest(data)))
        scene.eve.answers[GetFile], dan.answers[GetFile] = half, rest
        providers = replying(Providers(holders, (scene.eve.record, dan.record)))
        scene.eve.answers[Claim] = dan.answers[Claim] = providers
        answer = await scene.ann.file(module, "zip")
        assert answer.headers["P2pmods-Source"] == "peer"
        assert [message.offset for message in dan.heard if isinstance(message, GetFile)] == [100]
