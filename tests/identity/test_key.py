"""The node's key and its name."""

from __future__ import annotations

import os
import stat
import sys
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2pmods.errors import MalformedData, StoreError
from p2pmods.identity.key import format_key, node_id, parse_key
from p2pmods.store.identity_file import FILE_NAME, load_or_create

if TYPE_CHECKING:
    from pathlib import Path

# RFC 8032, 7.1, test 1
SEED = bytes.fromhex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60")
NODE_ID = "25njqamcweflpvkl73j4szahhihoc4xt3ktcgjnpaingr5yhkena"


def test_a_node_id_is_the_base32_of_the_public_key() -> None:
    assert node_id(parse_key(format_key(SEED))) == NODE_ID


@given(st.integers(0, 8 * (len(format_key(SEED)) - 1) - 1))
def test_no_flipped_bit_makes_another_node(bit: int) -> None:
    damaged = bytearray(format_key(SEED))
    damaged[bit // 8] ^= 1 << (bit % 8)
    with pytest.raises(MalformedData):
        parse_key(bytes(damaged))


def test_a_key_is_made_once_and_kept_private(tmp_path: Path) -> None:
    first = node_id(load_or_create(tmp_path, SEED))
    again = node_id(load_or_create(tmp_path, bytes(32)))
    assert first == again
    if sys.platform != "win32":
        assert stat.S_IMODE((tmp_path / FILE_NAME).stat().st_mode) == 0o600


def test_a_damaged_key_is_refused_with_its_cure(tmp_path: Path) -> None:
    load_or_create(tmp_path, SEED)
    (tmp_path / FILE_NAME).write_bytes(format_key(SEED)[:-9])
    with pytest.raises(StoreError, match="restore it from a backup"):
        load_or_create(tmp_path, SEED)


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX pipes")
def test_a_pipe_in_the_place_of_the_key_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / FILE_NAME)
    with pytest.raises(StoreError, match="not a regular file"):
        load_or_create(tmp_path, SEED)
