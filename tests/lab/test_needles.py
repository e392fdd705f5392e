"""The search for names finds every form that it claims to find, wherever it stands in what was captured."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest

from p2pmods.gomod.escape import escape_path
from p2pmods.gomod.module import ModuleVersion
from p2pmods.identity.swarm import PUBLIC, Swarm
from simulations.lab.needles import count, needles

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

MODULE = ModuleVersion("code.example.org/secret/Nachtigall7c1e", "v1.4.0")
SWARM = Swarm("lab", bytes(range(32)))
RAW = MODULE.path.encode()

FORMS: dict[str, Callable[[str], bytes]] = {
    "raw": lambda path: f"GET {path}".encode(),
    "escaped": lambda path: f"GET /{escape_path(path)}/@v/list".encode(),
    "url": lambda path: quote(f"https://proxy.example.org/{path}@v1.4.0", safe="").encode(),
    "hex": lambda path: path.encode().hex().encode(),
}


@pytest.mark.parametrize("form", list(FORMS))
def test_a_name_is_found_in_each_form(form: str, tmp_path: Path) -> None:
    file = tmp_path / "packets"
    file.write_bytes(b"\0before" + FORMS[form](MODULE.path) + b"after\xff")
    found = count(file, needles(MODULE, (SWARM,)))
    assert found[form] == 1


@pytest.mark.parametrize("before", range(6))
@pytest.mark.parametrize("encode", [base64.b64encode, base64.urlsafe_b64encode])
def test_base64_is_found_wherever_it_begins(before: int, encode: Callable[[bytes], bytes], tmp_path: Path) -> None:
    file = tmp_path / "packets"
    file.write_bytes(encode(b"\xfb" * before + RAW + b"@v1.4.0 and more"))
    assert count(file, needles(MODULE, (SWARM,)))["base64"] == 1


@pytest.mark.parametrize("swarm", [SWARM, PUBLIC])
@pytest.mark.parametrize("name", [str(MODULE), f"{MODULE}/go.mod", MODULE.path, f"{MODULE.path}@latest"])
def test_its_keys_are_found_by_the_swarm_that_they_are_of(swarm: Swarm, name: str, tmp_path: Path) -> None:
    file = tmp_path / "packets"
    file.write_bytes(b"\0" * 5 + swarm.key_of(name) + b"\0" * 5)
    found = count(file, needles(MODULE, (SWARM, PUBLIC)))
    assert {form for form, times in found.items() if times} == {f"hashed in {swarm.name}"}


def test_other_names_are_not_found(tmp_path: Path) -> None:
    file = tmp_path / "packets"
    file.write_bytes(b"example.org/acme/Kanarienvogel5d0b@v1.4.0" * 3)
    assert not any(count(file, needles(MODULE, (SWARM, PUBLIC))).values())


def test_nothing_is_found_in_what_was_not_captured(tmp_path: Path) -> None:
    assert set(count(tmp_path / "none", needles(MODULE, (SWARM,))).values()) == {0}
