"""`p2pmods why MODULE@VERSION`: where the bytes came from, and what proves them."""

from __future__ import annotations

import datetime
from typing import TYPE_CHECKING, Any

from p2pmods.cli.client import NodeRefused, find_node
from p2pmods.cli.context import data_directory
from p2pmods.cli.output import say, say_json, size, table
from p2pmods.cli.targets import parse_module_version
from p2pmods.errors import UserError, printable

if TYPE_CHECKING:
    from pathlib import Path

    from p2pmods.cli.client import RunningNode
    from p2pmods.gomod.module import ModuleVersion


def why(module: str, data: Path | None, *, as_json: bool) -> None:
    """Print it; UserError when nothing is known of `module`."""
    wanted = parse_module_version(module)
    directory = data_directory(data)
    node = find_node(directory)
    report = _from_disk(directory, wanted) if node is None else _from_node(node, wanted)
    if report is None:
        raise UserError(f"nothing is known of {wanted}: no file of it ever came to this node")
    if as_json:
        say_json(report)
        return
    for line in human(report):
        say(line)


def _from_node(node: RunningNode, module: ModuleVersion) -> dict[str, Any] | None:
    try:
        report: dict[str, Any] = node.get("why", {"module": module.path, "version": module.version})
    except NodeRefused as error:
        if error.status == 404:
            return None
        raise
    return report


def _from_disk(data: Path, module: ModuleVersion) -> dict[str, Any] | None:
    from p2pmods.cli.disk import opened_store
    from p2pmods.fetch.report import why_report

    with opened_store(data) as store:
        return why_report(store, module)


def human(report: dict[str, Any]) -> list[str]:
    """Each file, its source, hashes and evidence; then what was refused, marks and alarms."""
    name = f"{printable(report['module'])}@{printable(report['version'])}"
    lines = [name]
    for file in report["files"]:
        lines += ["", f"  {file['name']}  {size(file['size'])}"]
        lines += table(_file_rows(file), indent="    ")
    for refused, times in _counted(report.get("refused", [])):
        again = f", the last of {times:,} times" if times > 1 else ""
        lines += ["", f"  {refused['name']}  REFUSED: {printable(refused['reason'], 500)}"]
        lines.append(f"    came from {_source(refused['source'])}{again}")
    for mark in report.get("marks", []):
        reason = printable(mark["reason"], 500) or f"by you: `p2pmods get {name}` brings it back"
        lines += ["", f"  {printable(mark['state']).upper()}  {reason} ({_date(mark['at'])})"]
    lines += [f"  ALARM  {printable(alarm['text'], 500)}" for alarm in report["alarms"]]
    return lines


def _counted(refused: list[dict[str, Any]]) -> list[tuple[dict[str, Any], int]]:
    """The last of those that differ in nothing but their time, and how many they are; in the order of the first."""
    alike: dict[tuple[str, ...], list[dict[str, Any]]] = {}
    for one in refused:
        source = one["source"]
        alike.setdefault((one["name"], source["kind"], source["id"], one["reason"]), []).append(one)
    return [(group[-1], len(group)) for group in alike.values()]


def _file_rows(file: dict[str, Any]) -> list[tuple[str, str]]:
    rows = [("from", _source(file["source"])), ("sha256", printable(file["sha256"]) or "not read yet")]
    if file["h1"]:
        rows.append(("hash", printable(file["h1"])))
    evidence = [_evidence(item) for item in file["evidence"]]
    if file["name"] == "info":  # no hash covers an .info: there is nothing that could prove it
        return rows + [("evidence", item) for item in evidence]
    proofs = [item for item in evidence if item.startswith("proven")]
    others = [item for item in evidence if item not in proofs]
    rows += [("proof", item) for item in proofs or ["none (yet): no checksum database has stated its hash"]]
    return rows + [("evidence", item) for item in others]


def _evidence(item: dict[str, Any]) -> str:
    match item["kind"]:
        case "sumdb":
            return f"proven by {printable(item['database'])}: record {item['record']:,} of tree {item['tree']:,}"
        case "pin":
            return f"listed in {printable(item['origin'])}"
        case "upstream":
            return f"came straight from {printable(item['upstream'])}"
        case "peer":
            return f"Version and Time are the word of peer {printable(item['peer'])}"
        case "module-cache":
            return f"was in this user's module cache, {printable(item['directory'])}"
    return ", ".join(f"{printable(str(name))} {printable(str(value))}" for name, value in item.items())


def _source(source: dict[str, Any]) -> str:
    identity = f" {printable(source['id'])}" if source["id"] else ""
    return f"{printable(source['kind'])}{identity}, {_date(source['at'])}"


def _date(at: float) -> str:
    try:
        return datetime.datetime.fromtimestamp(at).astimezone().strftime("%Y-%m-%d %H:%M:%S")
    except (ValueError, OverflowError, OSError):
        return "at an unknown time"
