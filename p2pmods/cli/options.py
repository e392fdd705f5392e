"""Flags that several commands share, and the settings flags as one argument."""

from __future__ import annotations

import functools
import inspect
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from collections.abc import Callable


def _directory(text: str) -> Path:
    """Path("") would be the current directory: `--data "$DIR"` without a DIR, a node in the middle of a project."""
    if not text:
        raise typer.BadParameter("it is empty; allowed: a directory")
    return Path(text)


DataOption = Annotated[
    Path | None,
    typer.Option(
        "--data",
        metavar="DIR",
        help="The node's data directory (or P2PMODS_DATA).",
        show_default=False,
        parser=_directory,
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]


# Parameter name (the setting's key) → its annotation, in the order of --help.
_SETTINGS: dict[str, Any] = {
    "data": DataOption,
    "listen": Annotated[str | None, typer.Option("--listen", metavar="HOST:PORT", help="Where the Go API listens.")],
    "upstream": Annotated[
        str | None, typer.Option("--upstream", metavar="LIST", help="Proxies to ask, GOPROXY syntax.")
    ],
    "sumdb": Annotated[str | None, typer.Option("--sumdb", metavar="DB", help="Checksum database, GOSUMDB syntax.")],
    "private": Annotated[
        str | None, typer.Option("--private", metavar="LIST", help="Patterns never named to a peer.")
    ],
    "offline": Annotated[
        bool | None, typer.Option("--offline/--no-offline", help="Ask nothing outside: no upstream, no database.")
    ],
    "module_cache": Annotated[
        str | None, typer.Option("--module-cache", metavar="DIR", help="GOMODCACHE to use, or off.")
    ],
    "mesh": Annotated[
        bool | None, typer.Option("--mesh/--no-mesh", help="Share with other nodes, or serve this machine alone.")
    ],
    "peer_listen": Annotated[
        str | None,
        typer.Option("--peer-listen", metavar="HOST:PORT", help="Where peers connect, TCP and UDP; :PORT for all."),
    ],
    "peers": Annotated[
        list[str] | None, typer.Option("--peer", metavar="HOST:PORT", help="A node to try (may be given many times).")
    ],
    "mdns": Annotated[bool | None, typer.Option("--mdns/--no-mdns", help="Find nodes on the local network.")],
    "upload_limit": Annotated[
        str | None,
        typer.Option("--upload-limit", metavar="RATE", help="Most that goes to peers a second: 50Mbit, 6MB, off."),
    ],
    "metered": Annotated[
        str | None,
        typer.Option("--metered", metavar="YES|NO|AUTO", help="Whether the connection is paid by the byte."),
    ],
    "seed": Annotated[
        bool | None,
        typer.Option("--seed/--no-seed", help="Keep copies of what others fetch, for when they are gone."),
    ],
    "disk_limit": Annotated[
        str | None,
        typer.Option("--disk-limit", metavar="SIZE", help="Most that the store may hold: 20GB, 10%, off."),
    ],
    "swarm": Annotated[
        str | None,
        typer.Option(
            "--swarm",
            metavar="NAME:SECRET",
            help="Another swarm than public. Other users see a flag in the list of processes: use P2PMODS_SWARM.",
        ),
    ],
}


def with_settings(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give `command`, whose first parameter is `flags`, one option for each setting that has a flag.

    `flags` maps the settings' keys to what was given, None where nothing was: as load_config takes it.
    """

    @functools.wraps(command)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        flags = {key: kwargs.pop(key) for key in _SETTINGS}
        if flags["data"] is not None:
            flags["data"] = str(flags["data"])
        return command(*args, flags=flags, **kwargs)

    own = [p for p in inspect.signature(command, eval_str=True).parameters.values() if p.name != "flags"]
    added = [
        inspect.Parameter(key, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=annotation)
        for key, annotation in _SETTINGS.items()
    ]
    own = [p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in own]
    parameters = [*own, *added]
    wrapper.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    wrapper.__annotations__ = {p.name: p.annotation for p in parameters}
    del wrapper.__wrapped__
    return wrapper
