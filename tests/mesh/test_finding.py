"""Other nodes are found by whichever way leads to them."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
import trio
import trio.testing

from p2pmods.config.values import Address
from p2pmods.errors import Unavailable
from p2pmods.identity.records import Endpoint
from p2pmods.mesh.finding import Discovery, Sources
from p2pmods.mesh.interfaces import presence
from p2pmods.mesh.kinds import Kind
from p2pmods.mesh.mdns_record import Hint
from p2pmods.mesh.remembered import Member, RememberedMembers
from tests.mesh.people import ANN, BOB, EVE, at, interface, node

if TYPE_CHECKING:
    from pathlib import Path

    from p2pmods.mesh.interfaces import Presence

HERE = presence([interface("eth0", Kind.WIRED, "10.0.0.1/24")], "", 4000)
BOBS = at("10.0.0.2:4000")


@dataclass
class Network:
    """Who is where. `members` are those that answered and have not left since."""

    nodes: dict[Address, str]
    members: set[str] = field(default_factory=set)
    dialled: list[tuple[float, Address]] = field(default_factory=list)
    silent: set[Address] = field(default_factory=set)

    async def dial(self, address: Address, expect: str | None) -> str:
        self.dialled.append((trio.current_time(), address))
        await trio.sleep_forever() if address in self.silent else await trio.sleep(0.01)
        found = self.nodes.get(address)
        if found is None:
            raise ConnectionRefusedError(111, "Connection refused")
        if expect not in (None, found):
            raise Unavailable(str(address), "another node")
        self.members.add(found)
        return found

    def discovery(self, sources: Sources) -> Discovery:
        return Discovery(
            ANN,
            self.dial,
            sources,
            is_member=self.members.__contains__,
            entropy=random.Random(1),
        )


async def run_for(seconds: float, discovery: Discovery) -> None:
    with trio.move_on_after(seconds):
        await discovery.run(HERE)


async def test_a_configured_peer(autojump_clock: trio.testing.MockClock) -> None:
    network = Network({BOBS: BOB})
    discovery = network.discovery(Sources(peers=(BOBS,)))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(discovery.run, HERE)
        await trio.sleep(0.5)
        nursery.cancel_scope.cancel()
    assert network.members == {BOB}


class Resolver(trio.abc.HostnameResolver):
    """Knows one name, or takes for ever."""

    def __init__(self, *addresses: str) -> None:
        self.addresses = addresses

    async def getaddrinfo(self, host: object, *_: object, **__: object) -> list[Any]:
        if not self.addresses:
            await trio.sleep_forever()
        return [(0, 0, 0, "", (ip, 0)) for ip in self.addresses]

    async def getnameinfo(self, *_: object) -> tuple[str, str]:
        raise NotImplementedError


BY_NAME = Sources(peers=(at("bob.example.com:4000"),))


async def test_a_peer_by_name_at_the_second_of_its_addresses(autojump_clock: trio.testing.MockClock) -> None:
    trio.socket.set_custom_hostname_resolver(Resolver("10.0.0.9", "10.0.0.2"))
    network = Network({BOBS: BOB}, silent={at("10.0.0.9:4000")})
    await run_for(10, network.discovery(BY_NAME))
    assert network.members == {BOB}


async def test_a_name_with_many_addresses_is_tried_at_a_few(autojump_clock: trio.testing.MockClock) -> None:
    trio.socket.set_custom_hostname_resolver(Resolver(*(f"10.0.1.{n}" for n in range(16))))
    network = Network({})
    await run_for(0.5, network.discovery(BY_NAME))
    assert len(network.dialled) == 4


async def test_a_resolver_that_does_not_answer_is_a_failure(autojump_clock: trio.testing.MockClock) -> None:
    trio.socket.set_custom_hostname_resolver(Resolver())
    discovery = Network({}).discovery(BY_NAME)
    await run_for(15, discovery)
    assert discovery.statistics().failures == 1


async def test_a_crowd_is_met_without_growing(autojump_clock: trio.testing.MockClock) -> None:
    discovery = Network({}).discovery(Sources())
    for n in range(1000):
        discovery.met(node(str(n)))
    assert discovery.statistics().met == 128


async def test_a_peer_that_comes_later_is_found_later(autojump_clock: trio.testing.MockClock) -> None:
    network = Network({})
    discovery = network.discovery(Sources(peers=(BOBS,)))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(discovery.run, HERE)
        await trio.sleep(3600)
        network.nodes[BOBS] = BOB
        await trio.sleep(90)
        assert network.members == {BOB}
        assert discovery.statistics().failures > 40
        nursery.cancel_scope.cancel()


async def test_who_is_heard_on_the_network(autojump_clock: trio.testing.MockClock) -> None:
    network = Network({BOBS: BOB})
    send, hints = trio.open_memory_channel[Hint](10)
    discovery = network.discovery(Sources(hints=hints))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(discovery.run, HERE)
        await trio.sleep(0.2)
        await send.send(Hint(BOB, (at("10.0.0.66:4000"), BOBS)))
        await trio.sleep(0.5)
        assert network.members == {BOB}
        nursery.cancel_scope.cancel()


async def test_a_hint_that_lies_about_who_is_there_makes_no_member(
    autojump_clock: trio.testing.MockClock,
) -> None:
    network = Network({BOBS: BOB})
    send, hints = trio.open_memory_channel[Hint](10)
    await send.send(Hint(EVE, (BOBS,)))
    discovery = network.discovery(Sources(hints=hints))
    await run_for(10, discovery)
    assert network.members == set()
    assert discovery.statistics().met == 0


async def test_what_others_pass_on(autojump_clock: trio.testing.MockClock) -> None:
    network = Network({BOBS: BOB})
    discovery = network.discovery(Sources())
    async with trio.open_nursery() as nursery:
        nursery.start_soon(discovery.run, HERE)
        await trio.testing.wait_all_tasks_blocked()
        discovery.learned(BOB, [Endpoint(BOBS.host, BOBS.port)])
        await trio.sleep(0.1)
        assert network.members == {BOB}
        nursery.cancel_scope.cancel()


@pytest.fixture
def data(tmp_path: Path) -> Path:
    (tmp_path / "tmp").mkdir()
    return tmp_path


async def test_the_next_run_finds_whom_this_one_met(autojump_clock: trio.testing.MockClock, data: Path) -> None:
    await run_for(1, Network({BOBS: BOB}).discovery(Sources((BOBS,), RememberedMembers(data, "tag"))))
    again = Network({BOBS: BOB})
    await run_for(1, again.discovery(Sources(remembered=RememberedMembers(data, "tag"))))
    assert again.members == {BOB}


async def test_a_kill_forgets_at_most_half_a_minute(autojump_clock: trio.testing.MockClock, data: Path) -> None:
    remembered = RememberedMembers(data, "tag")
    discovery = Network({}).discovery(Sources(remembered=remembered))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(discovery.run, HERE)
        discovery.met(BOB, [Endpoint("10.0.0.2", 4000)])
        await trio.sleep(31)
        assert remembered.read() == (Member(BOB, (Endpoint("10.0.0.2", 4000),)),)
        nursery.cancel_scope.cancel()


async def test_the_last_met_is_remembered_first_and_those_not_met_are_kept(
    autojump_clock: trio.testing.MockClock, data: Path
) -> None:
    end = Endpoint("10.0.0.2", 4000)
    remembered = RememberedMembers(data, "tag")
    remembered.write([Member(BOB, (end,)), Member(EVE, (end,))])
    discovery = Network({}).discovery(Sources(remembered=remembered))
    discovery.met(EVE, [end])
    discovery.met(node("new"), [end])
    discovery.met(EVE)  # its addresses stay
    await run_for(1, discovery)
    assert [member.node_id for member in remembered.read()] == [EVE, node("new"), BOB]


async def test_offline_at_the_start_costs_no_memory_of_anybody(
    autojump_clock: trio.testing.MockClock, data: Path
) -> None:
    remembered = RememberedMembers(data, "tag")
    remembered.write([Member(BOB, (Endpoint("10.0.0.2", 4000),))])
    network = Network({})
    discovery = network.discovery(Sources(remembered=remembered))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(discovery.run, HERE)
        await trio.sleep(3600)
        assert discovery.statistics().candidates == 0
        network.nodes[BOBS] = BOB
        discovery.move(HERE)
        await trio.sleep(0.1)
        assert network.members == {BOB}
        nursery.cancel_scope.cancel()


async def test_silent_addresses_hold_up_nobody_for_long(autojump_clock: trio.testing.MockClock) -> None:
    silent = [at(f"10.0.0.{n}:4000") for n in range(100, 120)]
    network = Network({BOBS: BOB}, silent=set(silent))
    discovery = network.discovery(Sources(peers=(*silent, BOBS)))
    await run_for(20, discovery)
    assert network.members == {BOB}


async def test_a_room_that_starts_together_is_not_dialled_through(
    autojump_clock: trio.testing.MockClock,
) -> None:
    network = Network({at(f"10.0.0.{n}:1"): node(str(n)) for n in range(2, 202)})
    send, hints = trio.open_memory_channel[Hint](1000)
    for address, node_id in network.nodes.items():
        send.send_nowait(Hint(node_id, (address,)))

    async def dial(address: Address, expect: str | None) -> str:
        found = await Network.dial(network, address, expect)
        network.members.update(network.nodes.values())  # membership tells of all others
        return found

    network.dial = dial  # type: ignore[method-assign]
    await run_for(30, network.discovery(Sources(hints=hints)))
    assert len(network.dialled) <= 3


async def test_an_ipv6_address_keeps_its_scope(autojump_clock: trio.testing.MockClock, data: Path) -> None:
    there = Address("fe80::2%eth0", 4000)
    network = Network({there: BOB})
    send, hints = trio.open_memory_channel[Hint](10)
    send.send_nowait(Hint(BOB, (there,)))
    remembered = RememberedMembers(data, "tag")
    await run_for(1, network.discovery(Sources(hints=hints, remembered=remembered)))
    assert network.members == {BOB}
    assert remembered.read() == ()  # it means nothing in another run


async def test_a_node_that_dns_names_is_asked_for_once_on_every_network(
    autojump_clock: trio.testing.MockClock,
) -> None:
    network, asked = Network({BOBS: BOB}), []

    async def ask(here: Presence) -> tuple[Address, ...]:
        await trio.lowlevel.checkpoint()
        asked.append(here)
        return (BOBS,)

    discovery = network.discovery(Sources(service=ask))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(discovery.run, HERE)
        await trio.sleep(100)
        assert asked == [HERE]
        assert network.members == {BOB}
        elsewhere = presence([interface("eth0", Kind.WIRED, "10.0.7.1/24")], "", 4000)
        discovery.move(elsewhere)
        await trio.sleep(100)
        assert asked == [HERE, elsewhere]
        nursery.cancel_scope.cancel()
