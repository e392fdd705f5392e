"""`p2pmods hash FILE.zip [MODULE@VERSION]`."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from p2pmods.cli.output import say, say_json
from p2pmods.cli.targets import parse_module_version
from p2pmods.errors import UserError, ZipRefused
from p2pmods.gomod.zipcheck import check_module_zip

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def hash_zip(file: Path, module: str | None, *, as_json: bool) -> None:
    """Print the `h1:` of a module zip. UserError with the reason when it is none that Go and we read alike."""
    wanted = parse_module_version(module) if module else None
    try:
        with file.open("rb", buffering=0) as opened:
            descriptor = opened.fileno()
            summary = check_module_zip(wanted, os.fstat(descriptor).st_size, reader(descriptor))
    except OSError as error:
        raise UserError(f"cannot read {file}: {error.strerror or error}") from error
    except ZipRefused as error:
        raise UserError(f"{file}: {error}") from error
    if as_json:
        say_json(
            {
                "file": str(file),
                "h1": summary.h1,
                "sha256": summary.sha256,
                "files": summary.files,
                "unpacked": summary.unpacked,
            }
        )
    else:
        say(summary.h1)


def reader(descriptor: int) -> Callable[[int, int], bytes]:
    """`pread(offset, length)` on a file descriptor; Windows has no os.pread."""
    if hasattr(os, "pread"):
        return lambda offset, length: os.pread(descriptor, length, offset)

    def seek_and_read(offset: int, length: int) -> bytes:
        os.lseek(descriptor, offset, os.SEEK_SET)
        return os.read(descriptor, length)

    return seek_and_read
