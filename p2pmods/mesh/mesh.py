"""One node's part in one swarm: every driver of the mesh, wired together, and what the node sees of it."""

from __future__ import annotations

import random
import secrets
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Final

import trio

from p2pmods.directory.adverts import Advertiser
from p2pmods.directory.asking import Surroundings
from p2pmods.directory.coldstart import ColdStart
from p2pmods.directory.holdings import Holdings
from p2pmods.directory.home import LeaseHome
from p2pmods.directory.inflow import Inflow
from p2pmods.directory.lookup import Latency
from p2pmods.directory.rendezvous import Rendezvous
from p2pmods.directory.strikes import Strikes
from p2pmods.errors import MalformedData
from p2pmods.identity.key import node_id as id_of_key
from p2pmods.identity.records import SEED, SESSION_SIZE, Endpoint, open_record
from p2pmods.membership.machine import Membership
from p2pmods.mesh.blame import Blame
from p2pmods.mesh.checksum_peers import ChecksumPeers
from p2pmods.mesh.claiming import Claiming
from p2pmods.mesh.desk import Desk
from p2pmods.mesh.entrusting import Entrusting
from p2pmods.mesh.errands import Errands
from p2pmods.mesh.finding import Discovery, Sources
from p2pmods.mesh.gathering import Gathering
from p2pmods.mesh.giving import Giving
from p2pmods.mesh.growing import GrowingFiles, Uploads
from p2pmods.mesh.interfaces import look_around
from p2pmods.mesh.introductions import Introductions
from p2pmods.mesh.links import Links
from p2pmods.mesh.listing import Versioning
from p2pmods.mesh.manners import Manners, upload_rate
from p2pmods.mesh.mdns import Mdns
from p2pmods.mesh.members import Members
from p2pmods.mesh.names import key_of_name
from p2pmods.mesh.offers import Offers
from p2pmods.mesh.peers import Peers
from p2pmods.mesh.ports import open_sockets
from p2pmods.mesh.receiving import Receiving
from p2pmods.mesh.remembered import RememberedMembers
from p2pmods.mesh.roles import Roles
from p2pmods.mesh.seeding import Seeding
from p2pmods.mesh.sowing import Sowing
from p2pmods.mesh.srv import named_nodes
from p2pmods.mesh.standing import Standing
from p2pmods.mesh.wake import MachineWatch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    from p2pmods.config.values import Address
    from p2pmods.identity.records import SignedRecord
    from p2pmods.identity.swarm import Swarm
    from p2pmods.mesh.outlook import MeshSettings, Outlook
    from p2pmods.mesh.policy import SharingPolicy
    from p2pmods.store.store import Store

DIAL_TIME: Final = 8.0  # seconds


class Mesh:
    """Raises CannotListenForPeers, and OSError when the key cannot lie in a file for a moment."""

    def __init__(
        self,
        swarm: Swarm,
        key: Ed25519PrivateKey,
        store: Store,
        policy: SharingPolicy,
        settings: MeshSettings,
        outlook: Outlook,
    ) -> None:
        now, entropy = trio.current_time(), random.SystemRandom()
        key_of = partial(key_of_name, swarm)
        self.swarm = swarm
        self.node_id = id_of_key(key)
        self.policy = policy
        self.cloned = trio.Event()  # another running node has this key
        self._settings = settings
        self.outlook = outlook
        self.sockets = open_sockets(settings.listen, settings.data)
        self.links = Links(
            swarm,
            key,
            listeners=self.sockets.tcp,
            addresses=lambda node: self.standing.addresses(node),
            directory=settings.data / "tmp",
        )
        self.links.on_linked = self._linked
        self._rendezvous = Rendezvous()
        self._strikes = Strikes(self.node_id, lambda: self._introductions.apart())  # against homes
        self._silent = Strikes(self.node_id)  # against those who gave nothing, or what was wrong
        self._holdings = Holdings(entropy)
        self._cold_start = ColdStart(started=settings.started, began=now, may_meet=settings.may_meet)
        self._latency = Latency()
        self.inflow = Inflow()
        machine = Membership(key, swarm.datagram_key, entropy, now=now, incarnation=0, hearsay_only=policy.is_public)
        self.members = Members(machine, self.links, self.sockets.udp, lambda event: self.standing.heard(event))
        advertiser = Advertiser(secrets.token_bytes(SESSION_SIZE), b"", self._rendezvous, now=now)
        home = LeaseHome(
            self.node_id, key, self._rendezvous, self._holdings, entropy, key_of, self.inflow.is_line_slow
        )
        self.blame = Blame(self._strikes, self._silent, home)
        advertiser.on_back = self.blame.pardon
        self.desk = Desk(
            self.node_id,
            self.links,
            self._rendezvous,
            home,
            self._holdings,
            advertiser,
            key_of,
            lambda node, stop: self.claiming.stopped(node, stop),
        )
        self.standing = Standing(
            self.node_id,
            machine,
            self._holdings.book,
            publish=self._publish,
            on_directors=self.desk.directors_are,
            on_joined=self._joined,
            on_alive=self.blame.pardon,
            on_gone=self._gone,
            on_cloned=self.cloned.set,
        )
        self._stand(self._look())
        around = Surroundings(
            self.node_id,
            self._rendezvous,
            self._strikes,
            self._silent,
            self.inflow,
            self._cold_start,
            self.links.round_trip,
        )
        self.peers = Peers(swarm, self.links, self.desk, around, self._latency, outlook.tree)
        self.claiming = Claiming(swarm, self.desk, around, outlook.ability, lambda: self.standing.record.raw)
        self.growing = GrowingFiles()
        uploads = Uploads(upload_rate(settings.upload_limit, self.presence.kinds))
        self.giving = Giving(self.growing, outlook.shelf, policy, uploads, outlook.on_given)
        self.sowing = Sowing(self.growing, outlook.shelf, key)
        seeding = Seeding(self.links, self.giving, self.sowing, self.standing, self.blame.strike)
        gathering = Gathering(self.links, self.sowing.seeds, self.standing, entropy, self.blame.strike)
        self._introductions = Introductions(
            self.links, directors=lambda: self._rendezvous.directors, record=lambda: self.standing.record.raw
        )
        self.links.introduce = self._introductions.ask
        self.errands = Errands(self.links, self._introductions, policy, self.growing, outlook.shelf, self.giving)
        self.receiving = Receiving(self.links, gathering, self.errands)
        self.offers = Offers(store, policy, advertiser, swarm, self.desk.nudge)
        self.entrusting = Entrusting(
            swarm, self.links, self.standing, self._rendezvous, self._is_within, is_public=policy.is_public
        )
        self.offers.on_fetched = self.entrusting.fetched
        self._manners = Manners(settings.upload_limit, settings.metered, policy, self.offers.reconsider)
        self.roles = Roles(
            self.links,
            self.members,
            self.standing,
            directors=lambda: self._rendezvous.directors,
            on_director=self._promoted,
            on_records=self._named,
        )
        self.versioning = Versioning(self.links, lambda: self._rendezvous.directors, outlook.shelf.versions)
        self.giving.serve(self.links)
        seeding.serve()
        self.checksums = ChecksumPeers(self.links, self.peers, self._strikes, outlook.reply, policy.database)
        self._mdns = Mdns(self.node_id, swarm.discovery_tag) if settings.mdns else None
        hints = self._mdns.hints if self._mdns is not None else None
        remembered = RememberedMembers(settings.data, swarm.discovery_tag)
        self._discovery = Discovery(
            self.node_id,
            self._dial,
            Sources(settings.peers, remembered, hints, named_nodes if settings.mdns else None),
            is_member=lambda node: node in self.links.linked(),
            entropy=entropy,
        )

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Until cancelled. Started when peers can be asked, though none may be known yet."""
        watch = MachineWatch(on_wake=self._woke, on_change=self._changed)
        async with trio.open_nursery() as self._services:
            for part in (self.desk, self.links, self.members, self.offers, self.sowing, self.errands):
                await self._services.start(part.run)
            for work in (self.roles, self.entrusting, self._manners, watch):
                self._services.start_soon(work.run)
            self._services.start_soon(self._discovery.run, self.presence)
            if self._mdns is not None:
                self._services.start_soon(self._mdns.run, self.presence)
            task_status.started()

    def know(self, records: Iterable[bytes]) -> None:
        """Signed records that somebody passed on, by which those nodes can be reached."""
        for raw in records:
            with suppress(MalformedData):
                self.standing.know(open_record(raw))

    @property
    def has_mdns(self) -> bool:
        """Whether it looks for nodes on the local network."""
        return self._mdns is not None

    @property
    def address(self) -> str:
        """`host:port` under which neighbours find this node best."""
        return str(self.presence.best)

    async def _dial(self, address: Address, expect: str | None) -> str:
        node = await self.links.dial(address, expect=expect, deadline=trio.current_time() + DIAL_TIME)
        self.members.meet(node)
        return node

    def _linked(self, node: str) -> None:
        """There is a new link to this node, whoever dialled."""
        self.blame.pardon(node)
        self.claiming.linked()
        if self.standing.is_news(node):
            self._cold_start.newcomer(now=trio.current_time())
            self.members.meet(node)
            self.roles.met()
            self._services.start_soon(self.checksums.compare_heads, node, self.outlook.note_head)

    def _stand(self, flags: int) -> None:
        self.policy.tunnels = self.presence.tunnels if self._settings.upload_limit.is_automatic else frozenset()
        self.standing.stand(self.presence.endpoints, flags | SEED * self._settings.is_seed)

    def _look(self) -> int:
        """Where the node is now; the flags of its record."""
        self.presence, flags = look_around(self._settings.listen, self.sockets.port)
        return flags

    def _is_within(self, host: str) -> bool:
        return self.presence.is_within(host)

    def _promoted(self, endpoint: Endpoint) -> None:
        self.standing.promote(endpoint)
        for node in self.links.linked():
            self.members.meet(node)

    def _publish(self, endpoints: tuple[Endpoint, ...], flags: int) -> SignedRecord:
        record = self.members.set_own_record(endpoints, flags)
        self.desk.advertiser.record = record.raw
        return record

    def _joined(self, node: str, record: SignedRecord) -> None:
        self._cold_start.newcomer(now=trio.current_time())
        self._holdings.table.is_back(node)
        self._discovery.met(node, record.record.endpoints)

    def _gone(self, node: str) -> None:
        self._holdings.table.died(node, now=trio.current_time())
        self.desk.nudge()

    def _named(self, records: Iterable[SignedRecord]) -> None:
        """Somebody named directors, or itself."""
        for record in records:
            self.standing.name(record)
            if record.record.is_director:
                self.members.meet(record.record.node_id, record.record.endpoints)
        self.standing.changed()

    def _changed(self) -> None:
        """Interfaces or addresses did; those that the mesh does not use are none of its business."""
        before, flags = self.presence, self._look()
        if self.presence != before:
            self._moved(flags, lambda here: self.presence.is_same_at(here, before))

    def _moved(self, flags: int, stays: Callable[[str], bool]) -> None:
        """Nobody may know where this node is now. Only links from where it `stays` go on."""
        self._stand(flags)
        self._manners.moved()
        self._introductions.forget()
        self.giving.uploads.rate = upload_rate(self._settings.upload_limit, self.presence.kinds)
        self.blame.pardon_all()
        self.claiming.moved(was_alone=self.peers.is_alone)  # before the links end that claims are waiting for
        self.links.reset("the network changed", stays=stays)
        self.roles.met()
        self._discovery.move(self.presence)
        if self._mdns is not None:
            self._mdns.move(self.presence)
        self.outlook.on_network_change()

    def _woke(self) -> None:
        """The machine slept: nothing that was agreed before counts any more."""
        self.desk.wake()
        self.claiming.wake()
        self.members.wake()
        self._moved(self._look(), lambda _here: False)
