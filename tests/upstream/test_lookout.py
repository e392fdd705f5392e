"""An upstream that is out of reach is looked after while somebody wants something of it, and cheaply."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import trio

from p2pmods.testing import upstream_faults as faults
from p2pmods.testing.upstream import FakeUpstream
from p2pmods.upstream.failure import Unreachable
from p2pmods.upstream.limits import Want
from p2pmods.upstream.lookout import EVERY, PATIENCE, Lookout
from p2pmods.upstream.offline import WANTED_FOR, OfflineState

if TYPE_CHECKING:
    from trio.testing import MockClock

    from p2pmods.upstream.proxy import ProxyClient

HOST = "proxy.example.com:443"
MODULE = "x/@v/v1.0.0.mod"


class Line:
    """Somebody asked of HOST, in vain; `looks` says when it was looked after, and nobody ever answers."""

    def __init__(self) -> None:
        self.offline = OfflineState()
        self.authorities = frozenset({HOST})
        self.looks: list[float] = []
        self.given_up: list[float] = []
        now = trio.current_time()
        self.offline.failed(HOST, started=now, now=now)

    async def look(self, authority: str) -> None:
        assert authority == HOST
        self.looks.append(trio.current_time())
        try:
            await trio.sleep_forever()
        finally:
            self.given_up.append(trio.current_time())


async def look_out(line: Any, seconds: float, *, fraction: float = 0.0) -> None:
    with trio.move_on_after(seconds):
        await Lookout(line, lambda: fraction).run()


async def test_a_host_is_looked_after_every_two_seconds_while_it_is_wanted(autojump_clock: MockClock) -> None:
    line = Line()
    start = trio.current_time()
    await look_out(line, 1000)
    assert [round(at - start, 3) for at in line.looks] == [EVERY * n for n in range(1, int(WANTED_FOR / EVERY))]


async def test_looks_are_further_apart_by_chance_and_none_takes_long(autojump_clock: MockClock) -> None:
    line = Line()
    await look_out(line, 100, fraction=0.8)
    pauses = [round(after - before, 3) for before, after in zip(line.looks, line.looks[1:], strict=False)]
    assert set(pauses) == {EVERY * 1.2}
    assert line.given_up[0] - line.looks[0] == pytest.approx(PATIENCE)


async def test_what_is_in_reach_is_left_alone(autojump_clock: MockClock) -> None:
    line = Line()
    line.offline.succeeded(HOST, now=trio.current_time())
    await look_out(line, 100)
    assert line.looks == []


async def fail_to_reach(client: ProxyClient) -> tuple[FakeUpstream, str]:
    """An upstream of which something was wanted while it was away, and its authority."""
    server = FakeUpstream()
    async with server.running():
        url = server.url
    with pytest.raises(Unreachable):
        await client.get(url, MODULE, Want.MOD)
    (authority,) = client.authorities
    return server, authority


async def test_whoever_answers_is_in_reach_for_all_and_hears_no_name(client: ProxyClient) -> None:
    server, authority = await fail_to_reach(client)
    told: list[str] = []
    client.offline.on_back = lambda: told.append("back")
    async with server.running():
        await client.look(authority)
        assert server.requests == ["/sumdb/sum.golang.org/supported"]
        assert client.offline.wait(authority, now=trio.current_time()) == 0
        assert client.offline.wait(authority, now=trio.current_time()) == 0
        assert told == ["back"]


@pytest.mark.parametrize("fault", [faults.status(500), faults.status(403), faults.body(b"")])
async def test_any_answer_is_one(client: ProxyClient, fault: faults.Fault) -> None:
    server, authority = await fail_to_reach(client)
    server.fault("", fault)
    async with server.running():
        await client.look(authority)
        assert not client.offline.offline


@pytest.mark.parametrize("fault", [faults.login_page(), faults.hang()])
async def test_a_login_page_and_silence_are_none(client: ProxyClient, fault: faults.Fault) -> None:
    server, authority = await fail_to_reach(client)
    server.fault("", fault)
    async with server.running():
        await client.look(authority)
        assert client.offline.offline


async def test_who_is_away_stays_so(client: ProxyClient) -> None:
    _, authority = await fail_to_reach(client)
    await client.look(authority)
    assert client.offline.offline


async def test_a_connection_from_before_the_outage_is_not_used_after_it(client: ProxyClient) -> None:
    server = FakeUpstream()
    server.files = {f"/{MODULE}": b"module x\n"}
    async with server.running():
        await client.get(server.url, MODULE, Want.MOD)
        (authority,) = client.authorities
        server.fault("v2.0.0", faults.hang())
        async with trio.open_nursery() as nursery:  # two at once are two connections, of which one is idle then

            async def hang() -> None:
                with pytest.raises(Unreachable):
                    await client.get(server.url, "x/@v/v2.0.0.mod", Want.MOD)

            nursery.start_soon(hang)
            await trio.testing.wait_all_tasks_blocked()
            await client.get(server.url, MODULE, Want.MOD)
        before = server.connections
        client.offline.succeeded(authority, now=trio.current_time())
        await client.get(server.url, MODULE, Want.MOD)
        assert server.connections == before + 1
