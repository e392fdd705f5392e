"""What a person can ask of the node: status, why, verify, rm, check; of the mesh: peers, offered, pause."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import trio

from p2pmods.errors import P2pmodsError, StoreError
from p2pmods.fetch.report import status_report, why_report
from p2pmods.gomod.module import FileKey, FileKind, ModuleVersion

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from p2pmods.fetch.checksums import Checksums
    from p2pmods.fetch.failures import Failures
    from p2pmods.fetch.holdings import Holdings
    from p2pmods.fetch.neighbours import Neighbours
    from p2pmods.fetch.proofs import Proofs
    from p2pmods.fetch.writing import Writing
    from p2pmods.store.store import Store
    from p2pmods.upstream.route import Upstream

WRITTEN_TIME: Final = 10.0  # seconds that a command waits at most for a disk that is slow, or an index that is locked
PROVE_TIME: Final = 20.0  # seconds that `get` waits at most for proofs of what it fetched
LATE_TIME: Final = 1.0  # the same at the end of a `run`, whose user waits for a prompt


class Duties:
    """The commands of the control API, on the running node's objects. Values are JSON."""

    def __init__(
        self,
        store: Store,
        holdings: Holdings,
        *,
        proofs: Proofs,
        checksums: Checksums,
        upstream: Upstream,
        failures: Failures,
        writing: Writing,
        neighbours: Neighbours,
        about: Callable[[], dict[str, Any]],
        is_scanned: Callable[[], bool],
        limit: Callable[[], int | None],
    ) -> None:
        self._store = store
        self._holdings = holdings
        self._proofs = proofs
        self._checksums = checksums
        self._upstream = upstream
        self._failures = failures
        self._writing = writing
        self.neighbours = neighbours
        self._about = about
        self._is_scanned = is_scanned
        self._limit = limit

    async def wait_written(self) -> None:
        """Until what was answered so far is in the store, so that every question here sees it, or WRITTEN_TIME."""
        with trio.move_on_after(WRITTEN_TIME):
            await self._writing.wait_empty()

    def status(self) -> dict[str, Any]:
        """`status --json` of the running node."""
        report = status_report(self._store.statistics(), self.unproven(), self._limit())
        upstream = self._upstream.statistics()
        sumdb = self._checksums.statistics()
        report["upstream"] = {
            "state": upstream.state,
            "steps": list(upstream.steps),
            "last_success": upstream.last_success,
        }
        report["sumdb"] = {
            "name": sumdb.name,
            "state": sumdb.state,
            "tree": sumdb.tree_size,
            "records": sumdb.records,
            "problem": sumdb.problem,
        }
        report["failures"] = [failure.to_json() for failure in self._failures.recent()]
        return {**report, **self.neighbours.status(), **self._about()}

    def unproven(self) -> int | None:
        """How many public files have no proof; None while that is not known."""
        if not self._is_scanned():
            return None
        try:
            return self._proofs.count_unproven()
        except StoreError:
            return None

    def why(self, module: ModuleVersion) -> dict[str, Any] | None:
        """`why --json`; None when nothing was ever heard of it."""
        return why_report(self._store, module)

    async def verify(self, modules: list[ModuleVersion] | None) -> dict[str, Any]:
        """Read every file of these module versions (None: of all) and say which are not what they were."""
        keys = self._keys(modules)
        bad: list[dict[str, str]] = []
        for key in keys:
            reason = await trio.to_thread.run_sync(verify_file, self._store, key)
            if reason is not None:
                bad.append({"module": str(key.module), "file": key.kind.value, "reason": reason})
        return {"checked": len(keys), "bad": bad}

    def _keys(self, modules: list[ModuleVersion] | None) -> list[FileKey]:
        if modules is None:
            return self._store.keys()
        return [key for key in _keys_of(modules) if any(not held.in_module_cache for held in self._store.held(key))]

    async def prove(self, modules: Sequence[ModuleVersion]) -> dict[str, Any]:
        """Wait a little for the proofs of these: how many files are without one then, None when that is not known."""
        try:
            return {"unproven": await self._proofs.prove_all(modules, within=PROVE_TIME)}
        except StoreError:
            return {"unproven": None}

    async def proven(self, keys: Sequence[FileKey]) -> set[FileKey]:
        """Which of these the database has proven by now, or does within a moment."""
        modules = list(dict.fromkeys(key.module for key in keys))
        try:
            await self._proofs.prove_all(modules, within=LATE_TIME)
            return {key for key in keys if any(file.proven for file in self._store.held(key))}
        except StoreError:
            return set()

    async def remove(self, modules: Iterable[ModuleVersion]) -> dict[str, Any]:
        """Remove with a tombstone; `missing` are those of which nothing was held, and which get none."""
        removed: list[str] = []
        missing: list[str] = []
        for module in modules:
            if module.version not in self._holdings.kinds(module.path):
                missing.append(str(module))
                continue
            await trio.to_thread.run_sync(self._store.remove, module)
            removed.append(str(module))
        return {"removed": removed, "missing": missing}

    def allow(self, modules: Iterable[ModuleVersion]) -> dict[str, Any]:
        """Lift tombstones: the user asks for these again."""
        return {"allowed": [str(module) for module in modules if self._store.allow(module)]}

    async def check(self, keys: Sequence[Any], toolchain: str | None) -> dict[str, Any]:
        """Which of `keys` ([path, version, kind]) are here, at a peer, or nowhere.

        An element of `peer` is [path, version, kind, ids of the nodes that hold it].
        """
        here: list[Any] = []
        missing: list[Any] = []
        for item in keys:
            await trio.lowlevel.checkpoint()
            (here if is_here(self._holdings, item) else missing).append(item)
        wanted = {key: item for item in missing if (key := key_of(item)) is not None}
        found = await self.neighbours.locate(wanted)
        peer = [[*item, found[key]] for key, item in wanted.items() if key in found]
        nowhere = [item for item in missing if key_of(item) not in found]
        return {"here": here, "peer": peer, "nowhere": nowhere, "toolchain": toolchain}


def verify_file(store: Store, key: FileKey) -> str | None:
    """Blocks: why the file is not what it was when it was committed, or None. Raises nothing."""
    try:
        if all(held.in_module_cache for held in store.held(key)):
            return None  # it has left the store since it was listed
        return None if store.verify(key) is not None else "damaged: it is in quarantine now, and is fetched anew"
    except StoreError as error:
        return str(error)


def is_here(holdings: Holdings, item: object) -> bool:
    """Whether the file that `[path, version, kind]` names is held; what is no such name is not."""
    key = key_of(item)
    return key is not None and key.kind in holdings.kinds(key.module.path).get(key.module.version, set())


def key_of(item: object) -> FileKey | None:
    """The file that `[path, version, kind]` names; None for what is no such name."""
    match item:
        case [str(path), str(version), str(kind)]:
            try:
                return FileKey(ModuleVersion(path, version), FileKind(kind))
            except (P2pmodsError, ValueError):
                return None
    return None


def _keys_of(modules: Iterable[ModuleVersion]) -> list[FileKey]:
    return [FileKey(module, kind) for module in modules for kind in FileKind]
