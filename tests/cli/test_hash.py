"""`p2pmods hash` prints go's h1 of a module zip, or says why there is none."""

from __future__ import annotations

import io
import json
import zipfile
from typing import TYPE_CHECKING

import pytest

from p2pmods.cli import hashcmd
from tests.cli.runner import p2pmods

if TYPE_CHECKING:
    from pathlib import Path

MODULE = "example.com/hello@v1.0.0"
# dirhash.HashZip of exactly these two files, worked out by hand in test_the_hash_is_gos.
FILES = {"go.mod": b"module example.com/hello\n", "hello.go": b"package hello\n"}


@pytest.fixture
def zip_file(tmp_path: Path) -> Path:
    path = tmp_path / "m.zip"
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in FILES.items():
            archive.writestr(zipfile.ZipInfo(f"{MODULE}/{name}"), data)
    path.write_bytes(buffer.getvalue())
    return path


def test_the_hash_is_gos(zip_file: Path) -> None:
    import base64
    import hashlib

    lines = "".join(f"{hashlib.sha256(data).hexdigest()}  {MODULE}/{name}\n" for name, data in sorted(FILES.items()))
    want = "h1:" + base64.b64encode(hashlib.sha256(lines.encode()).digest()).decode()
    assert p2pmods("hash", zip_file).out == want + "\n"
    assert p2pmods("hash", zip_file, MODULE).out == want + "\n"
    assert json.loads(p2pmods("hash", zip_file, "--json").out)["h1"] == want


def test_a_zip_of_another_module_is_refused(zip_file: Path) -> None:
    done = p2pmods("hash", zip_file, "example.com/other@v1.0.0")
    assert done.status == 1
    assert done.out == ""
    assert "refused" in done.err


@pytest.mark.parametrize("content", [b"", b"PK", b"<html>login</html>" * 100])
def test_what_is_no_zip_is_refused_with_a_reason(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.zip").write_bytes(content)
    done = p2pmods("hash", tmp_path / "x.zip")
    assert done.status == 1
    assert len(done.err.splitlines()) == 1


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    done = p2pmods("hash", tmp_path / "none.zip")
    assert done.status == 1
    assert "none.zip" in done.err
    assert p2pmods("hash", tmp_path).status == 1


def test_reading_without_pread_gives_the_same_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr("os.pread", raising=False)
    (tmp_path / "f").write_bytes(b"0123456789")
    with (tmp_path / "f").open("rb") as file:
        pread = hashcmd.reader(file.fileno())
        assert (pread(3, 4), pread(0, 2), pread(9, 5)) == (b"3456", b"01", b"9")
