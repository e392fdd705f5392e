"""Two small real projects, cut out of Caddy's: among the modules of one is a large zip, among the other's is none.

Neither needs a module of the other's.
"""

from __future__ import annotations

import os
import shutil
import zipfile
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from p2pmods.gomod.module import FileKey, FileKind, ModuleVersion
from p2pmods.testing.modzips import Crafted, craft_zip
from simulations.bench.upstream import go_mod
from simulations.lab.machines import Project

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

_LARGE: Final = ModuleVersion("golang.org/x/text", "v0.27.0")  # 9.2 MB
_WITH_LARGE: Final = (
    _LARGE,
    ModuleVersion("github.com/BurntSushi/toml", "v1.5.0"),
    ModuleVersion("github.com/cespare/xxhash/v2", "v2.3.0"),
    ModuleVersion("github.com/davecgh/go-spew", "v1.1.1"),
    ModuleVersion("github.com/dlclark/regexp2", "v1.11.5"),
    ModuleVersion("github.com/dustin/go-humanize", "v1.0.1"),
    ModuleVersion("github.com/fxamacker/cbor/v2", "v2.8.0"),
    ModuleVersion("github.com/go-chi/chi/v5", "v5.2.2"),
    ModuleVersion("github.com/go-logr/logr", "v1.4.3"),
    ModuleVersion("github.com/google/uuid", "v1.6.0"),
    ModuleVersion("github.com/shopspring/decimal", "v1.4.0"),
    ModuleVersion("github.com/x448/float16", "v0.8.4"),
    ModuleVersion("github.com/yuin/goldmark", "v1.7.13"),
    ModuleVersion("golang.org/x/sync", "v0.16.0"),
    ModuleVersion("gopkg.in/natefinch/lumberjack.v2", "v2.2.1"),
)
_SMALL: Final = (
    ModuleVersion("filippo.io/edwards25519", "v1.1.0"),
    ModuleVersion("github.com/Masterminds/goutils", "v1.1.1"),
    ModuleVersion("github.com/aryann/difflib", "v0.0.0-20210328193216-ff5ff6dc229b"),
    ModuleVersion("github.com/cenkalti/backoff/v5", "v5.0.2"),
    ModuleVersion("github.com/felixge/httpsnoop", "v1.0.4"),
    ModuleVersion("github.com/golang/snappy", "v0.0.4"),
    ModuleVersion("github.com/huandu/xstrings", "v1.5.0"),
    ModuleVersion("github.com/kylelemons/godebug", "v1.1.0"),
    ModuleVersion("github.com/mitchellh/go-ps", "v1.0.0"),
    ModuleVersion("github.com/pkg/errors", "v0.9.1"),
    ModuleVersion("github.com/rs/xid", "v1.6.0"),
    ModuleVersion("github.com/spf13/pflag", "v1.0.7"),
)


@dataclass(frozen=True, slots=True)
class Material:
    """What a fault strikes: `project` needs the zip of `large`; `other` is wanted before or afterwards.

    `rezipped` has the same modules as both, with zips of other bytes and the same hashes.
    """

    project: Project
    large: ModuleVersion
    other: Project
    rezipped: Path


def cut_out(whole: Project, directory: Path) -> Material:
    """From Caddy's project."""
    project = _needing("with-large", whole, _WITH_LARGE, directory)
    other = _needing("small", whole, _SMALL, directory)
    rezipped = rezip(whole.modules, directory / "rezipped", [*_WITH_LARGE, *_SMALL])
    return Material(project, _LARGE, other, rezipped)


def _needing(name: str, whole: Project, modules: Iterable[ModuleVersion], directory: Path) -> Project:
    source = directory / name
    source.mkdir(parents=True)
    needs = "".join(f"\t{module.path} {module.version}\n" for module in modules)
    (source / "go.mod").write_bytes(go_mod(f"example.org/{name}") + f"\nrequire (\n{needs})\n".encode())
    shutil.copyfile(whole.source / "go.sum", source / "go.sum")  # more than it needs
    return Project(name, source, whole.modules, whole.sumdb)


def rezip(upstream: Path, directory: Path, modules: Iterable[ModuleVersion]) -> Path:
    """Another upstream in `directory`, where these modules' zips were made by another program."""
    shutil.copytree(upstream, directory, copy_function=os.symlink)
    for module in modules:
        file = directory / FileKey(module, FileKind.ZIP).url_path
        with zipfile.ZipFile(file) as old:
            data = craft_zip(Crafted(one.filename.encode(), old.read(one)) for one in old.infolist())
        file.unlink()
        file.write_bytes(data)
    return directory
