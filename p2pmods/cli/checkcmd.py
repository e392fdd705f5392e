"""`p2pmods check [DIR]`: would this build if everything outside were gone?"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Final

from p2pmods.cli.client import find_node
from p2pmods.cli.context import data_directory, load
from p2pmods.cli.gofiles import find_go_files
from p2pmods.cli.meshtext import short
from p2pmods.cli.needs import Needs, needs_of
from p2pmods.cli.output import plural, say, say_json
from p2pmods.errors import UserError, printable

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from p2pmods.gomod.module import FileKey

WOULD_BUILD: Final = 0
WOULD_NOT: Final = 1
MAX_SHOWN: Final = 20  # missing files on a terminal; --json has all
MAX_HOLDERS: Final = 3  # nodes named for each


def check(directory: Path, data: Path | None, *, as_json: bool) -> int:
    """Print where each needed file is; 0 only when all of them are on this machine."""
    if not directory.is_dir():
        raise UserError(f"{directory} is no directory")
    files = find_go_files(directory, os.environ)
    if files is None:
        raise UserError(f"there is no go.mod or go.sum in {directory.absolute()} or above it")
    needs = needs_of(files, os.environ)
    states, holders = _states(data_directory(data), needs)
    builds = not states["peer"] and not states["nowhere"]
    if as_json:
        toolchain = None if needs.toolchain is None else {"name": needs.toolchain, "file": str(needs.toolchain_file)}
        facts = {"holders": holders, "toolchain": toolchain, "builds": builds}
        say_json({"root": str(files.root), "needed": len(needs.all), **states, **facts})
    else:
        for line in human(needs, states, holders, directory):
            say(line)
    return WOULD_BUILD if builds else WOULD_NOT


def _states(data: Path, needs: Needs) -> tuple[dict[str, list[str]], dict[str, list[str]] | None]:
    """`here`, `peer`, `nowhere`: the needed files' names, in the order of the go.sum; and who holds what peers have.

    The latter is None when no node runs that could ask.
    """
    node = find_node(data)
    if node is None:
        here = _here_on_disk(data, needs.all)
        names = [str(key) for key in needs.all]
        nowhere = [name for name in names if name not in here]
        return {"here": [name for name in names if name in here], "peer": [], "nowhere": nowhere}, None
    keys = [[key.module.path, key.module.version, key.kind.value] for key in needs.all]
    answer = node.post("check", {"keys": keys, "toolchain": needs.toolchain})
    states = {state: [_name(item) for item in answer[state]] for state in ("here", "peer", "nowhere")}
    return states, {_name(item): item[3] for item in answer["peer"]}


def _name(item: Any) -> str:
    path, version, kind = item[:3]
    return f"{path}@{version}.{kind}"


def _here_on_disk(data: Path, keys: Iterable[FileKey]) -> set[str]:
    """Names of the files that the store of `data` or the module cache holds."""
    from p2pmods.cli.disk import opened_store
    from p2pmods.fetch.duties import is_here
    from p2pmods.fetch.holdings import Holdings
    from p2pmods.store.modcache import ModuleCache

    cache = load({"data": str(data)}, show_notices=False).module_cache
    module_cache = None if cache is None else ModuleCache(cache)
    if not (data / "modules").is_dir():
        return {str(key) for key in keys if module_cache is not None and module_cache.find(key) is not None}
    with opened_store(data) as store:
        holdings = Holdings(store, module_cache)
        return {str(key) for key in keys if is_here(holdings, [key.module.path, key.module.version, key.kind.value])}


def human(
    needs: Needs, states: dict[str, list[str]], holders: dict[str, list[str]] | None, directory: Path
) -> list[str]:
    """The verdict first, then the figures, then what is missing, who holds it, and what to type to get it."""
    zips = sum(key.kind.value == "zip" for key in needs.files)
    mods = len(needs.files) - zips
    what = f"{plural(zips, 'zip')} and {plural(mods, 'go.mod')} of go.sum"
    toolchain = f", and {needs.toolchain}" if needs.toolchain else ""
    if not states["peer"] and not states["nowhere"]:
        return [f"this would build with everything outside gone: {what}{toolchain}, all here"]
    counts = [f"{len(states['here']):,} here"]
    counts += [f"{len(states['peer']):,} only on a peer"] if states["peer"] else []
    counts += [f"{len(states['nowhere']):,} nowhere"] if states["nowhere"] else []
    lines = [f"this may NOT build with everything outside gone: of {what}{toolchain}: {', '.join(counts)}"]
    for state, title in (("peer", "only on a peer"), ("nowhere", "nowhere")):
        names = states[state]
        lines += [f"  {title}  {_held(name, holders)}" for name in names[:MAX_SHOWN]]
        lines += (
            [f"  {title}  … and {len(names) - MAX_SHOWN:,} more (--json has all)"] if len(names) > MAX_SHOWN else []
        )
    if holders is None:
        lines.append("no node runs, so no peer was asked: p2pmods up starts one")
    place = printable(str(directory), 500)
    typed = f'"{place}"' if " " in place else place
    return [*lines, f"p2pmods get {typed} fetches what is missing"]


def _held(name: str, holders: dict[str, list[str]] | None) -> str:
    nodes = (holders or {}).get(name, [])
    more = f" and {len(nodes) - MAX_HOLDERS} more" if len(nodes) > MAX_HOLDERS else ""
    who = f"  held by {', '.join(map(short, nodes[:MAX_HOLDERS]))}{more}" if nodes else ""
    return f"{printable(name, 500)}{who}"
