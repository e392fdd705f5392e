"""The documents name what exists, link to what exists, and name no registry's host."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from p2pmods.cli.app import app
from p2pmods.config.settings import SETTINGS, Setting

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[1]
REFERENCE = (ROOT / "docs" / "reference.md").read_text("utf-8")
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
COMMANDS = [command.name or command.callback.__name__ for command in app.registered_commands if command.callback]
DIRECTORIES = (".ci", "docs", "p2pmods", "simulations", "tests")
LINK = re.compile(r"\]\(([^)\s]+)\)")

# In two parts, so that this file does not hold what it looks for.
HOSTS = tuple(
    f"{name}.{domain}"
    for name, domain in (
        ("proxy", "golang.org"),
        ("index", "golang.org"),
        ("goproxy", "io"),
        ("goproxy", "cn"),
        ("pypi", "org"),
        ("pythonhosted", "org"),
        ("npmjs", "org"),
        ("npmjs", "com"),
        ("crates", "io"),
        ("rubygems", "org"),
    )
)
ELSEWHERE = "../" + "shared"


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def anchors_of(page: Path) -> set[str]:
    """The anchors of its headings, as both mkdocs and the code hosts make them of plain words."""
    headings = re.findall(r"^#+ (.+)$", page.read_text("utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading).strip().lower().replace(" ", "-") for heading in headings}


def text_files() -> Iterator[tuple[Path, str]]:
    paths = [path for name in DIRECTORIES for path in (ROOT / name).rglob("*")]
    for path in (*ROOT.glob("*"), *paths):
        if path.is_file() and "__pycache__" not in path.parts:
            try:
                yield path, path.read_text("utf-8")
            except UnicodeDecodeError:
                continue


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda setting: setting.key)
def test_the_reference_names_every_setting_with_its_flag_and_variable(setting: Setting) -> None:
    row = next((line for line in REFERENCE.splitlines() if line.startswith(f"| `{setting.key}` |")), "")
    assert f"`{setting.variable}`" in row
    assert f"`{setting.flag}`" in row or not setting.flag


@pytest.mark.parametrize("command", COMMANDS)
def test_the_reference_names_every_command(command: str) -> None:
    assert re.search(rf"^\| `{command}[ `]", REFERENCE, re.MULTILINE)


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_relative_link_leads_somewhere(page: Path) -> None:
    for link in LINK.findall(page.read_text("utf-8")):
        if "://" in link:
            continue
        target, _, anchor = link.partition("#")
        found = page if not target else page.parent / target
        assert found.is_file(), link
        assert not anchor or anchor in anchors_of(found), link


def test_the_site_has_every_page_and_no_other() -> None:
    named = set(re.findall(r"(\S+\.md)$", (ROOT / "mkdocs.yml").read_text("utf-8"), re.MULTILINE))
    assert named == {page.relative_to(ROOT / "docs").as_posix() for page in PAGES[1:]}


def test_no_file_names_a_registrys_host_or_a_directory_beside_the_project() -> None:
    found = [
        f"{name_of(path)}: {word}" for path, text in text_files() for word in (*HOSTS, ELSEWHERE) if word in text
    ]
    assert found == []
