"""The layers: imports point downward only, the sans-I/O packages touch nothing of the world, and files stay small."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest

import p2pmods

ROOT = Path(p2pmods.__file__).parent

# From the top down. A module imports from its own layer and from those below it.
LAYERS = (
    ("cli",),
    ("node",),
    ("api",),
    ("fetch",),
    ("mesh",),
    ("testing",),  # only cli's demo, tests and simulations stand on it
    ("upstream",),
    ("store",),
    ("httpd",),
    ("trust",),
    ("swarm",),
    ("directory",),
    ("membership",),
    ("identity",),
    ("wire",),
    ("sumdb",),
    ("config", "goenv", "logs"),  # settings are parsed by gomod's rules
    ("gomod",),
    ("errors",),
)
SANS_IO = ("trust", "swarm", "directory", "membership", "identity", "wire", "sumdb", "gomod")
WORLD = frozenset(
    {"trio", "httpx", "socket", "os", "time", "random", "pathlib", "secrets", "subprocess", "threading"}
)
MAX_LINES = 300

MODULES = sorted(path for path in ROOT.rglob("*.py"))
HEIGHT = {name: len(LAYERS) - i for i, names in enumerate(LAYERS) for name in names}


def layer_of(path: Path) -> str:
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


def imports_of(path: Path) -> set[str]:
    """All that the module imports, full dotted names, type-only imports too."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: a relative import"
            found.add(node.module or "")
    return found


def ids(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", MODULES, ids=ids)
def test_imports_point_downward_only(path: Path) -> None:
    own = layer_of(path)
    if own in ("__init__", "__main__"):
        return
    for name in imports_of(path):
        if name.startswith("p2pmods."):
            other = name.split(".")[1]
            assert HEIGHT[other] <= HEIGHT[own], f"{own} imports {name}, which lies above it"


@pytest.mark.parametrize(
    "path", [p for p in MODULES if layer_of(p) in ("upstream", "store", "mesh", "fetch", "api", "node")], ids=ids
)
def test_the_product_does_not_stand_on_its_test_tools(path: Path) -> None:
    assert not any(name.startswith("p2pmods.testing") for name in imports_of(path))


@pytest.mark.parametrize("path", [p for p in MODULES if layer_of(p) in SANS_IO], ids=ids)
def test_protocol_logic_touches_nothing_of_the_world(path: Path) -> None:
    assert not {name.split(".")[0] for name in imports_of(path)} & WORLD


@pytest.mark.parametrize("path", MODULES, ids=ids)
def test_modules_stay_small(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= MAX_LINES


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


NAMES = frozenset(module_name(path) for path in MODULES)


def test_there_are_no_circles() -> None:
    graph = {module_name(path): runtime_imports(path) for path in MODULES}
    done: set[str] = set()

    def visit(name: str, trail: tuple[str, ...]) -> None:
        assert name not in trail, " → ".join((*trail, name))
        if name in done or name not in graph:
            return
        for other in graph[name]:
            visit(other, (*trail, name))
        done.add(name)

    for name in graph:
        visit(name, ())


def runtime_imports(path: Path) -> set[str]:
    """Imports at the top of the module: those under `if TYPE_CHECKING:` and inside functions make no circle."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    found: set[str] = set()
    for node in tree.body:
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("p2pmods"):
            submodules = {f"{node.module}.{alias.name}" for alias in node.names} & NAMES
            found |= submodules or {node.module}
    return found


def test_the_layers_named_here_are_those_that_exist() -> None:
    found = {layer_of(path) for path in MODULES} - {"__init__", "__main__"}
    assert found <= set(HEIGHT), sys.modules[__name__].__doc__
