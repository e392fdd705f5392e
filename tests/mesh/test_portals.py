"""A node whose own upstream is of no use, for a captive portal answers in its place, among others with better."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest
import trio

from p2pmods.directory.claimant import Claimant
from p2pmods.directory.home import LeaseHome
from p2pmods.fetch import peering
from p2pmods.gomod.module import ModuleVersion
from p2pmods.testing import upstream_faults as faults
from p2pmods.testing.upstream import FakeUpstream
from p2pmods.upstream import lookout
from tests.mesh.hostile import versions_at
from tests.world import wait_met

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from p2pmods.directory.actions import ClaimAction
    from tests.world import Client, Room, World


@asynccontextmanager
async def behind_a_portal(room: Room, *others: Client) -> AsyncIterator[tuple[Client, FakeUpstream]]:
    """Bob, who has met the others, and the portal."""
    portal = FakeUpstream()
    portal.fault("", faults.login_page())
    async with portal.running():
        bob = await room.start("bob", *others, upstream=portal.url)
        await wait_met(bob, *others)
        yield bob, portal


@pytest.mark.parametrize("home", ["ann", "bob"])
@pytest.mark.parametrize("kind", ["info", "mod"])
async def test_small_files_that_nobody_holds_come_by_a_home_with_a_better_upstream(
    world: World, room: Room, home: str, kind: str
) -> None:
    ann = await room.start("ann")
    async with behind_a_portal(room, ann) as (bob, _portal):
        first, second = (ann, bob) if home == "ann" else (bob, ann)
        module = world.publish(versions_at(first.node_id, second.node_id)())
        answer = await bob.file(module, kind)
        assert answer.status_code == 200, answer.text
        assert answer.headers["P2pmods-Source"] == "peer"


@pytest.mark.parametrize(("fault", "is_fault_of_the_way"), [(faults.login_page(), True), (faults.status(403), False)])
async def test_that_nobody_gets_to_the_upstream_is_not_told_as_a_failure_of_the_fetcher(
    world: World, room: Room, monkeypatch: pytest.MonkeyPatch, fault: faults.Fault, *, is_fault_of_the_way: bool
) -> None:
    monkeypatch.setattr(peering, "OTHERS_TIME", 0.0)
    told, failed = [], Claimant.failed

    def tell(self: Claimant, *, out_of_reach: bool = False) -> list[ClaimAction]:
        told.append(out_of_reach)
        return failed(self, out_of_reach=out_of_reach)

    monkeypatch.setattr(Claimant, "failed", tell)
    ann = await room.start("ann")
    bob = await room.start("bob", ann)
    await wait_met(ann, bob)
    module = world.publish()
    world.upstream.fault("v1.0.0.zip", fault)
    assert (await bob.file(module, "zip")).status_code in (403, 404)
    assert told == [is_fault_of_the_way]


async def test_when_an_upstream_is_in_reach_again_that_is_noticed_and_nobody_is_blamed_for_what_was(
    world: World, room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lookout, "EVERY", 0.05)
    pardoned = trio.Event()
    monkeypatch.setattr(LeaseHome, "pardon_all", lambda _home: pardoned.set())
    away = FakeUpstream()
    async with away.running():
        url = away.url
    ann = await room.start("ann", upstream=url)
    assert (await ann.file(world.publish(), "mod")).status_code == 404
    assert (await ann.status())["upstream"]["state"] == "offline"
    assert not pardoned.is_set()
    async with away.running():
        with trio.fail_after(20):
            await pardoned.wait()
        assert (await ann.status())["upstream"]["state"] == "online"


async def test_what_no_upstream_of_anybody_delivers_fails_and_the_next_one_at_once(
    world: World, room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(peering, "OTHERS_TIME", 1.0)
    ann = await room.start("ann")
    module, other = world.publish(), world.publish(ModuleVersion("example.org/acme/other", "v1.0.0"))
    world.upstream.fault("/@v/", faults.status(403))
    async with behind_a_portal(room, ann) as (bob, _portal):
        assert (await bob.file(module, "mod")).status_code == 404
        before = trio.current_time()
        assert (await bob.file(module, "zip")).status_code == 404
        assert trio.current_time() >= before + 1.0
        monkeypatch.setattr(peering, "OTHERS_TIME", 60.0)
        with trio.fail_after(30):
            assert (await bob.file(other, "zip")).status_code == 404


async def test_a_zip_comes_from_who_fetches_it_a_moment_later(world: World, room: Room) -> None:
    ann = await room.start("ann")
    module = world.publish()
    async with behind_a_portal(room, ann) as (bob, portal), trio.open_nursery() as nursery:

        async def ask_bob() -> None:
            answer = await bob.file(module, "zip")
            assert answer.status_code == 200, answer.text
            assert answer.headers["P2pmods-Source"] == "peer"

        nursery.start_soon(ask_bob)
        with trio.fail_after(20):
            while not any(path.endswith(".zip") for path in portal.requests):  # noqa: ASYNC110 - a server's log
                await trio.sleep(0.01)
        assert (await ann.file(module, "zip")).status_code == 200
    assert world.asked(".zip") == 1
