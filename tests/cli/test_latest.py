"""`get X@latest` takes the version that `go get X@latest` would take."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx
import pytest

from p2pmods.cli.getcmd import Download
from p2pmods.cli.getplan import Query
from p2pmods.cli.latest import latest_of_list
from p2pmods.errors import MalformedData

if TYPE_CHECKING:
    from p2pmods.gomod.module import ModuleVersion

PATH = "example.com/a"
NONE = f"module {PATH}\n"
RETRACTS = f"module {PATH}\n\nretract (\n\tv1.2.0\n\t[v1.3.0, v1.9.0]\n)\n"


async def taken(versions: str, mods: dict[str, str]) -> str:
    async def read_mod(module: ModuleVersion) -> bytes:
        assert module.path == PATH
        return mods.get(module.version, f"module {PATH}\n\ngo 1.21\n").encode()

    return await latest_of_list(PATH, versions.replace(" ", "\n").encode(), read_mod)


@pytest.mark.parametrize(
    ("versions", "mods", "newest"),
    [
        ("v1.0.0 v1.1.0", {}, "v1.1.0"),
        ("v1.0.0 v1.1.0-rc.1", {}, "v1.0.0"),
        ("v1.14.0 v2.0.3+incompatible", {}, "v1.14.0"),  # a go.mod: the author means v1
        ("v1.14.0 v2.0.3+incompatible", {"v1.14.0": NONE}, "v2.0.3+incompatible"),
        ("v2.0.3+incompatible v3.0.0+incompatible", {}, "v3.0.0+incompatible"),
        ("v1.1.0 v1.2.0", {"v1.2.0": RETRACTS}, "v1.1.0"),
        ("v1.1.0 v1.2.0 v1.2.1", {"v1.2.0": RETRACTS}, "v1.2.1"),  # what the highest one says counts
        ("v1.1.0 v1.2.0 v1.4.0 v1.9.0", {"v1.9.0": RETRACTS}, "v1.1.0"),
        ("v0.0.0-20240101000000-aaaaaaaaaaaa", {}, "v0.0.0-20240101000000-aaaaaaaaaaaa"),
    ],
)
async def test_the_latest_of_a_list_is_the_one_that_go_takes(
    versions: str, mods: dict[str, str], newest: str
) -> None:
    assert await taken(versions, mods) == newest


async def test_no_go_mod_is_read_that_decides_nothing() -> None:
    read: list[str] = []

    async def read_mod(module: ModuleVersion) -> bytes:
        read.append(module.version)
        return NONE.encode()

    assert await latest_of_list(PATH, b"v1.0.0\nv1.1.0-rc.1\n", read_mod) == "v1.0.0"
    assert read == ["v1.0.0"]


async def test_a_list_of_which_nothing_may_be_taken_is_no_answer() -> None:
    with pytest.raises(MalformedData, match="no version"):
        await taken("", {})
    with pytest.raises(MalformedData, match=r"v1\.2\.0 retracts every version"):
        await taken("v1.2.0", {"v1.2.0": RETRACTS})


PSEUDO = "v0.0.0-20240101000000-aaaaaaaaaaaa"
NEWER = "v0.0.0-20250101000000-bbbbbbbbbbbb"


@pytest.mark.parametrize(
    ("listed", "info", "found"),
    [
        ("v1.0.0", "v9.9.9", "v1.0.0"),  # tags go before what `@latest` says
        (PSEUDO, NEWER, NEWER),
        (PSEUDO, None, PSEUDO),
        ("", NEWER, NEWER),
        (None, NEWER, NEWER),
        ("", None, None),
        (None, None, None),
    ],
)
async def test_the_list_is_asked_first_and_a_commit_counts_only_where_no_tag_is(
    listed: str | None, info: str | None, found: str | None
) -> None:
    files = {f"/{PATH}/@v/list": listed, f"/{PATH}/@latest": info and f'{{"Version":"{info}"}}'}
    files |= {f"/{PATH}/@v/{version}.mod": NONE for version in ("v1.0.0", PSEUDO)}

    def answer(request: httpx.Request) -> httpx.Response:
        body = files.get(request.url.path)
        status, text = (404, "p2pmods: x: not found") if body is None else (200, body)
        return httpx.Response(status, stream=httpx.ByteStream(text.encode()))

    async with httpx.AsyncClient(transport=httpx.MockTransport(answer)) as client:
        download = Download(client, "http://node", lambda: None)
        module = await download.resolve(Query(PATH, "latest"))
    assert (module and module.version) == found
    assert list(download.failed) == ([] if found else [f"{PATH}@latest"])
