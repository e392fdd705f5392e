"""Nodes that a name server names: what is believed of its answer, and that no answer does harm."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.resolver
import dns.rrset
import pytest
import trio

from p2pmods.config import load_config
from p2pmods.mesh import srv
from p2pmods.mesh.interfaces import presence
from p2pmods.mesh.kinds import Kind
from p2pmods.mesh.srv import MAX_ADDRESSES, MAX_DOMAINS, MAX_TARGETS, named_nodes
from p2pmods.node.meshing import Meshing
from tests.mesh.people import at, interface
from tests.mesh.world import KEYS

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

LAN = presence([interface("eth0", Kind.WIRED, "10.0.0.1/24")], "", 4000)
LOOPBACK = presence([interface("lo", Kind.LOOPBACK, "127.0.0.1/8")], "", 4000)
NAME = "_p2pmods._tcp.example.org."


@dataclass
class NameServer:
    """`records` are SRV data; `spoil` makes something else of an answer, None being silence."""

    records: list[str] = field(default_factory=list)
    kind: str = "SRV"
    rcode: int = dns.rcode.NOERROR
    spoil: Callable[[bytes], bytes | None] = lambda data: data
    asked: list[str] = field(default_factory=list)
    port: int = 0
    search: tuple[str, ...] = ("example.org.",)
    hosts: dict[str, list[str]] = field(default_factory=dict)

    def resolver(self) -> dns.resolver.Resolver:
        made = dns.resolver.Resolver(configure=False)
        made.nameservers, made.port = ["127.0.0.1"], self.port
        made.search = [dns.name.from_text(domain) for domain in self.search]
        made.domain = dns.name.root
        return made

    async def serve(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        with trio.socket.socket(trio.socket.AF_INET, trio.socket.SOCK_DGRAM) as sock:
            await sock.bind(("127.0.0.1", 0))
            self.port = sock.getsockname()[1]
            task_status.started()
            while True:
                data, sender = await sock.recvfrom(4096)
                answer = self.spoil(self.answer(dns.message.from_wire(data)))
                if answer is not None:
                    await sock.sendto(answer, sender)

    def answer(self, query: dns.message.Message) -> bytes:
        name = query.question[0].name
        self.asked.append(name.to_text())
        response = dns.message.make_response(query)
        response.set_rcode(dns.rcode.Rcode(self.rcode))
        if self.records:
            response.answer.append(dns.rrset.from_text_list(name, 60, "IN", self.kind, self.records))
        return response.to_wire()

    # Of host names.

    async def getaddrinfo(self, host: bytes | str, *_: object, **__: object) -> list[Any]:
        await trio.lowlevel.checkpoint()
        text = host.decode() if isinstance(host, bytes) else host
        if text not in self.hosts:
            raise OSError(-2, "Name or service not known")
        return [(0, 0, 0, "", (ip, 0)) for ip in self.hosts[text]]

    async def getnameinfo(self, *_: object) -> tuple[str, str]:
        raise NotImplementedError


@asynccontextmanager
async def name_server(*records: str, **settings: Any) -> AsyncIterator[NameServer]:
    server = NameServer(list(records), **settings)
    trio.socket.set_custom_hostname_resolver(server)  # type: ignore[arg-type]
    async with trio.open_nursery() as nursery:
        await nursery.start(server.serve)
        yield server
        nursery.cancel_scope.cancel()


@pytest.fixture(autouse=True)
def _little_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(srv, "LIFETIME", 0.5)


HOSTS = {"seed.example.org": ["10.0.0.9"], "other.example.org": ["10.0.0.8", "fd00::8"]}


async def test_what_a_record_names_is_to_be_dialled() -> None:
    async with name_server("0 0 4001 seed.example.org.", hosts=HOSTS) as server:
        assert await named_nodes(LAN, server.resolver) == (at("10.0.0.9:4001"),)
        assert server.asked == [NAME]


async def test_the_first_by_priority_and_weight_come_first() -> None:
    records = ("9 0 1 seed.example.org.", "0 1 2 other.example.org.", "0 5 3 seed.example.org.")
    async with name_server(*records, hosts=HOSTS) as server:
        found = await named_nodes(LAN, server.resolver)
        assert [address.port for address in found] == [3, 2, 2, 1]


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "::1", "0.0.0.0", "::", "224.0.0.1", "169.254.1.1", "fe80::1", "240.0.0.1"]
)
async def test_nobody_is_sent_to_this_machine_or_to_no_machine(host: str) -> None:
    async with name_server("0 0 4001 seed.example.org.", hosts={"seed.example.org": [host]}) as server:
        assert await named_nodes(LAN, server.resolver) == ()


async def test_a_node_that_is_on_this_machine_alone_finds_others_there() -> None:
    async with name_server("0 0 4001 seed.example.org.", hosts={"seed.example.org": ["127.0.0.1"]}) as server:
        assert await named_nodes(LOOPBACK, server.resolver) == (at("127.0.0.1:4001"),)


@pytest.mark.parametrize("record", ["0 0 0 seed.example.org.", "0 0 4001 .", "0 0 4001 nobody.example.org."])
async def test_a_record_that_leads_nowhere_is_none(record: str) -> None:
    async with name_server(record, hosts=HOSTS) as server:
        assert await named_nodes(LAN, server.resolver) == ()


async def test_there_is_a_cap_on_targets_and_on_the_addresses_of_one() -> None:
    records = [f"{number} 0 {number + 1} seed.example.org." for number in range(60)]
    many = {"seed.example.org": [f"10.0.1.{number}" for number in range(16)]}
    async with name_server(*records, hosts=many) as server:
        found = await named_nodes(LAN, server.resolver)
        assert {address.port for address in found} == set(range(1, MAX_TARGETS + 1))
        assert len(found) == MAX_TARGETS * MAX_ADDRESSES


async def test_the_first_search_domains_are_asked_and_the_root_never_is() -> None:
    domains = (".", *(f"d{number}.example.org." for number in range(6)))
    async with name_server(rcode=dns.rcode.NXDOMAIN, search=domains) as server:
        assert await named_nodes(LAN, server.resolver) == ()
        assert server.asked == [f"_p2pmods._tcp.d{number}.example.org." for number in range(MAX_DOMAINS)]


async def test_without_a_search_domain_nobody_is_asked() -> None:
    async with name_server("0 0 4001 seed.example.org.", search=()) as server:
        assert await named_nodes(LAN, server.resolver) == ()
        assert server.asked == []


def without_resolver() -> dns.resolver.Resolver:
    raise dns.resolver.NoResolverConfiguration


async def test_a_machine_without_a_name_server_asks_nobody() -> None:
    assert await named_nodes(LAN, without_resolver) == ()


def with_flags(data: bytes, flags: int) -> bytes:
    return data[:2] + (int.from_bytes(data[2:4], "big") | flags).to_bytes(2, "big") + data[4:]


def looping(data: bytes) -> bytes:
    """The name of the answer points to itself."""
    at = len(data.partition(b"\x07example\x03org\x00")[0]) + len(b"\x07example\x03org\x00") + 4
    return data[:at] + (0xC000 | at).to_bytes(2, "big") + data[at + 2 :]


@pytest.mark.parametrize(
    "spoil",
    [
        lambda _: None,
        lambda _: b"",
        lambda _: b"\x00" * 512,
        lambda data: data[:20],
        lambda data: data[:-1],
        lambda data: data + b"\x00" * 40,
        lambda data: bytes([data[0] ^ 1]) + data[1:],  # the id of another question
        lambda data: data.replace(b"\x07example", b"\x07elsewhe"),
        lambda data: with_flags(data, dns.flags.TC),  # come again by TCP, where nobody is
        lambda data: data[:4] + b"\xff" * 8 + data[12:],
        looping,
    ],
    ids=["silence", "nothing", "zeros", "cut", "cut at the end", "longer", "id", "question", "tc", "counts", "loop"],
)
async def test_an_answer_that_is_none_is_silence(spoil: Callable[[bytes], bytes | None]) -> None:
    async with name_server("0 0 4001 seed.example.org.", hosts=HOSTS, spoil=spoil) as server:
        with trio.fail_after(10):
            assert await named_nodes(LAN, server.resolver) == ()


@pytest.mark.parametrize("rcode", [dns.rcode.NXDOMAIN, dns.rcode.SERVFAIL, dns.rcode.REFUSED])
async def test_a_refusal_is_silence(rcode: int) -> None:
    async with name_server(rcode=rcode) as server:
        assert await named_nodes(LAN, server.resolver) == ()


async def test_another_kind_of_record_is_none_of_ours() -> None:
    async with name_server("10.0.0.9", kind="A") as server:
        assert await named_nodes(LAN, server.resolver) == ()


# When it is asked.


def settings(tmp_path: Path, environ: dict[str, str], **flags: object) -> Any:
    given = {"data": str(tmp_path), "upstream": "off", "sumdb": "off", "private": "", **flags}
    config = load_config({**given, "module_cache": "off", "gopath": str(tmp_path)}, environ, lambda: None)
    return Meshing(config, KEYS[0], SimpleNamespace(), environ)._settings()  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("environ", "flags", "wanted"),
    [
        ({}, {}, True),
        ({}, {"mdns": False}, False),
        ({"CI": "true"}, {}, False),
        ({"CI": "true"}, {"mdns": True}, True),
    ],
)
async def test_ci_changes_the_default_only(
    tmp_path: Path, environ: dict[str, str], flags: dict[str, object], *, wanted: bool
) -> None:
    assert settings(tmp_path, environ, **flags).mdns is wanted
