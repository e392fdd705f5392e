"""Small zips never see the disk before they are committed; large ones never fill the memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from p2pmods.errors import StoreError
from p2pmods.fetch.receiving import IN_MEMORY, Receiver
from p2pmods.store.temp import TempFile

if TYPE_CHECKING:
    from pathlib import Path


def test_what_fits_stays_in_memory(tmp_path: Path) -> None:
    receiver = Receiver(lambda: TempFile(tmp_path))
    receiver.write(b"a" * (IN_MEMORY - 1))
    receiver.write(b"b")
    assert receiver.content() == b"a" * (IN_MEMORY - 1) + b"b"
    assert receiver.size == IN_MEMORY
    assert not list(tmp_path.iterdir())


def test_one_byte_more_goes_to_a_file_with_all_that_came_before(tmp_path: Path) -> None:
    receiver = Receiver(lambda: TempFile(tmp_path))
    for data in (b"a" * IN_MEMORY, b"b", b"c"):
        receiver.write(data)
    content = receiver.content()
    assert isinstance(content, TempFile)
    assert content.path.read_bytes() == b"a" * IN_MEMORY + b"bc"
    assert receiver.size == content.size == IN_MEMORY + 2
    receiver.discard()
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("size", [10, IN_MEMORY + 10])
def test_another_source_begins_anew(tmp_path: Path, size: int) -> None:
    receiver = Receiver(lambda: TempFile(tmp_path))
    receiver.write(b"x" * size)
    receiver.restart()
    assert receiver.size == 0
    receiver.write(b"y")
    content = receiver.content()
    assert (content.path.read_bytes() if isinstance(content, TempFile) else content) == b"y"
    receiver.discard()


def test_a_disk_that_takes_nothing_is_told_to_the_source() -> None:
    def full() -> TempFile:
        raise StoreError("the disk is full")

    receiver = Receiver(full)
    receiver.write(b"a")
    with pytest.raises(StoreError):
        receiver.write(b"a" * IN_MEMORY)
    receiver.discard()
