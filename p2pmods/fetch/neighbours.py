"""What a person can ask of the mesh: who is there, what they can get from here, who holds what; and to pause."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final

from p2pmods.mesh.reports import mesh_report, peer_reports

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from p2pmods.fetch.copying import Copying
    from p2pmods.gomod.module import FileKey
    from p2pmods.mesh.mesh import Mesh

_IN_STATUS: Final = ("node_id", "address", "state", "swarm", "rtt_ms")


class Neighbours:
    """Of one node. `mesh` gives None where there is none, and `problem` says why. Values are JSON."""

    def __init__(self, mesh: Callable[[], Mesh | None], problem: str | None) -> None:
        self._mesh = mesh
        self._problem = problem
        self.copying: Copying | None = None  # set where the node is a seed

    def status(self) -> dict[str, Any]:
        """`peers` and `mesh` of `status --json`."""
        report = self.peers()
        return {**report, "peers": [{name: peer[name] for name in _IN_STATUS} for peer in report["peers"]]}

    def peers(self) -> dict[str, Any]:
        """`peers --json`: `mesh` as of mesh_report, with `seed` (as CopyingStatistics, or None), or {`state`: `off`,
        `problem`}; `peers` as of peer_reports."""
        mesh = self._mesh()
        if mesh is None:
            return {"mesh": {"state": "off", "problem": self._problem}, "peers": []}
        return {"mesh": {**mesh_report(mesh), "seed": self._seed()}, "peers": peer_reports(mesh)}

    def _seed(self) -> dict[str, Any] | None:
        return None if self.copying is None else asdict(self.copying.statistics())

    def offered(self) -> dict[str, Any]:
        """`offered --json`: the files that peers can get from here."""
        mesh = self._mesh()
        files = {} if mesh is None else mesh.offers.offered()
        return {
            "mesh": self.peers()["mesh"],
            "files": [
                {
                    "module": key.module.path,
                    "version": key.module.version,
                    "kind": key.kind.value,
                    "bytes": files[key].size,
                }
                for key in sorted(files)
            ],
            "bytes": sum(holding.size for holding in files.values()),
        }

    def pause(self, paused: bool) -> dict[str, Any]:
        """Give and offer nothing, or again what the policy lets out; asking goes on. Until the node stops."""
        mesh = self._mesh()
        if mesh is not None and mesh.policy.paused != paused:
            mesh.policy.paused = paused
            mesh.offers.reconsider()
        return {"mesh": self.peers()["mesh"]}

    async def locate(self, keys: Iterable[FileKey]) -> dict[FileKey, list[str]]:
        """Which other nodes hold which of these zips and `.mod`s. What is private is not asked about."""
        mesh = self._mesh()
        if mesh is None or mesh.peers.is_alone:
            return {}
        found = await mesh.peers.locate_all([key for key in keys if mesh.policy.may_ask(key.module.path)])
        nodes = {key: [one.node for one in holders if one.node != mesh.node_id] for key, holders in found.items()}
        return {key: names for key, names in nodes.items() if names}
