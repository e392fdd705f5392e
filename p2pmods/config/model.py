"""The settings in force, each one parsed and checked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from p2pmods.config.values import Address, DiskLimit, SwarmSetting, UploadLimit
    from p2pmods.gomod.goproxy import ProxyStep
    from p2pmods.gomod.gosumdb import SumdbSetting
    from p2pmods.gomod.patterns import Patterns


@dataclass(frozen=True, slots=True)
class Config:
    """One node's settings. `origins` says for each key where its value came from; `notices` is for the person.

    `vcs_credentials` lets git use this user's own configuration, keys and helpers. `sumdb` is None when it is off,
    `module_cache` when it is off or unknown, `gopath` when unknown, `peer_listen` for all interfaces with a kept free
    port. `metered` is None when the machine is to tell.
    """

    listen: Address
    data: Path
    upstream: tuple[ProxyStep, ...]
    sumdb: SumdbSetting | None
    private: Patterns
    no_proxy: Patterns
    no_sumdb: Patterns
    offline: bool
    vcs_credentials: bool
    module_cache: Path | None
    gopath: Path | None
    allow_remote: bool
    api_token: str | None
    allowed_hosts: tuple[str, ...]
    mesh: bool
    peer_listen: Address | None
    peers: tuple[Address, ...]
    mdns: bool
    upload_limit: UploadLimit
    metered: bool | None
    seed: bool
    disk_limit: DiskLimit
    swarm: SwarmSetting
    origins: Mapping[str, str]
    texts: Mapping[str, str]
    notices: tuple[str, ...]

    def is_private(self, path: str) -> bool:
        """Whether module `path` is never named to a peer: any one of the three lists is enough."""
        return any(patterns.matches(path) for patterns in (self.private, self.no_proxy, self.no_sumdb))
