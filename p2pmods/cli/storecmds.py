"""`p2pmods verify` and `p2pmods rm`: through the running node, or on disk when there is none."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from p2pmods.cli.client import find_node
from p2pmods.cli.context import data_directory
from p2pmods.cli.output import note, plural, say, say_json
from p2pmods.cli.targets import parse_module_version
from p2pmods.errors import UsageError, printable
from p2pmods.gomod.module import FileKey, FileKind, ModuleVersion

if TYPE_CHECKING:
    from pathlib import Path

FAILED: Final = 1
VERIFY_DEADLINE: Final = 24 * 3600.0  # seconds; reading a large store on a slow disk takes hours


def verify(names: list[str], data: Path | None, *, everything: bool, as_json: bool) -> int:
    """Read files again and compare hashes; 1 when any is not what it was."""
    if everything == bool(names):
        raise UsageError("verify takes either MODULE@VERSION… or --all")
    modules = [parse_module_version(name) for name in names]
    directory = data_directory(data)
    node = find_node(directory)
    if node is None:
        report = _verify_on_disk(directory, None if everything else modules)
    else:
        body = {"all": True} if everything else {"modules": [str(module) for module in modules]}
        report = node.post("verify", body, deadline=VERIFY_DEADLINE)
    if as_json:
        say_json(report)
    else:
        _say_verified(report)
    return FAILED if report["bad"] or (names and not report["checked"]) else 0


def _say_verified(report: dict[str, Any]) -> None:
    for bad in report["bad"]:
        say(f"BAD  {printable(bad['module'])}.{printable(bad['file'])}: {printable(bad['reason'], 500)}")
    checked, bad = plural(report["checked"], "file"), len(report["bad"])
    if not report["checked"]:
        note("p2pmods: none of it is held: nothing to verify")
    else:
        say(f"{checked} read again: {f'{bad} bad' if bad else 'every one is what it was'}")


def _verify_on_disk(data: Path, modules: list[ModuleVersion] | None) -> dict[str, Any]:
    from p2pmods.cli.disk import opened_store
    from p2pmods.fetch.duties import verify_file

    bad = []
    with opened_store(data) as store:
        keys = store.keys() if modules is None else [key for key in _keys(modules) if store.held(key)]
        for key in keys:
            reason = verify_file(store, key)
            if reason is not None:
                bad.append({"module": str(key.module), "file": key.kind.value, "reason": reason})
    return {"checked": len(keys), "bad": bad}


def _keys(modules: list[ModuleVersion]) -> list[FileKey]:
    return [FileKey(module, kind) for module in modules for kind in FileKind]


def remove(names: list[str], data: Path | None, *, as_json: bool) -> int:
    """Remove with a tombstone; 1 when something of it was not held."""
    if not names:
        raise UsageError("rm takes MODULE@VERSION…")
    modules = [parse_module_version(name) for name in names]
    directory = data_directory(data)
    node = find_node(directory)
    if node is None:
        report = _remove_on_disk(directory, modules)
    else:
        report = node.post("rm", {"modules": [str(module) for module in modules]})
    if as_json:
        say_json(report)
    else:
        for name in report["removed"]:
            say(f"removed {printable(name)}: it stays away until `p2pmods get {printable(name)}`")
        for name in report["missing"]:
            note(f"p2pmods: {printable(name)} was not held")
    return FAILED if report["missing"] else 0


def _remove_on_disk(data: Path, modules: list[ModuleVersion]) -> dict[str, Any]:
    from p2pmods.cli.disk import opened_store

    removed: list[str] = []
    missing: list[str] = []
    with opened_store(data) as store:
        for module in modules:
            if any(store.held(key) for key in _keys([module])):
                store.remove(module)
                removed.append(str(module))
            else:
                missing.append(str(module))
    return {"removed": removed, "missing": missing}
