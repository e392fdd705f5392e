"""Which versions of a module can be delivered with nobody's help: from the store and the module cache together."""

from __future__ import annotations

from typing import TYPE_CHECKING

from p2pmods.gomod.module import FileKind, ModuleVersion

if TYPE_CHECKING:
    from p2pmods.store.modcache import ModuleCache
    from p2pmods.store.store import Store


class Holdings:
    """Looks into the store and the module cache; asks no one."""

    def __init__(self, store: Store, module_cache: ModuleCache | None) -> None:
        self._store = store
        self._module_cache = module_cache

    def kinds(self, path: str) -> dict[str, set[FileKind]]:
        """The versions of module `path`, and which of the files of each are held."""
        found: dict[str, set[FileKind]] = {}
        cached = [] if self._module_cache is None else self._module_cache.versions(path)
        for held in (*self._store.versions(path), *cached):
            found.setdefault(held.version, set()).update(kind for kind in FileKind if getattr(held, kind.value))
        return {
            version: kinds for version, kinds in found.items() if not self._store.marks(ModuleVersion(path, version))
        }

    def deliverable(self, path: str) -> list[str]:
        """Versions whose `.mod` and zip are held; an `.info` can be synthesised."""
        return [version for version, kinds in self.kinds(path).items() if kinds >= {FileKind.MOD, FileKind.ZIP}]

    def has_any(self, module: ModuleVersion) -> bool:
        """Whether its `.mod` or zip is held, so that an `.info` of it is worth synthesising."""
        return bool(self.kinds(module.path).get(module.version, set()) & {FileKind.MOD, FileKind.ZIP})
