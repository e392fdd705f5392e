"""Parts of a node that depend on what the machine has, made from the settings."""

from __future__ import annotations

from typing import TYPE_CHECKING

from p2pmods.config.setup_record import read_setup_record
from p2pmods.errors import UserError
from p2pmods.goenv import find_go
from p2pmods.upstream.vcs import VersionControl
from p2pmods.upstream.vcs_hosts import HostRule

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from p2pmods.config import Config
    from p2pmods.upstream.offline import OfflineState


def setup_token(data: Path) -> str | None:
    """Read anew each time: `setup --strict` may come while the node runs."""
    try:
        record = read_setup_record(data)
    except UserError:
        return None
    return record.token if record else None


def version_control(config: Config, offline: OfflineState, environ: Mapping[str, str]) -> VersionControl | None:
    """None without a go command, or when no path of the settings leads to version control."""
    if not config.no_proxy and all(step.kind != "direct" for step in config.upstream):
        return None
    go = find_go(environ)
    if go is None:
        return None
    return VersionControl(
        go,
        config.data / "tmp" / "vcs",
        offline=offline,
        hosts=HostRule(config.private, environ=environ),
        vcs_credentials=config.vcs_credentials,
        environ=environ,
    )
