"""The house stands: a module imports only from lower floors, and each library stays where it belongs."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent

FLOORS = [
    {"tuner.errors", "tuner.exits", "tuner.extras", "tuner.home", "tuner.paths", "tuner.registry"},
    {"search_spaces", "tuner.io"},
    {"tuner.config", "tuner.presets", "tuner.data", "tuner.models", "tuner.search"},
    {"tuner.integrations", "tuner.journal", "tuner.training"},
    {"tuner.results"},
    {"tuner.engine"},
    {
        "tuner.__main__",
        "tuner.cli",
        "tuner.completion",
        "tuner.doctor",
        "tuner.help_text",
        "tuner.run",
        "tuner.describe",
        "tuner.export",
        "tuner.report",
        "tuner.replay",
        "tuner.predict",
        "tuner.serve",
        "tuner.loaded_run",
        "tuner.new",
        "tuner",
    },
]

NEIGHBOURS = {
    # What one floor's modules need of each other.
    "tuner.exits": {"tuner.errors", "tuner.home"},
    "tuner.presets": {"tuner.config"},
    "tuner.config": {"tuner.search"},  # for the default objective
    "tuner.integrations": {"tuner.training"},
}

LIBRARIES = {
    "ray": {"tuner.engine"},
    "optuna": {"tuner.search", "search_spaces", "tuner.integrations"},
    "torch": {"tuner.data", "tuner.models", "tuner.training", "tuner.engine", "tuner.integrations", "tuner.predict"},
    "pandas": {"tuner.data", "tuner.results", "tuner.loaded_run"},
    "pyarrow": {"tuner.results", "tuner.io"},
    "starlette": {"tuner.serve"},
    "uvicorn": {"tuner.serve"},
}


ADAPTERS = {
    # Single modules that speak a library's language, each of which is imported only where that is wanted.
    "optuna": {"tuner.results.importance", "tuner.results.optuna_study", "tuner.results.optuna_trials"},
}


def _modules() -> list[Path]:
    found = [*(REPOSITORY / "tuner").rglob("*.py"), *(REPOSITORY / "search_spaces").rglob("*.py")]
    return sorted(path for path in found if path.parent.name != "templates")  # a user's files in the making


def _name(path: Path) -> str:
    parts = path.relative_to(REPOSITORY).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _room(module: str) -> str:
    """Return the part of the house a module belongs to: `tuner.search.asha` is in `tuner.search`."""
    if module.split(".")[0] == "search_spaces":
        return "search_spaces"
    return ".".join(module.split(".")[:2])


def _imports(path: Path) -> Iterator[str]:
    """Yield what the module imports when it is run; imports for the type checker alone do not count."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for_types = {id(node) for branch in ast.walk(tree) if _is_type_checking(branch) for node in ast.walk(branch)}
    for node in ast.walk(tree):
        if id(node) in for_types:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports relatively"
            assert node.module is not None
            # `from tuner import run` imports the module tuner.run.
            yield from (f"tuner.{alias.name}" for alias in node.names) if node.module == "tuner" else [node.module]


def _is_type_checking(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"


def _floor(room: str) -> int:
    floors = [index for index, rooms in enumerate(FLOORS) if room in rooms]
    assert len(floors) == 1, f"{room} must stand on exactly one floor"
    return floors[0]


@pytest.mark.parametrize("path", _modules(), ids=_name)
def test_a_module_imports_only_from_lower_floors(path: Path) -> None:
    room = _room(_name(path))
    for imported in _imports(path):
        if imported.split(".")[0] not in ("tuner", "search_spaces"):
            continue
        other = _room(imported)
        is_command = _floor(room) == len(FLOORS) - 1
        allowed = other == room or is_command or other in NEIGHBOURS.get(room, set())
        assert allowed or _floor(other) < _floor(room), f"{_name(path)} imports {imported}"


@pytest.mark.parametrize("path", _modules(), ids=_name)
def test_a_library_is_imported_only_where_it_belongs(path: Path) -> None:
    room = _room(_name(path))
    for imported in _imports(path):
        library = imported.split(".")[0]
        rooms = LIBRARIES.get(library)
        allowed = rooms is None or room in rooms or _name(path) in ADAPTERS.get(library, set())
        assert allowed, f"{_name(path)} imports {imported}"


def test_no_module_imports_itself_by_way_of_others() -> None:
    """Inside a folder too, where floors say nothing."""
    paths = {_name(path): path for path in _modules()}
    graph = {name: {one for one in _modules_imported(path) if one in paths} for name, path in paths.items()}
    try:
        list(TopologicalSorter(graph).static_order())
    except CycleError as error:
        pytest.fail(" imports ".join(reversed(error.args[1])))


def _modules_imported(path: Path) -> Iterator[str]:
    """Yield the modules a module needs; `from tuner.io import storage` needs `tuner.io.storage`."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module is not None:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
    packages = {_name(path) for path in _modules() if path.name == "__init__.py"}
    yield from (imported for imported in _imports(path) if imported not in packages)


def test_the_test_of_the_floors_sees_imports_inside_functions(tmp_path: Path) -> None:
    module = tmp_path / "module.py"
    module.write_text("def f():\n    import ray\n    from tuner import run\n")
    assert list(_imports(module)) == ["ray", "tuner.run"]


@pytest.mark.parametrize("folder", ["engine", "journal", "search"])
def test_what_is_tuned_is_nobodys_business_but_its_own(folder: str) -> None:
    """Engine, journal and search know trials and metrics, not what is classified; 28 is the side of an image."""
    words = re.compile(r"accurac|\bimages?\b|(?<![\d:])28\b", re.IGNORECASE)
    for path in (REPOSITORY / "tuner" / folder).rglob("*.py"):
        found = words.search(path.read_text(encoding="utf-8"))
        assert found is None, f"{path} says {found and found[0]!r}"
