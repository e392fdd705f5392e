"""Files to put into a store, made the honest way: through the checks of `trust`."""

from __future__ import annotations

import io
import zipfile
from typing import TYPE_CHECKING

from p2pmods.gomod.module import FileKey, FileKind, ModuleVersion
from p2pmods.trust.evidence import Source, SourceKind, SumdbProof
from p2pmods.trust.files import Statement, VerifiedFile, admit, check_info, check_mod, check_zip

if TYPE_CHECKING:
    from p2pmods.store.store import Store
    from p2pmods.store.stored import StoredFile

WIDGET = ModuleVersion("example.com/acme/widget", "v1.2.3")
UPSTREAM = Source(SourceKind.UPSTREAM, "mirror.example", 1000.0)
PROOF = SumdbProof("sum.example", 7, 99)


def key(kind: str, module: ModuleVersion = WIDGET) -> FileKey:
    return FileKey(module, FileKind(kind))


def content_of(file: FileKey, note: str = "") -> bytes:
    """Valid bytes for `file`; another `note` makes other ones."""
    module = file.module
    match file.kind:
        case FileKind.INFO:
            return f'{{"Version":"{module.version}","Time":"2024-02-0{len(note) + 1}T03:04:05Z"}}'.encode()
        case FileKind.MOD:
            return f"module {module.path}\n\n// {note}\n".encode()
        case FileKind.ZIP:
            return zip_of(module, {"go.mod": f"module {module.path}\n", "widget.go": f"package widget // {note}\n"})


def zip_of(module: ModuleVersion, files: dict[str, str]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in files.items():
            info = zipfile.ZipInfo(f"{module.path}@{module.version}/{name}")
            info.compress_type = zipfile.ZIP_DEFLATED
            info.create_system = 0
            info.external_attr = 0
            archive.writestr(info, text)
    return out.getvalue()


def verified(file: FileKey, data: bytes, *, proven: bool = False, source: Source = UPSTREAM) -> VerifiedFile:
    match file.kind:
        case FileKind.INFO:
            checked = check_info(file, data)
        case FileKind.MOD:
            checked = check_mod(file, data)
        case FileKind.ZIP:
            checked = check_zip(
                file, len(data), lambda offset, length: data[offset : offset + length], from_stranger=True
            )
    statements = [Statement(checked.h1, PROOF)] if proven and checked.h1 else []
    return admit(checked, source, statements)


def put(store: Store, file: FileKey, *, note: str = "", proven: bool = False) -> StoredFile:
    """Receive and commit one file as the fetcher would: a zip through a temp, the small ones from memory."""
    data = content_of(file, note)
    if file.kind is not FileKind.ZIP:
        return store.commit(verified(file, data, proven=proven), data)
    with store.temp() as temp:
        temp.write(data[:100])
        temp.write(data[100:])
        temp.sync()
        return store.commit(verified(file, data, proven=proven), temp)


def put_all(store: Store, module: ModuleVersion = WIDGET, *, proven: bool = False) -> None:
    for kind in FileKind:
        put(store, FileKey(module, kind), proven=proven)
