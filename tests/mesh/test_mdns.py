"""Nodes find one another by multicast DNS, here on the loopback interface; lies and floods make hints at most."""

from __future__ import annotations

import asyncio
import secrets
import socket
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest
import trio
import trio.testing
import zeroconf
import zeroconf.asyncio

from p2pmods.config.values import Address
from p2pmods.identity.key import id_of_public
from p2pmods.mesh import mdns as mdns_module
from p2pmods.mesh import mdns_session
from p2pmods.mesh.interfaces import Presence, presence, read_interfaces
from p2pmods.mesh.kinds import Kind
from p2pmods.mesh.mdns import MAX_WAITING, TRY_AGAIN, Crossing, Mdns
from p2pmods.mesh.mdns_record import SERVICE, Hint, instance_name, text_of
from tests.mesh.people import captured_log, interface

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

PATIENCE = 20.0  # seconds; everything here takes a tenth of one
NOWHERE = presence([interface("tun0", Kind.VPN, "10.8.0.2/24")], "", 4000)


def here(port: int) -> Presence:
    return presence(read_interfaces(), "127.0.0.1", port)


def somebody() -> str:
    """A node id that nobody else on this machine has: tests may run beside one another."""
    return id_of_public(secrets.token_bytes(32))


@pytest.fixture
def tag() -> str:
    return secrets.token_hex(8)


@asynccontextmanager
async def announced(tag: str, port: int) -> AsyncIterator[tuple[Mdns, str]]:
    """A node that announces itself on the loopback interface, and its id."""
    node_id = somebody()
    mdns = Mdns(node_id, tag)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(mdns.run, here(port))
        yield mdns, node_id
        nursery.cancel_scope.cancel()


async def heard(mdns: Mdns) -> tuple[str, Address]:
    with trio.fail_after(PATIENCE):
        hint = await mdns.hints.receive()
    return hint.node_id, hint.addresses[0]


async def until(condition: Callable[[], bool]) -> None:
    with trio.fail_after(PATIENCE):
        while not condition():  # noqa: ASYNC110 - another thread makes it true
            await trio.sleep(0.001)


class Liar:
    """Says by multicast whatever it is told to, as no library would."""

    def __init__(self) -> None:
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton("127.0.0.1"))

    def say(
        self, node_id: str, text: dict[str, Any], port: int = 4666, host: str = "127.0.0.1", *, name: bytes = b""
    ) -> None:
        """`name` takes the place of the node id, and has its length."""
        full = instance_name(node_id)
        info = zeroconf.ServiceInfo(
            SERVICE, full, port=port, server=full, properties=text, parsed_addresses=[host]
        )  # fmt: skip
        out = zeroconf.DNSOutgoing(0x8400)  # type: ignore[attr-defined]  # an authoritative answer
        for record in (info.dns_pointer(), info.dns_service(), info.dns_text(), *info.dns_addresses()):
            out.add_answer_at_time(record, 0)
        for packet in out.packets():
            self.socket.sendto(packet.replace(node_id.encode(), name or node_id.encode()), ("224.0.0.251", 5353))


@pytest.fixture
def liar() -> Iterator[Liar]:
    liar = Liar()
    with liar.socket:
        yield liar


async def test_two_nodes_on_one_machine_find_each_other(tag: str) -> None:
    async with announced(tag, 4001) as (ann, anns_id), announced(tag, 4002) as (bob, bobs_id):
        assert await heard(ann) == (bobs_id, Address("127.0.0.1", 4002))
        assert await heard(bob) == (anns_id, Address("127.0.0.1", 4001))


async def test_swarms_do_not_see_each_other(tag: str) -> None:
    async with announced(tag, 4001) as (ann, _), announced(f"{tag}x", 4002), announced(tag, 4003) as (_, eves_id):
        assert await heard(ann) == (eves_id, Address("127.0.0.1", 4003))
        assert ann.statistics().hints == 1


async def test_a_node_that_moves_is_heard_again(tag: str) -> None:
    async with announced(tag, 4001) as (ann, _), announced(tag, 4002) as (bob, bobs_id):
        assert await heard(ann) == (bobs_id, Address("127.0.0.1", 4002))
        bob.move(here(4003))
        assert await heard(ann) == (bobs_id, Address("127.0.0.1", 4003))


async def test_a_node_that_moves_hears_the_others_again(tag: str) -> None:
    async with announced(tag, 4001) as (ann, _), announced(tag, 4002) as (_, bobs_id):
        assert await heard(ann) == (bobs_id, Address("127.0.0.1", 4002))
        ann.move(here(4001))  # as after a sleep
        assert await heard(ann) == (bobs_id, Address("127.0.0.1", 4002))


async def test_a_node_that_stops_says_goodbye(tag: str) -> None:
    removed = trio.Event()
    token = trio.lowlevel.current_trio_token()
    async with announced(tag, 4001) as (ann, _):
        async with announced(tag, 4002) as (_, bobs_id):
            await heard(ann)

            class Listener(zeroconf.ServiceListener):
                def add_service(self, _: object, __: str, name: str) -> None:
                    if name == instance_name(bobs_id):
                        token.run_sync_soon(known.set)

                def update_service(self, *_: object) -> None: ...

                def remove_service(self, _: object, __: str, name: str) -> None:
                    if name == instance_name(bobs_id):
                        token.run_sync_soon(removed.set)

            known = trio.Event()
            watcher = zeroconf.Zeroconf(interfaces=["127.0.0.1"], use_asyncio=False)
            browser = zeroconf.ServiceBrowser(watcher, SERVICE, Listener())
            with trio.fail_after(PATIENCE):
                await known.wait()
        with trio.fail_after(PATIENCE):
            await removed.wait()
    browser.cancel()
    watcher.close()


async def test_what_is_said_of_this_node_is_ignored_and_so_is_nonsense(tag: str, liar: Liar) -> None:
    async with announced(tag, 4001) as (ann, anns_id), announced(tag, 4002) as (_, bobs_id):
        assert await heard(ann) == (bobs_id, Address("127.0.0.1", 4002))
        liar.say(anns_id, text_of(tag))
        liar.say("printer", text_of(tag))
        liar.say(eve := somebody(), text_of(tag), name=eve[:-4].encode() + b"\x1b[2J")
        liar.say(eve := somebody(), text_of(tag), name=eve[:-2].encode() + b"\xff\x00")
        liar.say(somebody(), text_of(tag), port=0)
        liar.say(somebody(), text_of(tag), host="8.8.8.8")
        liar.say(somebody(), {**text_of(tag), "x": b"y" * 200, "z": b"y" * 200})
        liar.say(somebody(), {"s": tag})
        last = somebody()
        liar.say(last, text_of(tag))
        assert await heard(ann) == (last, Address("127.0.0.1", 4666))
        assert ann.statistics().problem == ""


async def test_a_flood_is_cut_off_and_the_node_is_still_found(tag: str, liar: Liar) -> None:
    async with announced(tag, 4001) as (ann, anns_id):
        async with announced(tag, 4002) as (bob, _):
            await heard(ann)
            await heard(bob)
        for _ in range(500):
            liar.say(somebody(), text_of(tag))
        await until(lambda: ann.statistics().dropped > 0)
        assert ann.hints.statistics().current_buffer_used <= MAX_WAITING
        async with announced(tag, 4003) as (eve, _):
            with trio.fail_after(PATIENCE):
                while (await heard(eve))[0] != anns_id:
                    pass
        assert ann.statistics().problem == ""


async def test_a_flood_that_goes_on_is_looked_at_no_faster_than_the_pace(
    tag: str, liar: Liar, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with announced(tag, 4001) as (eve, _), announced(tag, 4003):
        await heard(eve)
        monkeypatch.setattr(mdns_session, "LOOKS_AT_ONCE", 2.0)
        monkeypatch.setattr(mdns_session, "LOOKS_PER_SECOND", 0.0)
        async with announced(tag, 4002) as (ann, _):
            await heard(ann)
            for _ in range(10):
                liar.say(somebody(), text_of(tag))
            await until(lambda: eve.statistics().hints == 12)
            assert ann.statistics().hints <= 2


async def test_only_so_many_are_asked_for_their_addresses_at_once(
    tag: str, liar: Liar, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    known: list[str] = []

    class Silent(zeroconf.asyncio.AsyncServiceInfo):
        def load_from_cache(self, *_: object) -> bool:
            known.append(self.name)
            return False

        async def async_request(self, *_: object) -> bool:
            asked.append(self.name)
            await asyncio.sleep(3600)
            return False

    async with announced(tag, 4001) as (ann, _), announced(tag, 4002):
        await heard(ann)
        monkeypatch.setattr(zeroconf.asyncio, "AsyncServiceInfo", Silent)
        for _ in range(40):
            liar.say(somebody(), text_of(tag))
        await until(lambda: len(known) >= 80)  # both nodes look
    assert len(asked) == 2 * mdns_session.MAX_ASKING


async def test_what_was_heard_is_looked_at_again(tag: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mdns_session, "SECOND_LOOK", 0.05)
    async with announced(tag, 4001) as (ann, _), announced(tag, 4002) as (_, bobs_id):
        for _ in range(5):
            assert (await heard(ann))[0] == bobs_id


class BusyTrio:
    """A token of a trio that has no time just now."""

    def __init__(self) -> None:
        self.later: list[Callable[[], None]] = []

    def run_sync_soon(self, call: Callable[[], None], *, idempotent: bool = False) -> None:
        if not idempotent or call not in self.later:
            self.later.append(call)


def test_hints_do_not_pile_up_while_trio_is_busy() -> None:
    trio_token = BusyTrio()
    taken: list[Hint] = []
    lost: list[int] = []
    crossing = Crossing(trio_token, lambda: None, taken.append, lambda: lost.append(1))  # type: ignore[arg-type]
    for _ in range(1000):
        crossing.heard(Hint(somebody(), ()))
    assert len(trio_token.later) == 2
    for call in trio_token.later:
        call()
    assert len(taken) == MAX_WAITING
    assert lost


class Refusing:
    """A zeroconf that cannot be had, once or for ever."""

    def __init__(self, error: Exception) -> None:
        self.error = error
        self.calls = 0

    def __call__(self, **_: object) -> object:
        self.calls += 1
        raise self.error


@pytest.mark.parametrize(
    "error", [OSError(98, "Address already in use"), RuntimeError("no adapter"), AssertionError("a fault")], ids=repr
)
async def test_without_multicast_it_says_so_once_and_tries_now_and_then(
    tag: str, error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    refusing = Refusing(error)
    monkeypatch.setattr(zeroconf.asyncio, "AsyncZeroconf", refusing)
    monkeypatch.setattr("p2pmods.mesh.mdns.TRY_AGAIN", 0.001)
    logs = captured_log(monkeypatch, mdns_module)
    async with announced(tag, 4001) as (ann, _):
        await until(lambda: refusing.calls >= 3)
        assert ann.statistics().problem == str(error)
    assert [entry["log_level"] for entry in logs if entry["log_level"] != "debug"] == ["warning"]


class Deaf:
    """A zeroconf that no interface let in."""

    def __init__(self, **_: object) -> None:
        self.zeroconf = self.engine = self
        self.senders: list[object] = []

    async def async_wait_for_start(self) -> None: ...

    async def async_close(self) -> None: ...


async def test_interfaces_that_take_no_multicast_are_a_problem_until_others_do(
    tag: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(zeroconf.asyncio, "AsyncZeroconf", Deaf)
    async with announced(tag, 4001) as (ann, _):
        await until(lambda: ann.statistics().problem == "no interface takes multicast")
        monkeypatch.undo()
        ann.move(here(4001))
        async with announced(tag, 4002) as (_, bobs_id):
            assert (await heard(ann))[0] == bobs_id
            assert ann.statistics().problem == ""


async def test_nothing_is_said_where_nobody_is(autojump_clock: trio.testing.MockClock, tag: str) -> None:
    mdns = Mdns(somebody(), tag)
    with trio.move_on_after(10 * TRY_AGAIN):
        await mdns.run(NOWHERE)
    assert "no interface" in mdns.statistics().problem
