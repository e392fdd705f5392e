"""Module zips of the real proxy are inside the strict profile, and hash to what the checksum database says."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from p2pmods.gomod.inflate import EXACT, FAST
from p2pmods.gomod.module import ModuleVersion
from p2pmods.gomod.zipcheck import check_module_zip

pytestmark = [pytest.mark.live, pytest.mark.go]

MODULES = [
    ModuleVersion("github.com/BurntSushi/toml", "v1.2.0"),
    ModuleVersion("github.com/Azure/go-autorest", "v14.2.0+incompatible"),
    ModuleVersion("github.com/gohugoio/hugo", "v0.151.0"),
    ModuleVersion("golang.org/x/text", "v0.29.0"),
    ModuleVersion("golang.org/x/tools", "v0.0.0-20180917221912-90fa682c2a6e"),
    ModuleVersion("gopkg.in/yaml.v3", "v3.0.1"),
    ModuleVersion("rsc.io/quote", "v1.5.2"),
]


@pytest.fixture(scope="module")
def downloaded(tmp_path_factory: pytest.TempPathFactory) -> dict[ModuleVersion, tuple[bytes, str]]:
    """Module → its zip, and the h1 that go computed and the checksum database confirmed."""
    cache = tmp_path_factory.mktemp("modcache")
    environment = os.environ | {"GOMODCACHE": str(cache), "GOFLAGS": "-modcacherw", "GOWORK": "off"}
    command = ["go", "mod", "download", "-json", *map(str, MODULES)]
    ran = subprocess.run(command, cwd=cache, env=environment, capture_output=True, check=True, text=True)
    said = json.loads("[" + ran.stdout.replace("}\n{", "},\n{") + "]")
    return {ModuleVersion(one["Path"], one["Version"]): (Path(one["Zip"]).read_bytes(), one["Sum"]) for one in said}


@pytest.mark.parametrize("module", MODULES, ids=str)
def test_real_zips_pass_and_hash_as_go_says(
    module: ModuleVersion, downloaded: dict[ModuleVersion, tuple[bytes, str]]
) -> None:
    data, h1 = downloaded[module]
    for inflater in (EXACT, FAST):
        summary = check_module_zip(module, len(data), lambda at, length: data[at : at + length], inflater=inflater)
        assert summary.h1 == h1
