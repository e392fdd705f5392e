"""What the report of a `run` names as missing: what go needed, and not the prefixes among which it looked for it."""

from __future__ import annotations

import pytest

from p2pmods.api import sessions
from p2pmods.api.sessions import Session
from p2pmods.fetch.outcome import FetchFailed, Served, Verdict
from p2pmods.gomod.module import FileKey, FileKind, ModuleVersion
from p2pmods.trust.evidence import SourceKind

SUB = ModuleVersion("go.example/x/text/sub", "v1.0.0")


def served(module: ModuleVersion, kind: FileKind) -> Served:
    return Served(FileKey(module, kind), SourceKind.STORE, 1, "00", None, True, True, b"x", None)


def session(
    missing: list[str],
    *,
    listings: tuple[str, ...] = (),
    files: tuple[FileKind, ...] = (),
    verdict: Verdict = Verdict.NOT_FOUND,
) -> Session:
    one = Session("token", 0.0)
    for name in missing:
        one.record_failure(FetchFailed(name, verdict, []))
    for kind in files:
        one.record(served(SUB, kind), pinned=False)
    for name in listings:
        one.record_listing(name)
    return one


def missing(one: Session) -> list[str]:
    return [item["name"] for item in one.report(now=1.0)["missing"]]


@pytest.mark.parametrize("ending", ["@v1.0.0.info", "/@v/list", "@latest", "@main"])
def test_of_the_prefixes_that_go_tries_only_the_longest_is_missing(ending: str) -> None:
    names = [f"{path}{ending}" for path in ("go.example", "go.example/x/text", "go.example/x")]
    assert missing(session(names)) == [f"go.example/x/text{ending}"]
    assert set(missing(session([*names, "go.example/x@v2.0.0.info"]))) == {names[1], "go.example/x@v2.0.0.info"}


def test_prefixes_of_what_was_found_are_not_missing() -> None:
    infos = ["go.example@v1.0.0.info", "go.example/x@v1.0.0.info"]
    assert missing(session(infos, files=(FileKind.INFO,))) == []
    assert missing(session(infos, files=(FileKind.MOD,))) == infos[1:]
    lists = ["go.example/@v/list", "go.example/x/@v/list"]
    assert missing(session(lists, listings=("go.example/x/text/@v/list",))) == []
    assert missing(session(lists, listings=("go.example/x/text@latest", "go.example/xy/@v/list"))) == lists[1:]


def test_the_packages_of_a_module_that_was_found_are_not_missing_modules() -> None:
    names = ["go.example/x/text/sub/package@v1.0.0.info", "go.example/x/text/subway@v1.0.0.info"]
    assert missing(session(names, files=(FileKind.INFO,))) == names[1:]
    assert missing(session(["go.example/x/text/@v/list"], listings=("go.example/x/@v/list",))) == []


def test_a_module_above_another_of_the_same_version_is_missed_by_its_files() -> None:
    above = ModuleVersion("go.example/x/text", "v1.0.0")
    names = [f"{above}.{kind}" for kind in ("mod", "zip")]
    assert missing(session(names, files=tuple(FileKind))) == names


def test_what_could_not_be_looked_for_stays() -> None:
    lists = [f"cloud.example/go/{name}@v/list" for name in ("", "storage/")]
    found = ("cloud.example/go/@v/list",)
    assert missing(session(lists[1:], listings=found)) == []
    assert missing(session(lists[1:], listings=found, verdict=Verdict.UNAVAILABLE)) == lists[1:]


def test_what_is_above_the_module_that_was_found_or_is_known_is_a_guess_though_nobody_could_be_asked() -> None:
    lists = ["go.example/@v/list", "go.example/x/@v/list"]
    found = ("go.example/x/text/@v/list",)
    assert missing(session(lists, listings=found, verdict=Verdict.UNAVAILABLE)) == []
    one = session(lists, verdict=Verdict.UNAVAILABLE)
    assert missing(one) == lists
    hint = "the newest version known, v1.1.0, is not held here; the newest that is held is v1.0.0"
    one.record_failure(FetchFailed(found[0], Verdict.UNAVAILABLE, [], hint))
    assert missing(one) == [found[0]]


def test_a_record_is_never_a_guess() -> None:
    names = [f"sumdb lookup/go.example/{path}@v1.0.0" for path in ("x", "x/text")]
    assert missing(session(names)) == names


def test_a_list_that_was_answered_later_is_not_missing() -> None:
    assert missing(session(["go.example/x/@v/list"], listings=("go.example/x/@v/list",))) == []


def test_the_lists_that_a_session_remembers_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sessions, "MAX_LISTINGS", 1)
    lists = ("other.example/a/@v/list", "go.example/x/text/@v/list")
    assert missing(session(["go.example/x/@v/list"], listings=lists)) == ["go.example/x/@v/list"]
