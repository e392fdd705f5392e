"""What others have of a node that runs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from p2pmods.config import Config
    from p2pmods.fetch.checksums import Checksums
    from p2pmods.fetch.duties import Duties
    from p2pmods.fetch.proofs import Proofs
    from p2pmods.mesh.mesh import Mesh
    from p2pmods.node.meshing import Meshing
    from p2pmods.store.store import Store
    from p2pmods.upstream.route import Upstream


@dataclass(frozen=True, slots=True)
class Node:
    """A node that runs. `url` is what GOPROXY is set to."""

    config: Config
    url: str
    store: Store
    upstream: Upstream
    checksums: Checksums
    proofs: Proofs
    duties: Duties
    meshing: Meshing

    @property
    def node_id(self) -> str:
        """The present one: a node whose key another one has gets a new one."""
        return self.meshing.node_id

    @property
    def mesh(self) -> Mesh | None:
        """None in no swarm."""
        return self.meshing.mesh
