"""One command's use of a node: its own proxy URL, and at the end a line that says what came from where."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from p2pmods.cli.output import duration, plural, size
from p2pmods.errors import printable

if TYPE_CHECKING:
    from p2pmods.cli.client import RunningNode

# The report's source kinds, as a person reads them and in the order of the last line.
_NAMES: Final = (
    (("peer",), "peers"),
    (("store", "module-cache"), "here"),
    (("upstream",), "upstream"),
    (("vcs",), "version control"),
)
_WANTED: Final = (".mod", ".zip")  # an .info may be asked for to see whether there is such a module
_RECORD: Final = "sumdb lookup/"
MAX_ASKED: Final = 3  # sources named for a missing module


@dataclass(frozen=True, slots=True)
class ProxySession:
    """An open session: `url` is the GOPROXY value to use."""

    node: RunningNode
    token: str
    url: str

    def end(self) -> dict[str, Any]:
        """Close it; its report."""
        report: dict[str, Any] = self.node.delete(f"sessions/{self.token}")
        return report


def open_session(node: RunningNode, go_sum: bytes | None, origin: str | None) -> ProxySession:
    """A session whose pin is `go_sum` (the text of a file at `origin`), or that has none."""
    text = None if go_sum is None else go_sum.decode("utf-8", "surrogateescape").encode("utf-8", "replace").decode()
    answer = node.post("sessions", {"go_sum": text, "origin": origin, "strict": True})
    return ProxySession(node, str(answer["token"]), str(answer["url"]))


def summary(report: dict[str, Any]) -> str:
    """`228 modules, 181 MB, 9 s: 201 peers · 24 here · 3 upstream · all proven`."""
    sources = report["sources"]
    parts = []
    for kinds, name in _NAMES:
        count = sum(sources.get(kind, {}).get("modules", 0) for kind in kinds)
        if count:
            parts.append(f"{count:,} {name}")
    unproven = report["unproven"]
    parts.append(f"{plural(unproven, 'file')} not proven" if unproven else "all proven")
    head = f"{plural(report['modules'], 'module')}, {size(report['bytes'])}, {duration(report['elapsed_s'])}"
    return f"{head}: {' · '.join(parts)}"


def missing_text(missing: list[dict[str, Any]]) -> str:
    """Which file is missing and who was asked for it; the first one, and of how many others something is."""
    files = [one for one in missing if one["name"].endswith(_WANTED)]
    # `go get a/b/c` also probes a/b and a: the longest name is the one that was meant, or its proof.
    first = files[0] if files else max(missing, key=lambda one: len(one["name"]))
    asked = [f"{printable(source)}: {printable(reason)}" for source, reason in first["tried"]]
    more = [f"{len(asked) - MAX_ASKED} more"] if len(asked) > MAX_ASKED else []
    who = f" (asked {'; '.join(asked[:MAX_ASKED] + more)})" if asked else ""
    others = {_of(one["name"]) for one in missing} - {_of(first["name"])}
    rest = f", and {len(others)} more" if others else ""
    reason = first["reason"].removeprefix(f"{first['name']}: ")
    return f"missing {printable(first['name'])}: {printable(reason)}{who}{rest}"


def _of(name: str) -> str:
    """What a file or record belongs to: a module version that lacks its `.mod` and its zip is missing once."""
    for suffix in (*_WANTED, ".info"):
        name = name.removesuffix(suffix)
    return name.removeprefix(_RECORD)
