"""`p2pmods run [--fresh] [--] CMD…`: the command as always, with its modules from the node alone."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from p2pmods.cli.gofiles import find_go_files, load_go_sum, read_sums
from p2pmods.cli.lease import a_node
from p2pmods.cli.output import note
from p2pmods.cli.process import execute, find_program
from p2pmods.cli.sessions import missing_text, open_session, summary
from p2pmods.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


def run(flags: Mapping[str, object], command: list[str], *, fresh: bool) -> int:
    """Run it and return its exit status; the last line on stderr says what came from where."""
    program = find_program(command[0], os.environ)
    pins, origin = _pins()
    with a_node(flags) as node, _module_cache(fresh=fresh) as changes:
        session = open_session(node, pins, origin)
        status = execute(program, command, {**os.environ, **changes, "GOPROXY": session.url})
        try:
            line = last_line(session.end(), status, fresh=fresh)
        except UserError as error:
            line = f"the node was gone before it could say what came from where: {error}"
    note(f"p2pmods: {line}")
    return status


def _pins() -> tuple[bytes | None, str | None]:
    """The go.sum of the current directory. One that cannot be read is left to go to complain about."""
    try:
        files = find_go_files(Path.cwd(), os.environ)
        if files is None or not files.sums:
            return None, None
        data, origin = read_sums(files.sums), str(files.sums[0])
        load_go_sum(data, origin)
    except (UserError, OSError) as error:
        note(f"p2pmods: not used as a pin: {error}")
        return None, None
    return data, origin


@contextlib.contextmanager
def _module_cache(*, fresh: bool) -> Iterator[dict[str, str]]:
    """The variables for a throw-away module cache, removed at the end; none when `fresh` is false."""
    if not fresh:
        yield {}
        return
    directory = Path(tempfile.mkdtemp(prefix="p2pmods-fresh-"))
    try:
        yield {"GOMODCACHE": str(directory)}
    finally:
        remove_tree(directory)


def remove_tree(directory: Path) -> None:
    """Remove a module cache: go makes its directories read-only."""
    for place, _, _ in os.walk(directory):
        with contextlib.suppress(OSError):
            Path(place).chmod(0o700)
    if os.name == "nt":
        for file in directory.rglob("*"):
            with contextlib.suppress(OSError):
                file.chmod(0o700)
    shutil.rmtree(directory, ignore_errors=True)
    if directory.exists():
        note(f"p2pmods: could not remove all of {directory}")


def last_line(report: dict[str, Any], status: int, *, fresh: bool) -> str:
    """What is said at the end of `run` for a session's report and the command's exit status."""
    missing = report["missing"] if status != 0 else []
    if report["modules"]:
        return "; ".join([summary(report), *([missing_text(missing)] if missing else [])])
    if missing:
        return missing_text(missing)
    if status != 0:
        return "the command failed, and asked this node for no module"
    if fresh:
        return "go asked for nothing: this needs no module from outside"
    return "go asked for nothing: it did not run, or its module cache had everything (run --fresh shows a download)"
