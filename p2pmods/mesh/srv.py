"""Nodes that the network's own name server knows of: SRV records of `_p2pmods._tcp` in the search domains.

Whoever runs a network can name a node that is always there, a seed, without touching a single machine. What is named
is a hint like every other one. Nothing here is needed, and a failure is silent.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final

import structlog
import trio

from p2pmods.config.values import Address
from p2pmods.upstream.dial import Names

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from dns.resolver import Resolver

    from p2pmods.mesh.interfaces import Presence

SERVICE: Final = "_p2pmods._tcp"
LIFETIME: Final = 3.0  # seconds for the question in one domain, all tries
RESOLVE_TIME: Final = 5.0  # seconds for the addresses of one name
MAX_DOMAINS: Final = 3  # of the search list
MAX_TARGETS: Final = 8
MAX_ADDRESSES: Final = 4  # of one target

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, order=True)
class Target:
    """What one record names, in the order in which they are wanted: RFC 2782, without the dice."""

    priority: int
    lightness: int  # the less, the more is to go there
    host: str
    port: int


def system_resolver() -> Resolver:
    """As /etc/resolv.conf, or what the system has instead, says. Raises dns.exception.DNSException without one."""
    from dns.resolver import Resolver  # 90 ms, which no start has to wait for

    return Resolver()


async def named_nodes(here: Presence, resolver: Callable[[], Resolver] = system_resolver) -> tuple[Address, ...]:
    """Addresses to dial; none when there are no records, or nobody answers."""
    ask = partial(_targets, resolver)
    found = await trio.to_thread.run_sync(ask, abandon_on_cancel=True)
    names = Names()
    addresses: dict[Address, None] = {}
    for target in sorted(found)[:MAX_TARGETS]:
        hosts: tuple[str, ...] = ()
        try:
            with trio.move_on_after(RESOLVE_TIME):
                hosts = await names.resolve(target.host)
        except (OSError, UnicodeError) as error:
            log.debug("a node that DNS names has no address", host=target.host, reason=str(error))
        believed = [host for host in hosts if _may_be_dialled(host, here)]
        addresses.update(dict.fromkeys(Address(host, target.port) for host in believed[:MAX_ADDRESSES]))
    return tuple(addresses)


def _targets(resolver: Callable[[], Resolver]) -> list[Target]:
    """In a thread."""
    from dns.name import from_text, root

    try:
        asked = resolver()
        domains = [domain for domain in asked.search or [asked.domain] if domain != root]
        return [
            target
            for domain in domains[:MAX_DOMAINS]
            for target in _answers(asked, from_text(SERVICE, origin=domain).to_text())
        ]
    except Exception as error:  # the border between a library that reads strangers' datagrams and the node
        log.debug("no nodes from DNS", reason=str(error))
        return []


def _answers(resolver: Resolver, name: str) -> Iterable[Target]:
    from dns.exception import DNSException

    try:
        answer = resolver.resolve(name, "SRV", search=False, lifetime=LIFETIME)
    except DNSException as error:  # there usually is none
        log.debug("no nodes from DNS", name=name, reason=str(error))
        return []
    records = [(one.priority, -one.weight, one.target.to_text(omit_final_dot=True), one.port) for one in answer]
    return [Target(*record) for record in records if record[2] not in ("", "@", ".") and record[3]]


def _may_be_dialled(host: str, here: Presence) -> bool:
    """Loopback means this machine, and is meant only where nothing else is there."""
    address = ipaddress.ip_address(host.partition("%")[0])
    if address.is_loopback:
        return here.is_loopback_only
    return not (address.is_unspecified or address.is_multicast or address.is_link_local or address.is_reserved)
