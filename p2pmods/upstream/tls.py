"""Whom to trust over TLS: the operating system, or what SSL_CERT_FILE and SSL_CERT_DIR name, as for go."""

from __future__ import annotations

import os
import re
import ssl
from pathlib import Path
from typing import TYPE_CHECKING, Final

import truststore

from p2pmods.wire.tls import refuse_cuts

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_HASHED: Final = re.compile(r"[0-9a-f]{8}\.[0-9]+")  # the names that OpenSSL looks for

# crypto/x509 root_linux.go
_SYSTEM_FILES: Final = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
)
_SYSTEM_DIRECTORIES: Final = ("/etc/ssl/certs", "/etc/pki/tls/certs")


def client_context(environ: Mapping[str, str], alpn: Sequence[str]) -> ssl.SSLContext:
    """A context that verifies the server. Raises OSError when SSL_CERT_FILE or SSL_CERT_DIR cannot be read."""
    file, directories = environ.get("SSL_CERT_FILE"), environ.get("SSL_CERT_DIR")
    context: ssl.SSLContext
    if file or directories:  # the one that is not set keeps the system's value
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        for bundle in [Path(file)] if file else _existing(_SYSTEM_FILES)[:1]:
            context.load_verify_locations(cafile=bundle)
        for directory in (directories or "").split(os.pathsep) if directories else _existing(_SYSTEM_DIRECTORIES):
            _load_directory(context, Path(directory))
    else:
        context = truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    refuse_cuts(context)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(list(alpn))
    return context


def _existing(names: Sequence[str]) -> list[Path]:
    return [path for path in map(Path, names) if path.exists()]


def _load_directory(context: ssl.SSLContext, directory: Path) -> None:
    names = sorted(path.name for path in directory.iterdir())
    if any(_HASHED.fullmatch(name) for name in names):
        context.load_verify_locations(capath=directory)  # read when needed
        return
    for name in names:
        try:
            context.load_verify_locations(cafile=directory / name)
        except OSError:  # ssl.SSLError is one: not every file there holds certificates
            continue
