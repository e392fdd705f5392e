"""A node's part in the mesh, built from its settings, and what the mesh is told of the rest of the node."""

from __future__ import annotations

import secrets
import time
from typing import TYPE_CHECKING, Final

import structlog
import trio

from p2pmods.directory.ability import (
    CAPTIVE,
    DATABASE,
    FAILING,
    METERED,
    NO_UPSTREAM,
    ORIGIN,
    PROXY,
    UPLOADS,
    Ability,
)
from p2pmods.errors import StoreError
from p2pmods.fetch.bringing import Bringing
from p2pmods.fetch.checksum_peers import NoPeers
from p2pmods.fetch.copying import Copying
from p2pmods.fetch.neighbours import Neighbours
from p2pmods.fetch.peering import Peering
from p2pmods.fetch.shelf import Shelf
from p2pmods.identity.key import SEED_SIZE, format_key, parse_key
from p2pmods.identity.key import node_id as id_of_key
from p2pmods.identity.swarm import PUBLIC, Swarm
from p2pmods.mesh.mesh import Mesh
from p2pmods.mesh.outlook import MeshSettings, Outlook
from p2pmods.mesh.policy import SharingPolicy
from p2pmods.mesh.ports import CannotListenForPeers
from p2pmods.node.supervision import Started, supervised
from p2pmods.store.identity_file import replace
from p2pmods.store.seed_file import SeedFile

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    from p2pmods.config import Config
    from p2pmods.errors import PeerError
    from p2pmods.fetch.checksum_peers import PeerChecksumSource
    from p2pmods.fetch.checksums import Checksums
    from p2pmods.fetch.fetcher import Fetcher
    from p2pmods.fetch.holdings import Holdings
    from p2pmods.fetch.intake import Intake
    from p2pmods.fetch.proofs import Proofs
    from p2pmods.fetch.thinning import Thinning
    from p2pmods.gomod.module import ModuleVersion
    from p2pmods.store.store import Store
    from p2pmods.upstream.route import Upstream
    from p2pmods.wire.proofs import Question

BEGAN: Final = time.monotonic()  # about when the process did
HANDOVER: Final = 2.0  # seconds for which a node that stops still gives what it is giving
FAREWELL: Final = 0.2  # seconds for its last words
AGAIN_AFTER: Final = 5.0  # seconds until a mesh that could not be begun anew is tried again

log = structlog.get_logger()


def why_no_mesh(config: Config) -> str | None:
    """Why this node is in no swarm; None when it is in one."""
    if not config.mesh:
        return "switched off"
    if config.sumdb is None:
        return "without a checksum database nothing that peers give could be proven"
    if config.swarm.secret is None and not config.sumdb.is_public:
        return "the public swarm has the public checksum database, and this node has another: set a swarm of your own"
    return None


def swarm_of(config: Config) -> Swarm:
    """The one of the settings."""
    setting = config.swarm
    return PUBLIC if setting.secret is None else Swarm(setting.name, setting.secret)


class Meshing:
    """What a node has of the mesh: `mesh` is None in no swarm, and `problem` says why.

    `on_new_mesh` is told when the node goes on with another mesh; `node_id` may be another one then.
    """

    def __init__(self, config: Config, key: Ed25519PrivateKey, store: Store, environ: Mapping[str, str]) -> None:
        self.problem = why_no_mesh(config)
        self.node_id = id_of_key(key)
        self.mesh: Mesh | None = None
        self.peers = LatePeers()
        self.neighbours = Neighbours(lambda: self.mesh, self.problem)
        self.on_new_mesh: Callable[[], None] = lambda: None
        self._begin_anew: Callable[[], None] = lambda: None
        self._key = key
        self._config = config
        self._store = store
        self._environ = environ

    def build(
        self,
        fetcher: Callable[[], Fetcher],
        *,
        intake: Intake,
        checksums: Checksums,
        proofs: Proofs,
        holdings: Holdings,
        upstream: Upstream,
        thinning: Thinning,
        nursery: trio.Nursery,
    ) -> Peering | None:
        """Make the mesh and what the fetcher asks of it. Raises CannotListenForPeers."""
        config = self._config
        if self.problem is not None or config.sumdb is None:
            return None
        policy = SharingPolicy(config.sumdb.name, config.is_private, is_public=config.swarm.secret is None)
        outlook = Outlook(
            shelf=Shelf(self._store, checksums, proofs, policy, holdings, fetcher),
            ability=lambda: ability_of(config, policy, checksums, upstream),
            tree=checksums.stand,
            reply=checksums.reply,
            note_head=checksums.note_peer_head,
            on_given=lambda _peer, _key, size: self._store.count_given(size),
            on_network_change=upstream.network_changed,
        )
        mesh = self._make_mesh(policy, outlook)
        peering = Peering(mesh, self._store, intake, checksums, proofs, nursery=nursery, clock=time.time)
        bringing = Bringing(self._store, intake, proofs, clock=time.time)
        copying = self._copying(intake, checksums, thinning)

        def use(mesh: Mesh) -> None:
            self.mesh = mesh
            self.peers.use(mesh)
            bringing.serve(mesh)
            peering.use(mesh)
            if copying is not None:
                copying.serve(mesh)

        use(mesh)
        upstream.when_back(self._pardon_all)
        self._begin_anew = lambda: use(self._make_mesh(policy, outlook))
        return peering

    def _copying(self, intake: Intake, checksums: Checksums, thinning: Thinning) -> Copying | None:
        """Where the node is a seed: what makes it one."""
        if not self._config.seed:
            return None
        file = SeedFile(self._config.data)
        self.neighbours.copying = Copying(self._store, intake, checksums, file, thinning=thinning, clock=time.time)
        return self.neighbours.copying

    def _pardon_all(self) -> None:
        """Nobody reached an upstream, it seems, and now they do: who gave nothing meanwhile had nothing."""
        if self.mesh is not None:
            self.mesh.blame.pardon_all()

    def _make_mesh(self, policy: SharingPolicy, outlook: Outlook) -> Mesh:
        return Mesh(swarm_of(self._config), self._key, self._store, policy, self._settings(), outlook)

    def _settings(self) -> MeshSettings:
        config, is_ci = self._config, bool(self._environ.get("CI"))
        return MeshSettings(
            data=config.data,
            listen=config.peer_listen,
            peers=config.peers,
            mdns=config.mdns,
            upload_limit=config.upload_limit,
            metered=config.metered,
            is_seed=config.seed,
            may_meet=not is_ci,
            started=trio.current_time() - (time.monotonic() - BEGAN),
        )

    @property
    def address(self) -> str | None:
        """Where peers find this node."""
        return self.mesh.address if self.mesh is not None else None

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Until cancelled; at once where there is no mesh.

        When another node has the same key it goes on under a new one, and after a fault of ours with a new mesh.
        """
        status = Started(task_status)
        if self.mesh is None:
            status.started()
            return
        async with trio.open_nursery() as services:
            if self.neighbours.copying is not None:
                await services.start(supervised, "copies for others", self.neighbours.copying.run)
            while True:
                try:
                    await _run_until_cloned(self.mesh, status)
                except Exception as error:  # the border between the mesh and the node
                    log.exception("the mesh failed by a fault of p2pmods, and is begun anew", exc_info=error)
                    status.started()
                    self.close()
                    await trio.sleep(AGAIN_AFTER)
                else:
                    self._take_new_key()
                await self._go_on()

    async def hand_over(self) -> None:
        """Until cancelled, and then until peers have what they are being given; two seconds at most."""
        try:
            await trio.sleep_forever()
        finally:
            if self.mesh is not None:
                with trio.CancelScope(shield=True, deadline=trio.current_time() + HANDOVER):
                    await self.mesh.giving.wait_idle()

    async def leave(self) -> None:
        """The node stops: the homes of what it fetches for all are told, in short, and those who take something."""
        if self.mesh is not None:
            with trio.move_on_after(FAREWELL):
                await self.mesh.claiming.leave()
            self.mesh.growing.close()
            self.mesh.sowing.seeds.close()

    def close(self) -> None:
        """Nothing runs any more, or nothing ever did: then nobody else has closed what the mesh listens on."""
        if self.mesh is not None:
            self.mesh.sockets.close()

    def _take_new_key(self) -> None:
        old = self.node_id
        seed = secrets.token_bytes(SEED_SIZE)
        try:
            self._key = replace(self._config.data, seed)
        except StoreError as error:
            self._key = parse_key(format_key(seed))
            log.warning("the new key could not be kept, and the next start will find the old one", reason=str(error))
        self.node_id = id_of_key(self._key)
        log.warning(
            "another running node has this node's key: it goes on under a new one", was=old, node_id=self.node_id
        )

    async def _go_on(self) -> None:
        """With a new mesh, once there can be one."""
        while True:
            try:
                self._begin_anew()
                break
            except (CannotListenForPeers, OSError) as error:
                log.warning("there is no mesh until that is cured", reason=str(error))
            except Exception as error:  # the border between the mesh and the node
                log.exception("a mesh could not be begun by a fault of p2pmods", exc_info=error)
            await trio.sleep(AGAIN_AFTER)
        self.on_new_mesh()


async def _run_until_cloned(mesh: Mesh, status: Started) -> None:
    async with trio.open_nursery() as nursery:
        await nursery.start(mesh.run)
        status.started()
        await mesh.cloned.wait()
        nursery.cancel_scope.cancel()


def ability_of(config: Config, policy: SharingPolicy, checksums: Checksums, upstream: Upstream) -> Ability:
    """What this node could do for others now."""
    statistics = upstream.statistics()
    steps = {step.kind for step in config.upstream}
    kind = NO_UPSTREAM
    if statistics.state != "off" and not config.offline:
        kind = PROXY if "url" in steps else ORIGIN
    flags = DATABASE if checksums.statistics().state in ("ok", "unreached") else 0
    flags |= UPLOADS if policy.gives else 0
    flags |= METERED if policy.is_metered else 0
    flags |= CAPTIVE if statistics.is_captive else 0
    flags |= FAILING if statistics.state == "offline" else 0
    success = statistics.last_success
    return Ability(kind, flags, None if success is None else max(0, int(time.time() - success)))


class LatePeers:
    """The checksum database's client is made before the mesh is: until then, and without one, nobody is asked."""

    def __init__(self) -> None:
        self._peers: PeerChecksumSource = NoPeers()

    def use(self, mesh: Mesh) -> None:
        self._peers = mesh.checksums

    async def candidates(self, module: ModuleVersion | None) -> Sequence[str]:
        return await self._peers.candidates(module)

    async def ask(self, node_id: str, question: Question) -> object:
        return await self._peers.ask(node_id, question)

    def blame(self, error: PeerError) -> None:
        self._peers.blame(error)
