from __future__ import annotations

import base64
import hashlib

import pytest

from p2pmods.gomod.h1 import hash1, hash_go_mod


def digest(content: bytes) -> bytes:
    return hashlib.sha256(content).digest()


def test_the_hash_of_a_go_mod_is_the_one_of_go_sum() -> None:
    # rsc.io/sampler v1.3.0's, and its line of go.sum.
    go_mod = b'module "rsc.io/sampler"\n\nrequire "golang.org/x/text" v0.0.0-20170915032832-14c0d48ead0c\n'
    assert hash_go_mod(go_mod) == "h1:T1hPZKmBbMNahiBKFy5HrXp6adAjACjK9JXDnKaTXpA="


def test_names_are_sorted_by_bytes_and_not_as_text() -> None:
    entries = [("\U0001f600".encode(), digest(b"1")), ("\uffee".encode(), digest(b"2")), (b"Z", digest(b"3"))]
    lines = b"".join(b"%b  %b\n" % (found.hex().encode(), name) for name, found in sorted(entries))
    assert hash1(entries) == "h1:" + base64.b64encode(digest(lines)).decode()
    assert hash1(entries) == hash1(reversed(entries))
    assert lines.index(b"Z\n") < lines.index("\uffee".encode()) < lines.index("\U0001f600".encode())


def test_nothing_hashes_to_the_hash_of_nothing() -> None:
    assert hash1([]) == "h1:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="


def test_a_name_with_a_newline_has_no_hash() -> None:
    with pytest.raises(ValueError, match="newlines"):
        hash1([(b"a\nb", digest(b""))])
