"""Taking module versions out of service, and letting them back in."""

from __future__ import annotations

from typing import TYPE_CHECKING

from p2pmods.gomod.module import FileKey, FileKind, ModuleVersion
from p2pmods.store import fs
from p2pmods.store.notes import Mark, State
from p2pmods.store.recovery import unknown_file
from p2pmods.store.stored import RemoveReport

if TYPE_CHECKING:
    from p2pmods.store.core import Core


class Withdrawer:
    """A mark comes before the files go, so nothing is served in between, and is in the log before the index."""

    def __init__(self, core: Core) -> None:
        self._core = core

    def remove(self, module: ModuleVersion) -> RemoveReport:
        """See `Store.remove`."""
        core = self._core
        with core.stripe(module.path):
            core.audit.marked("removed", module)
            try:
                core.marks.add(Mark(module, State.REMOVED, "", "", core.clock()))
            finally:
                core.generation += 1  # once the mark is in force: nothing gets into a cache of answers after this
            files = size = 0
            for key in _keys(module):
                path = core.layout.file(key)
                try:
                    length = path.lstat().st_size
                    path.unlink()
                except (FileNotFoundError, NotADirectoryError):
                    continue
                except OSError as error:
                    raise fs.store_error("remove", path, error) from error
                files, size = files + 1, size + length
            self._drop_rows(module)
            return RemoveReport(module, files, size)

    def poison(self, key: FileKey, reason: str) -> None:
        """See `Store.poison`."""
        core, module = self._core, key.module
        with core.stripe(module.path):
            core.audit.marked("poisoned", module, key.kind.value, reason)
            core.generation += 1
            core.marks.add(Mark(module, State.POISONED, key.kind.value, reason, core.clock()))
            for each in _keys(module):
                found = core.rows.get(each) or unknown_file(core.layout, each, core.clock())
                if found.path.exists():  # also without a row: file:// readers do not ask the index
                    core.quarantine(found, f"poisoned: {reason}")
            self._drop_rows(module)

    def lift(self, module: ModuleVersion, state: State) -> bool:
        """Take a mark away; False when there was none. Raises StoreError."""
        core = self._core
        with core.stripe(module.path):
            lifted = core.marks.lift(module, state)
            if lifted:
                core.generation += 1
                core.audit.marked("allowed" if state is State.REMOVED else "absolved", module)
            return lifted

    def _drop_rows(self, module: ModuleVersion) -> None:
        """Of both places: what may not be served from the module cache must not wait for a proof there either."""
        core = self._core
        rows = [core.rows.get(key, in_module_cache=place) for key in _keys(module) for place in (False, True)]
        core.rows.delete([row for row in rows if row is not None])
        core.publish(module.path)


def _keys(module: ModuleVersion) -> list[FileKey]:
    return [FileKey(module, kind) for kind in FileKind]
