"""`p2pmods status`: what is held and where it came from, from the running node or else from disk."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from p2pmods.cli.client import find_node
from p2pmods.cli.context import data_directory, load
from p2pmods.cli.meshtext import mesh_rows
from p2pmods.cli.output import ago, duration, plural, say, say_json, size, table
from p2pmods.errors import UserError, printable

if TYPE_CHECKING:
    from pathlib import Path

    from p2pmods.config import Config

MAX_SHOWN = 5  # failures and alarms on a terminal; --json has all


def status(data: Path | None, *, as_json: bool) -> None:
    """Print it. Never starts a node."""
    directory = data_directory(data)
    node = find_node(directory)
    report = node.get("status") if node is not None else status_from_disk(directory)
    if as_json:
        say_json(report)
        return
    for line in human(report, directory):
        say(line)


def status_from_disk(data: Path) -> dict[str, Any]:
    """The same JSON with `api` null."""
    from p2pmods.cli.disk import opened_store
    from p2pmods.fetch.report import status_report
    from p2pmods.fetch.thinning import limit_on
    from p2pmods.store.stored import StoreStatistics, Traffic
    from p2pmods.trust.evidence import SourceKind

    if not (data / "modules").is_dir():
        none = {str(kind): Traffic() for kind in SourceKind}
        nothing = StoreStatistics(0, 0, 0, 0, (), none, Traffic(), none, Traffic(), None)
        return status_report(nothing, None, None)
    try:
        config = load({"data": str(data)}, show_notices=False)
    except UserError:
        config = None
    with opened_store(data) as store:
        limit = None if config is None else limit_on(config.disk_limit, data)
        report = status_report(store.statistics(), _unproven(config, store), limit)
        return {**report, "node_id": _node_id(data)}


def _unproven(config: Config | None, store: Any) -> int | None:
    """Counted as the node counts it; None when the settings that say what is public cannot be read."""
    if config is None:
        return None
    counts: dict[str, int] = store.unproven_by_path()
    return sum(count for path, count in counts.items() if not config.sumdb or not config.no_sumdb.matches(path))


def _node_id(data: Path) -> str | None:
    from p2pmods.errors import P2pmodsError
    from p2pmods.identity.key import node_id
    from p2pmods.store.identity_file import FILE_NAME, load_or_create

    if not (data / FILE_NAME).is_file():
        return None
    try:
        return node_id(load_or_create(data, b""))
    except P2pmodsError:
        return None


def human(report: dict[str, Any], data: Path) -> list[str]:
    """`report` for a person: aligned lines, then alarms and recent failures."""
    held, given = report["held"], report["given"]
    running = f"{report['api']}, for {duration(report['uptime_s'])}" if report["api"] else "no (this is from disk)"
    rows = [
        ("running", running),
        ("node", report["node_id"] or "none yet"),
        ("data", str(data)),
        ("held", f"{plural(held['modules'], 'module')}, {plural(held['files'], 'file')}, {size(held['bytes'])}"),
        *_limit(held),
        ("unproven", _unproven_text(held["unproven"])),
        *_traffic(report["traffic"]),
        ("given", f"{plural(given['files'], 'file')}, {size(given['bytes'])} to peers"),
    ]
    if report["api"]:
        rows += mesh_rows(report)
        rows.append(("upstream", report["upstream"]["state"]))
        rows.append(("checksums", _sumdb(report.get("sumdb", {}))))
    if report.get("trouble"):
        rows.append(("trouble", printable(report["trouble"])))
    return [*table(rows), *_alarms(report["alarms"]), *_failures(report["failures"])]


def _limit(held: dict[str, Any]) -> list[tuple[str, str]]:
    if held["limit"] is None:
        return []
    over = ": too much, so zips go that nobody asked for in the last hour" if held["over"] else ""
    return [("disk limit", f"{size(held['limit'])}, {held['bytes'] / held['limit']:.0%} of it used{over}")]


def _unproven_text(count: int | None) -> str:
    if count is None:
        return "not counted yet"
    return f"{plural(count, 'file')}: no database proof (yet)" if count else "none: everything public has its proof"


def _traffic(traffic: dict[str, Any]) -> list[tuple[str, str]]:
    rows = [
        f"{printable(kind)}: {plural(counts['files'], 'file')}, {size(counts['bytes'])}"
        for kind, counts in traffic.items()
        if counts["files"]
    ]
    return [("served from" if i == 0 else "", row) for i, row in enumerate(rows or ["nothing served yet"])]


def _sumdb(sumdb: dict[str, Any]) -> str:
    if not sumdb or sumdb.get("state") == "off":
        return "off"
    tree = f", tree {sumdb['tree']:,}" if sumdb.get("tree") else ""
    problem = f": {printable(sumdb['problem'])}" if sumdb.get("problem") else ""
    return (
        f"{printable(sumdb['name'])} {sumdb['state']}{tree}, {plural(sumdb.get('records') or 0, 'record')}{problem}"
    )


def _alarms(alarms: list[dict[str, Any]]) -> list[str]:
    lines = [f"  {printable(a['text'], 500)} ({ago(a['since'])})" for a in alarms[:MAX_SHOWN]]
    return ["", f"{plural(len(alarms), 'ALARM')}", *lines] if lines else []


def _failures(failures: list[dict[str, Any]]) -> list[str]:
    if not failures:
        return []
    lines = [
        f"  {ago(one['at'])}: {printable(one['name'])}: {printable(one['hint'] or one['verdict'], 300)}"
        for one in reversed(failures[-MAX_SHOWN:])
    ]
    return ["", "recent failures", *lines]
