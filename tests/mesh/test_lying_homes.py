"""A member is the home of what go asks for, and lies: about small files, about who has a zip, about leases."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import trio
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from p2pmods.directory import case, feed
from p2pmods.directory.ability import DATABASE, PROXY, UPLOADS, Ability
from p2pmods.directory.messages import (
    FAILED,
    Advert,
    Advertised,
    Alone,
    Claim,
    Found,
    Grant,
    Growing,
    Holder,
    Holding,
    Intend,
    Location,
    Lookup,
    Providers,
    Release,
    Renew,
    Stop,
    Wait,
)
from p2pmods.directory.proof import grant_terms
from p2pmods.directory.providers import MAX_OF_NODE
from p2pmods.errors import PeerError, PeerRefused
from p2pmods.fetch import peering
from p2pmods.fetch.proofs import Proofs
from p2pmods.fetch.storm import Storm
from p2pmods.gomod.h1 import hash_go_mod
from p2pmods.gomod.module import FileKey, FileKind, ModuleVersion
from p2pmods.identity.key import node_id
from p2pmods.identity.records import Endpoint
from p2pmods.mesh import peers
from p2pmods.mesh.roles import DialBack, DialledBack, Directors, WhoDirects
from p2pmods.swarm.messages import (
    FETCHING,
    MAX_SMALL_BODY,
    NOT_HELD,
    READY,
    YOURSELF,
    FileHead,
    GetFile,
    GetSmall,
    Small,
    SmallFiles,
    SmallHead,
    pack_small,
)
from p2pmods.testing import upstream_faults as faults
from p2pmods.wire.proofs import AskHead, AskRecord, AskTile, HeadBundle, NotHeld, RecordBundle
from tests.mesh.hostile import TOKEN, Eve, digest, refusing, replying, sending, silent, versions_at
from tests.world import SWARM, Client, zip_h1

if TYPE_CHECKING:
    from p2pmods.mesh.call import Call, Handler
    from tests.mesh.scene import Scene

EVIL_MOD = b"module example.org/evil\n"


# Small files.


def small(files: SmallFiles, record: RecordBundle | None = None) -> Handler:
    return sending(SmallHead(READY), pack_small(Small(files, record)))


async def check_small(scene: Scene, module: ModuleVersion) -> None:
    """Ann's go gets the right small files, from upstream; what Ann keeps is right, and there is no alarm."""
    for kind in (FileKind.MOD, FileKind.INFO):
        with trio.fail_after(15):
            answer = await scene.ann.get(FileKey(module, kind))
        assert answer.status_code == 200, answer.text
        assert answer.content == scene.world.upstream.files[f"/{FileKey(module, kind).url_path}"]
        assert answer.headers["P2pmods-Source"] == "upstream"
    await scene.ann.wait_proven()
    assert (await scene.ann.status())["alarms"] == []


async def record_of(scene: Scene, module: ModuleVersion) -> RecordBundle:
    """The genuine one, as Ann gives it."""
    assert (await scene.ann.get(f"/sumdb/{scene.world.log.name}/lookup/{module}")).status_code == 200
    question = AskRecord(scene.world.log.name, module.path, module.version, 0, 8)
    bundle = (await scene.eve.ask(scene.ann, question)).message
    assert isinstance(bundle, RecordBundle)
    return bundle


def info_of(version: str, time: str = "2024-01-02T03:04:05Z") -> bytes:
    return f'{{"Version":"{version}","Time":"{time}"}}'.encode()


async def test_a_mod_that_its_genuine_record_contradicts(scene: Scene) -> None:
    module, other = scene.next_version(), scene.next_version()
    record = await record_of(scene, module)
    scene.eve.answers[GetSmall] = small(SmallFiles(None, EVIL_MOD), record)
    await check_small(scene, module)
    assert scene.eve.count(GetSmall) == 1
    await check_small(scene, other)
    assert scene.eve.count(GetSmall) == 1  # the strike


async def test_a_mod_with_the_record_of_another_module(scene: Scene) -> None:
    module, other = scene.next_version(), scene.next_version()
    record = await record_of(scene, other)
    right = scene.world.upstream.files[f"/{FileKey(module, FileKind.MOD).url_path}"]
    scene.eve.answers[GetSmall] = small(SmallFiles(None, right), record)
    await check_small(scene, module)
    assert scene.eve.count(GetSmall) == 1
    await check_small(scene, other)
    assert scene.eve.count(GetSmall) == 1


async def test_a_mod_with_a_forged_record(scene: Scene) -> None:
    module, other = scene.next_version(), scene.next_version()
    genuine = await record_of(scene, other)
    evil = zip_h1(module, scene.world.zips[module])
    text = f"{module.path} {module.version} {evil}\n{module.path} {module.version}/go.mod {hash_go_mod(EVIL_MOD)}\n"
    forged = RecordBundle(genuine.id, text.encode(), genuine.note, genuine.tiles)
    scene.eve.answers[GetSmall] = small(SmallFiles(info_of(module.version), EVIL_MOD), forged)
    await check_small(scene, module)
    await check_small(scene, other)
    assert scene.eve.count(GetSmall) == 1


async def test_an_evil_mod_without_a_record(scene: Scene) -> None:
    module, other = scene.next_version(), scene.next_version()
    scene.eve.answers[GetSmall] = small(SmallFiles(None, EVIL_MOD))
    await check_small(scene, module)
    await check_small(scene, other)
    assert scene.eve.count(GetSmall) == 1


async def test_a_right_mod_without_a_record_is_taken_when_the_database_proves_it(scene: Scene) -> None:
    """However long that takes: without it what a peer gives is worth nothing."""
    module = scene.next_version()
    right = scene.world.upstream.files[f"/{FileKey(module, FileKind.MOD).url_path}"]
    scene.eve.answers[GetSmall] = small(SmallFiles(None, right))

    async def late(exchange: faults.Exchange) -> None:
        await trio.sleep(1)
        await faults.send(exchange)

    scene.world.upstream.fault("/lookup/", late)
    answer = await scene.ann.file(module, "mod")
    assert answer.headers["P2pmods-Source"] == "peer"
    assert answer.content == right


async def test_an_evil_mod_while_the_database_cannot_be_reached(scene: Scene) -> None:
    module = scene.next_version()
    scene.world.upstream.fault("/sumdb/", faults.status(503))
    scene.eve.answers[GetSmall] = small(SmallFiles(None, EVIL_MOD))
    answer = await scene.ann.file(module, "mod")
    assert answer.headers["P2pmods-Source"] == "upstream"
    assert answer.content != EVIL_MOD


@pytest.mark.parametrize(
    "info",
    [
        info_of("v9.9.9"),
        info_of("v1.0.1", "yesterday"),
        b"<!DOCTYPE html>",
        b"",
        b'{"Version":"v1.0.1","Version":"v1.0.2"}',
        b"[" * 30_000,
    ],
)
async def test_an_info_that_is_none_of_this_version(scene: Scene, info: bytes) -> None:
    module = scene.next_version()
    scene.eve.answers[GetSmall] = small(SmallFiles(info, None))
    answer = await scene.ann.file(module, "info")
    assert answer.headers["P2pmods-Source"] == "upstream"
    assert answer.json()["Version"] == module.version


async def test_an_info_whose_time_contradicts_its_pseudo_version(scene: Scene) -> None:
    versions = (f"v0.0.0-20240102030405-{number:012x}" for number in range(1000))
    module = scene.world.publish(versions_at(scene.eve.node_id, scene.ann.node.node_id, versions)())
    scene.eve.answers[GetSmall] = small(SmallFiles(info_of(module.version, "2030-01-02T03:04:05Z"), None))
    answer = await scene.ann.file(module, "info")
    assert answer.headers["P2pmods-Source"] == "upstream"
    assert answer.json()["Time"] == "2024-01-02T03:04:05Z"


async def test_of_a_peers_info_nothing_but_version_and_time_is_kept(scene: Scene) -> None:
    module = scene.next_version()
    info = b'{"Version":"' + module.version.encode() + b'","Time":"2024-01-02T03:04:05Z","Origin":{"URL":"evil"}}'
    scene.eve.answers[GetSmall] = small(SmallFiles(info, None))
    answer = await scene.ann.file(module, "info")
    assert answer.headers["P2pmods-Source"] == "peer"
    assert answer.json() == {"Version": module.version, "Time": "2024-01-02T03:04:05Z"}


async def babble(call: Call) -> None:
    """A body without an end."""
    await call.reply_stream(SmallHead(READY))
    while True:
        await call.send(bytes(1 << 16))


async def promise(call: Call) -> None:
    """It is being fetched, for ever."""
    await call.reply_stream(SmallHead(FETCHING))
    await trio.sleep_forever()


BAD_SMALL: dict[str, Handler] = {
    "no end": babble,
    "just too long": sending(SmallHead(READY), bytes(MAX_SMALL_BODY + 1)),
    "no body": replying(SmallHead(READY)),
    "cut": sending(SmallHead(READY), b"\0\0\1\0abc"),
    "nonsense": sending(SmallHead(READY), bytes(100)),
    "a promise": promise,
    "a head of another kind": replying(FileHead(1, None)),
}


@pytest.mark.usefixtures("hasty")
@pytest.mark.parametrize("way", list(BAD_SMALL))
async def test_an_answer_that_is_no_small_files_counts_against_the_home(scene: Scene, way: str) -> None:
    module, other = scene.next_version(), scene.next_version()
    scene.eve.answers[GetSmall] = BAD_SMALL[way]
    await check_small(scene, module)
    assert scene.eve.count(GetSmall) == 1
    await check_small(scene, other)
    assert scene.eve.count(GetSmall) == 1


NO_HELP: dict[str, Handler] = {
    "yourself": replying(SmallHead(YOURSELF)),
    "silence": silent,
    "a refusal": refusing(NOT_HELD),
}


@pytest.mark.parametrize("way", list(NO_HELP))
async def test_a_home_that_is_no_help_is_asked_again_another_time(scene: Scene, way: str) -> None:
    scene.eve.answers[GetSmall] = NO_HELP[way]
    for number in range(1, 4):
        await check_small(scene, scene.next_version())
        assert scene.eve.count(GetSmall) == 2 * number


@pytest.mark.parametrize(("upstream_takes", "source"), [(0.0, "upstream"), (0.5, "peer")])
async def test_a_home_that_hesitates_is_waited_for_as_long_as_the_own_upstream_takes(
    scene: Scene, upstream_takes: float, source: str
) -> None:
    async def late(exchange: faults.Exchange) -> None:
        await trio.sleep(upstream_takes)
        await faults.send(exchange)

    scene.world.upstream.fault(".mod", late)
    scene.eve.answers[GetSmall] = replying(SmallHead(YOURSELF))
    for _ in range(3):
        assert (await scene.ann.file(scene.next_version(), "mod")).headers["P2pmods-Source"] == "upstream"
    module = scene.next_version()
    right = scene.world.upstream.files[f"/{FileKey(module, FileKind.MOD).url_path}"]

    async def hesitate(call: Call) -> None:
        await trio.sleep(3 * peers.PATIENCE)
        await small(SmallFiles(None, right))(call)

    scene.eve.answers[GetSmall] = hesitate
    assert (await scene.ann.file(module, "mod")).headers["P2pmods-Source"] == source


async def test_of_what_came_along_only_the_latest_is_remembered(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(peers, "_REMEMBERED", 1)
    modules = [scene.next_version(), scene.next_version()]

    async def info_only(call: Call) -> None:
        await small(SmallFiles(info_of(call.message.version), None))(call)

    scene.eve.answers[GetSmall] = info_only
    for module in modules:
        assert (await scene.ann.file(module, "mod")).headers["P2pmods-Source"] == "upstream"
    assert scene.eve.count(GetSmall) == 2
    for module, asked in zip(reversed(modules), (2, 3), strict=True):
        assert (await scene.ann.file(module, "info")).headers["P2pmods-Source"] == "peer"
        assert scene.eve.count(GetSmall) == asked


# Zips: where they are, and who fetches.


STRANGER = Ed25519PrivateKey.from_private_bytes(b"\x77" * 32)


def claim_answers(eve: Eve, ann: Client) -> dict[str, object]:
    """Answers to a Claim of Ann's that lead nowhere."""
    stranger, data = node_id(STRANGER), b"zip"
    invented = tuple([Holder(node_id(key), digest(data), 3, 0) for key in invented_keys(8)])
    key = SWARM.object_key(ModuleVersion("example.org/acme/other", "v1.0.0"))
    return {
        "invented holders": Providers(invented, (b"", b"\xc1", bytes(600))),
        "nobody": Providers((), ()),
        "ann herself": Providers((Holder(ann.node.node_id, digest(data), 3, 0),), ()),
        "wait for ann herself": Wait(Growing(ann.node.node_id, TOKEN, 0), limited=False, record=None),
        "wait for one invented": Wait(Growing(stranger, TOKEN, 0), limited=False, record=b"\xc1"),
        "a grant to eve": Grant(grant_terms(eve.key, key, eve.node_id, TOKEN)),
        "a grant for another key": Grant(grant_terms(eve.key, key, ann.node.node_id, TOKEN)),
        "a message of another kind": NotHeld(),
        "alone": Alone(0),
        "alone, later": Alone(2000),
    }


def invented_keys(count: int) -> list[Ed25519PrivateKey]:
    return [Ed25519PrivateKey.from_private_bytes(bytes([100 + number]) * 32) for number in range(count)]


@pytest.mark.usefixtures("hasty")
@pytest.mark.parametrize(
    "way",
    [
        "invented holders",
        "nobody",
        "ann herself",
        "wait for ann herself",
        "wait for one invented",
        "a grant to eve",
        "a grant for another key",
        "a message of another kind",
        "alone",
        "alone, later",
    ],
)
async def test_an_answer_to_a_claim_that_leads_nowhere(scene: Scene, way: str) -> None:
    scene.eve.answers[Claim] = replying(claim_answers(scene.eve, scene.ann)[way])
    await scene.check_served_from_upstream(scene.next_version())


async def test_a_home_that_never_answers_a_claim(scene: Scene) -> None:
    module, other = scene.next_version(), scene.next_version()
    scene.eve.answers[Claim] = silent
    await scene.check_served_from_upstream(module)
    asked = scene.eve.count(Claim)
    await scene.check_served_from_upstream(other)
    assert scene.eve.count(Claim) == asked == 1


async def test_a_home_that_is_back_is_asked_again_once(scene: Scene) -> None:
    """It may have been out of reach; one that is silent every time it comes back gains nothing by that."""
    scene.eve.answers[Claim] = silent
    host, _, port = scene.ann.peer.rpartition(":")
    for asked in (1, 2, 2):
        await scene.check_served_from_upstream(scene.next_version())
        assert scene.eve.count(Claim) == asked
        scene.eve.links.reset("out of reach")
        await scene.eve.meet(scene.ann.node_id, Endpoint(host, int(port)))


async def test_a_home_that_answers_adverts_again_is_asked_again(scene: Scene) -> None:
    """Its link may have outlived a network that was away for some seconds."""
    scene.eve.answers |= {Claim: silent, Advert: refusing(64)}
    await scene.check_served_from_upstream(scene.next_version())
    await wait_heard(scene.eve, Advert)
    await scene.check_served_from_upstream(scene.next_version())
    assert scene.eve.count(Claim) == 1
    del scene.eve.answers[Advert]
    await wait_heard(scene.eve, Advert)
    with trio.fail_after(10):
        while scene.eve.node_id in scene.mesh._strikes.struck(now=trio.current_time()):  # noqa: ASYNC110
            await trio.sleep(0.01)
    await scene.check_served_from_upstream(scene.next_version())
    assert scene.eve.count(Claim) == 2


async def wait_heard(eve: Eve, kind: type) -> None:
    """Until one more message of this class has reached her."""
    before = eve.count(kind)
    with trio.fail_after(10):
        while eve.count(kind) == before:  # noqa: ASYNC110 - she tells no one
            await trio.sleep(0.01)


async def test_a_home_that_grants_and_then_says_stop(scene: Scene) -> None:
    """Eve lets Ann fetch for all, and then sends her to a fetcher that never delivers."""
    module = scene.next_version()
    key = SWARM.object_key(module)
    began = trio.Event()

    async def grant(call: Call) -> None:
        await call.reply(Grant(grant_terms(scene.eve.key, key, scene.ann.node.node_id, TOKEN)))

    async def slowly(exchange: faults.Exchange) -> None:
        began.set()
        await faults.trickle(50, 0.05)(exchange)

    scene.eve.answers[Claim] = grant
    scene.eve.answers[GetFile] = sending(FileHead(None, None), b"PK\3\4nonsense")
    scene.world.upstream.fault(".zip", slowly)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(scene.check_served_from_upstream, module)
        await began.wait()
        growing = Growing(scene.eve.node_id, bytes(16), 1000)
        await scene.eve.tell(scene.ann, Stop(key, TOKEN, growing, scene.eve.record))
    assert scene.eve.count(GetFile) >= 1


@pytest.mark.parametrize("kind", ["stop", "release", "renew"])
async def test_notices_about_the_lease_of_another_change_nothing(scene: Scene, kind: str) -> None:
    """Ann is her own home and fetches for all."""
    module = scene.world.publish(versions_at(scene.ann.node.node_id, scene.eve.node_id)())
    key = SWARM.object_key(module)
    eve = scene.eve
    began = trio.Event()

    async def slowly(exchange: faults.Exchange) -> None:
        began.set()
        await faults.trickle(50, 0.05)(exchange)

    def notices(token: bytes) -> list[object]:
        terms = grant_terms(eve.key, key, eve.node_id, token)
        forged = grant_terms(STRANGER, key, eve.node_id, token)
        found: dict[str, list[object]] = {
            "stop": [Stop(key, token, Growing(eve.node_id, token, 1 << 20), eve.record)],
            "release": [Release(key, token, FAILED), Release(key, token, 0, Holding(key, bytes(32), 3))],
            "renew": [
                Renew(key, forged, 1 << 20, False, eve.record),
                Renew(key, terms, 0, False, b"\xc1"),
            ],
        }
        return found[kind]

    scene.world.upstream.fault(".zip", slowly)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(scene.check_served_from_upstream, module)
        await began.wait()
        intended = next(message for message in eve.heard if isinstance(message, Intend))
        tokens = [bytes(16)] if kind == "stop" else [intended.terms.token, bytes(16)]  # a home may say stop
        for notice in [notice for token in tokens for notice in notices(token)]:
            await eve.tell(scene.ann, notice)
        assert (await eve.ask(scene.ann, AskHead(scene.world.log.name, None))).message is not None
    assert scene.world.asked(f"{module.version}.zip") == 1
    assert eve.count(GetFile) == 0


@pytest.mark.parametrize("way", ["too few", "of another kind", "holders that do not exist"])
async def test_lookups_answered_badly_while_the_upstream_is_away(scene: Scene, way: str) -> None:
    module = scene.next_version()
    holder = Holder(node_id(STRANGER), bytes(32), 3, 0)
    answers: dict[str, object] = {
        "too few": Found((), (b"\xc1",)),
        "of another kind": SmallHead(READY),
        "holders that do not exist": Found((Location((holder,), None),), (b"\xc1",)),
    }
    scene.eve.answers[Lookup] = replying(answers[way])
    scene.world.upstream.fault("", faults.status(503))
    answer = await scene.ann.file(module, "mod")
    assert answer.status_code == 404, answer.text  # as without peers: go asks the next proxy
    assert "internal error" not in answer.text
    scene.world.upstream.behave()
    assert (await scene.ann.file(module, "mod")).status_code == 200


async def test_adverts_answered_with_nonsense(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feed, "_FIRST_RETRY", 0.02)
    answers = iter([replying(NotHeld()), replying(Advertised(bytes(8), 10**9)), replying(Advertised(bytes(8), None))])
    heard = trio.Event()

    async def badly(call: Call) -> None:
        answer = next(answers, None)
        if answer is None:
            heard.set()
            await call.reply(Advertised(call.message.session, call.message.sequence + 1))
        else:
            await answer(call)

    scene.eve.answers[Advert] = badly
    await scene.check_served_from_upstream(scene.next_version())
    with trio.fail_after(20):
        await heard.wait()  # Ann tells again


@pytest.mark.parametrize("proven", [True, False])
async def test_homes_are_told_of_what_was_fetched_for_all_only_when_it_is_proven(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, *, proven: bool
) -> None:
    monkeypatch.setattr(peering, "PROOF_TIME", 0.3)
    module = scene.world.publish(versions_at(scene.ann.node.node_id, scene.eve.node_id)())
    if not proven:
        scene.world.upstream.fault("/sumdb/", faults.status(503))
    assert (await scene.ann.file(module, "zip")).status_code == 200
    with trio.fail_after(20):
        while not scene.eve.count(Release):  # noqa: ASYNC110 - a notice comes when it comes
            await trio.sleep(0.02)
    release = next(message for message in scene.eve.heard if isinstance(message, Release))
    data = scene.world.zips[module]
    key = SWARM.object_key(module)
    assert release.holding == (Holding(key, digest(data), len(data)) if proven else None)


async def test_in_a_storm_the_lease_stands_until_what_was_fetched_for_all_is_proven_after_it(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits, over = trio.Event(), trio.Event()

    async def calm(_proofs: Proofs) -> None:
        waits.set()
        await over.wait()

    monkeypatch.setattr(Storm, "is_on", lambda _storm, *, now: True)
    monkeypatch.setattr(Storm, "wait", lambda _storm, *, now: 60.0)  # so that no commit wakes the queue of proofs
    monkeypatch.setattr(Proofs, "calm", calm)
    module = scene.world.publish(versions_at(scene.ann.node.node_id, scene.eve.node_id)())
    assert (await scene.ann.file(module, "zip")).status_code == 200
    with trio.fail_after(20):
        await waits.wait()
    assert scene.eve.count(Renew)
    assert not scene.eve.count(Release)
    assert not scene.world.asked(f"/lookup/{module.path}")
    over.set()
    with trio.fail_after(20):
        while not scene.eve.count(Release):  # noqa: ASYNC110 - a notice comes when it comes
            await trio.sleep(0.02)
    release = next(message for message in scene.eve.heard if isinstance(message, Release))
    assert release.holding is not None


# Floods.


async def test_a_flood_of_adverts_fills_no_more_than_one_nodes_share(scene: Scene) -> None:
    keys = [SWARM.key_of(f"example.org/flood@v1.0.{number}") for number in range(MAX_OF_NODE + 2000)]
    for number, start in enumerate(range(0, len(keys), 256)):
        added = tuple([Holding(key, bytes(32), 1) for key in keys[start : start + 256]])
        advert = Advert(b"\1" * 8, number, number == 0, scene.eve.record, added, ())
        answer = (await scene.eve.ask(scene.ann, advert)).message
        assert answer == Advertised(b"\1" * 8, number + 1)
    statistics = scene.mesh.desk.statistics()
    assert statistics.providers.entries <= MAX_OF_NODE + 8
    await scene.check_served_from_upstream(scene.next_version())


async def test_an_advert_with_the_record_of_another_is_refused(scene: Scene) -> None:
    other = scene.mesh.desk.advertiser.record
    with pytest.raises(PeerRefused, match="another node's"):
        await scene.eve.ask(scene.ann, Advert(b"\1" * 8, 0, True, other, (), ()))


async def test_a_flood_of_questions_about_records_is_answered(scene: Scene) -> None:
    replies: list[object] = []

    async def ask(number: int) -> None:
        question = AskRecord(scene.world.log.name, "example.org/none", f"v1.0.{number}", 0, 8)
        replies.append((await scene.eve.ask(scene.ann, question)).message)

    async with trio.open_nursery() as nursery:
        for number in range(500):
            nursery.start_soon(ask, number)
    assert replies == [NotHeld()] * 500
    await scene.check_served_from_upstream(scene.next_version())


async def test_claims_of_many_modules_fill_no_more_than_there_is_room_for(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(case, "MAX_CASES", 20)
    ability = Ability(PROXY, DATABASE | UPLOADS, 0)
    next_version = versions_at(scene.ann.node.node_id, scene.eve.node_id)
    kinds: list[type] = []

    async def claim(module: ModuleVersion) -> None:
        answer = await scene.eve.ask(scene.ann, Claim(str(module), ability, scene.eve.record))
        kinds.append(type(answer.message))

    async with trio.open_nursery() as nursery:
        for _ in range(60):
            nursery.start_soon(claim, next_version())
    assert kinds.count(Grant) == 20
    assert kinds.count(Alone) == 40
    assert scene.mesh.desk.statistics().leases.cases == 20
    assert scene.mesh.desk.statistics().calls == 0


async def test_directors_that_are_none_lead_nowhere(scene: Scene) -> None:
    """A node that names others gives their signed records, and whatever is no record is left out."""
    named = (b"", b"\xc1", bytes(600), scene.mesh.desk.advertiser.record, scene.eve.record)
    scene.eve.answers[WhoDirects] = replying(Directors(named))
    scene.mesh.roles.met()
    await scene.check_served_from_upstream(scene.next_version())


async def test_who_asks_to_be_dialled_is_dialled_at_its_own_address_alone(scene: Scene) -> None:
    listener = await trio.open_tcp_listeners(0, host="127.0.0.1")
    port = listener[0].socket.getsockname()[1]
    async with listener[0], trio.open_nursery() as nursery:
        nursery.start_soon(accept_and_close, listener[0])
        answer = await scene.eve.ask(scene.ann, DialBack(port))
        nursery.cancel_scope.cancel()
    assert answer.message == DialledBack(None)  # nobody there is Eve
    mine = await scene.eve.ask(scene.ann, DialBack(scene.eve.links.port))
    assert isinstance(mine.message, DialledBack)
    assert str(mine.message.endpoint) == f"127.0.0.1:{scene.eve.links.port}"


async def accept_and_close(listener: trio.SocketListener) -> None:
    while True:
        await (await listener.accept()).aclose()


async def test_a_tree_head_that_is_none_counts_against_its_giver(scene: Scene) -> None:
    assert scene.eve.count(AskHead) >= 1  # Ann compares what the database told whom
    scene.eve.answers[AskHead] = replying(HeadBundle(b"go.sum database tree\n0\nnonsense\n", ()))
    scene.eve.answers[AskTile] = replying(HeadBundle(b"", ()))
    await scene.check_served_from_upstream(scene.next_version())
    assert (await scene.ann.status())["alarms"] == []


async def test_nothing_of_this_is_an_error_of_links(scene: Scene) -> None:
    with pytest.raises(PeerError):
        await scene.eve.ask(scene.ann, Advertised(bytes(8), None))  # no request
    await scene.check_served_from_upstream(scene.next_version())
