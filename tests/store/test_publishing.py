"""What `GOPROXY=file://DATA/modules` finds when no node runs."""

from __future__ import annotations

import os
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from p2pmods.gomod.module import FileKey, FileKind, ModuleVersion
from p2pmods.store.store import Store
from tests.store.files import WIDGET, content_of, key, put, put_all

if TYPE_CHECKING:
    from pathlib import Path

NEWER = ModuleVersion(WIDGET.path, "v1.3.0")
PSEUDO = ModuleVersion(WIDGET.path, "v0.0.0-20240102030405-0123456789ab")


def listed(store: Store) -> str | None:
    path = store.modules / "example.com/acme/widget/@v/list"
    return path.read_text() if path.exists() else None


def info(store: Store, module: ModuleVersion) -> Path:
    return store.modules / key("info", module).url_path


def test_a_version_is_listed_once_all_of_it_can_be_read(store: Store) -> None:
    put(store, key("info"))
    put(store, key("mod"))
    assert listed(store) is None
    put(store, key("zip"))
    assert listed(store) == "v1.2.3\n"
    put_all(store, NEWER)
    assert listed(store) == "v1.2.3\nv1.3.0\n"
    store.remove(WIDGET)
    assert listed(store) == "v1.3.0\n"


def test_pseudo_versions_are_listed_only_when_there_is_no_tag(store: Store) -> None:
    put_all(store, PSEUDO)
    assert listed(store) == f"{PSEUDO.version}\n"
    put_all(store, WIDGET)
    assert listed(store) == "v1.2.3\n"


def test_there_is_no_list_while_the_highest_version_ever_seen_is_missing(store: Store) -> None:
    put_all(store)
    store.saw(WIDGET.path, ["v1.0.0", "v1.3.0", "v2.0.0-rc.1+incompatible"])
    assert store.highest(WIDGET.path) == "v1.3.0"
    assert listed(store) is None  # or go get widget@latest would go down to v1.2.3
    put_all(store, NEWER)
    assert listed(store) == "v1.2.3\nv1.3.0\n"
    store.saw(WIDGET.path, ["v1.0.0"])
    assert store.highest(WIDGET.path) == "v1.3.0"


@pytest.mark.parametrize("module", [WIDGET, PSEUDO])
def test_a_missing_info_is_synthesised_for_file_readers_only(store: Store, module: ModuleVersion) -> None:
    put(store, key("mod", module))
    put(store, key("zip", module))
    assert f'"Version":"{module.version}"' in info(store, module).read_text()
    assert store.get_nowait(key("info", module)) is None
    assert store.held(key("info", module)) == []
    assert not store.versions(module.path)[0].info
    assert store.statistics().files == 2


def test_the_real_info_takes_the_place_of_a_synthesised_one(store: Store, data: Path) -> None:
    put(store, key("mod"))
    put(store, key("zip"))
    put(store, key("info"))
    assert info(store, WIDGET).read_bytes() == content_of(key("info"))
    assert store.get_nowait(key("info")) is not None
    put_all(store, NEWER)
    assert info(store, WIDGET).read_bytes() == content_of(key("info"))
    assert not list((data / "quarantine").iterdir())


async def test_a_synthesised_info_goes_with_the_files_it_stands_for(store: Store) -> None:
    put(store, key("mod"))
    put(store, key("zip"))
    (store.modules / key("zip").url_path).unlink()
    assert await store.get(key("zip")) is None
    assert not info(store, WIDGET).exists()


def test_removing_takes_the_synthesised_info_along(store: Store) -> None:
    put(store, key("mod"))
    put(store, key("zip"))
    store.remove(WIDGET)
    assert not info(store, WIDGET).exists()


async def test_a_synthesised_info_is_known_again_without_the_index(store: Store, data: Path) -> None:
    for module in (WIDGET, PSEUDO):
        put(store, key("mod", module))
        put(store, key("zip", module))
    store.close()
    (data / "index.sqlite").unlink()
    (data / "audit.jsonl").unlink()
    (data / "index.sqlite").write_bytes(b"nonsense")
    again = Store.open(data)
    for module in (WIDGET, PSEUDO):
        assert await again.get(key("info", module)) is None
        assert info(again, module).exists()
        assert await again.get(key("zip", module)) is not None
    again.close()


@pytest.mark.go
def test_the_go_command_builds_from_the_store_with_no_node_running(store: Store, tmp_path: Path) -> None:
    go = shutil.which("go")
    if go is None:
        pytest.skip("no go command")
    upper = ModuleVersion("example.com/Acme/Gadget", "v0.1.0")
    for module in (WIDGET, upper):
        put(store, FileKey(module, FileKind.MOD))  # no .info: synthesised
        put(store, FileKey(module, FileKind.ZIP))
    store.close()
    work = tmp_path / "work"
    work.mkdir()
    (work / "go.mod").write_text("module example.com/me\n\ngo 1.20\n")
    imports = '\t_ "example.com/Acme/Gadget"\n\t_ "example.com/acme/widget"\n'
    (work / "main.go").write_text(f"package main\n\nimport (\n{imports})\n\nfunc main() {{}}\n")
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
        "GOPATH": str(tmp_path / "gopath"),
        "GOCACHE": str(tmp_path / "gocache"),
        "GOPROXY": store.modules.as_uri(),
        "GOSUMDB": "off",
        "GOENV": "off",
        "GOFLAGS": "-modcacherw",
        "GOTOOLCHAIN": "local",
    }
    for command in (
        ["mod", "tidy"],
        ["list", "-m", "-versions", WIDGET.path],
        ["mod", "download", f"{WIDGET.path}@v1.2.3"],
    ):
        done = subprocess.run([go, *command], cwd=work, env=environment, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stderr
    assert "example.com/acme/widget v1.2.3" in (work / "go.mod").read_text()
