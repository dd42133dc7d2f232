"""A user's Python file with the modules beside it that it imports: read at once, hashed, loaded, copied, sent along.

What is hashed is what runs: the modules are loaded from the bytes that were read, here and on every other machine.
"""

from __future__ import annotations

import ast
import hashlib
import importlib
import importlib.util
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.abc import ExecutionLoader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import ModuleType

from tuner.errors import SpaceError
from tuner.io.files import write_whole


@dataclass(frozen=True)
class Sources:
    """The files of a task, as they were when they were read."""

    folder: Path
    """Where they were read; absolute."""
    main: str
    """The name of the file that the user gave."""
    files: Mapping[str, bytes]
    """By path below the folder, with `/`; the main file is among them."""

    @staticmethod
    def read(path: Path) -> Sources:
        """Return the file and, of the modules and packages in its folder, those that it imports, and so on.

        Imports inside functions count. One whose name is put together while the program runs is not found.

        Raises:
            SpaceError: if the file is missing or cannot be read.
        """
        path = path.expanduser().absolute()
        files: dict[str, bytes] = {}
        waiting = [path]
        try:
            while waiting:
                file = waiting.pop()
                name = file.relative_to(path.parent).as_posix()
                if name not in files:
                    files[name] = file.read_bytes()
                    waiting += [found for module in _imports(files[name]) for found in _beside(path.parent, module)]
        except FileNotFoundError:
            raise SpaceError(f"--space is {str(path)!r}, but there is no such file.") from None
        except OSError as error:
            reason = f"{error.filename} cannot be read: {error.strerror}"
            raise SpaceError(f"--space is {str(path)!r}, but {reason}.") from error
        return Sources(path.parent, path.name, dict(sorted(files.items())))

    @property
    def path(self) -> Path:
        """Where the main file was read."""
        return self.folder / self.main

    @property
    def sha256(self) -> str:
        """The hash of all files; of a file alone, that file's own."""
        if len(self.files) == 1:
            return hashlib.sha256(self.files[self.main]).hexdigest()
        lines = [f"{hashlib.sha256(content).hexdigest()}  {name}\n" for name, content in self.files.items()]
        return hashlib.sha256("".join(lines).encode(errors="surrogateescape")).hexdigest()

    def make_importable(self) -> None:
        """Let this process import the modules; those of an earlier version, or of another task, are forgotten."""
        finder = _Finder(self)
        sys.meta_path[:] = [finder, *(one for one in sys.meta_path if not finder.replaces(one))]
        for name, module in list(sys.modules.items()):
            if finder.knows(name) and _is_forgettable(module, self.folder):
                del sys.modules[name]

    def load(self) -> ModuleType:
        """Run the main file as a module and return it.

        Raises:
            SpaceError: if it raises, with what and where.
        """
        self.make_importable()
        try:
            return importlib.import_module(self._module_name)
        except (Exception, SystemExit) as error:
            reason = f"{type(error).__name__}: {error}"
            raise SpaceError(f"--space {str(self.path)!r} cannot be imported: {reason}") from error

    def modules(self) -> list[ModuleType]:
        """Return the modules that have been loaded from these files."""
        return [module for module in list(sys.modules.values()) if _sources_of(module) is self]

    def write(self, folder: Path) -> None:
        """Copy the files into `folder`; raises StorageError if that fails."""
        for name, content in self.files.items():
            write_whole(folder / name, lambda temporary, content=content: temporary.write_bytes(content))  # type: ignore[misc]

    def are_in(self, folder: Path) -> bool:
        """Whether the copy in `folder` is whole, and of these files."""
        try:
            return all((folder / name).read_bytes() == content for name, content in self.files.items())
        except OSError:
            return False

    @property
    def _module_name(self) -> str:
        """A name that no library has, whatever the file is called."""
        return "tuner_space_" + re.sub(r"\W", "_", Path(self.main).stem)

    def _file_of(self, module: str) -> str | None:
        """Return which file holds a module; None if none does."""
        if module == self._module_name:
            return self.main
        place = module.replace(".", "/")
        return next((name for name in (f"{place}/__init__.py", f"{place}.py") if name in self.files), None)

    def _has_folder(self, module: str) -> bool:
        return any(name.startswith(f"{module.replace('.', '/')}/") for name in self.files)


class _Finder(MetaPathFinder, ExecutionLoader):
    """Python's way to find and load the modules of some sources."""

    def __init__(self, sources: Sources) -> None:
        self.sources = sources

    def knows(self, module: str) -> bool:
        return self.sources._file_of(module) is not None or self.sources._has_folder(module)

    def replaces(self, other: object) -> bool:
        """Whether the other finds modules of the same file."""
        return isinstance(other, _Finder) and other.sources.path == self.sources.path

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None,
        target: ModuleType | None = None,  # noqa: ARG002 - Python's signature
    ) -> ModuleSpec | None:
        parent = sys.modules.get(fullname.rpartition(".")[0])
        if parent is not None and _is_of_a_library(parent):
            return None
        if self.sources._file_of(fullname) is not None:
            package: list[str] | None = [] if self.is_package(fullname) else None
            return importlib.util.spec_from_file_location(
                fullname, self.get_filename(fullname), loader=self, submodule_search_locations=package
            )
        return self._folder_spec(fullname, path) if self.sources._has_folder(fullname) else None

    def _folder_spec(self, fullname: str, path: Sequence[str] | None) -> ModuleSpec | None:
        """Return the spec of a folder without `__init__.py`, as Python has it: any regular module comes before it."""
        elsewhere = PathFinder.find_spec(fullname, path)
        if elsewhere is not None and elsewhere.loader is not None:
            return None
        found = ModuleSpec(fullname, None, is_package=True)
        if elsewhere is not None:
            found.submodule_search_locations = list(elsewhere.submodule_search_locations or ())
        return found

    def is_package(self, fullname: str) -> bool:
        return (self.sources._file_of(fullname) or "").endswith("/__init__.py")

    def get_filename(self, fullname: str) -> str:
        return str(self.sources.folder / (self.sources._file_of(fullname) or ""))

    def get_source(self, fullname: str) -> str:
        return importlib.util.decode_source(self.sources.files[self.sources._file_of(fullname) or ""])


def _sources_of(module: ModuleType) -> Sources | None:
    loader = getattr(getattr(module, "__spec__", None), "loader", None)
    return loader.sources if isinstance(loader, _Finder) else None


def _is_of_a_library(module: ModuleType) -> bool:
    """Whether a module is a regular one of no task; what lies below its name is its own."""
    return getattr(module, "__file__", None) is not None and _sources_of(module) is None


def _is_forgettable(module: ModuleType, folder: Path) -> bool:
    """Whether a module is of a task, or lies in the folder; a library of the same name stays what it is."""
    file = getattr(module, "__file__", None)
    return _sources_of(module) is not None or (file is not None and Path(file).is_relative_to(folder))


def _imports(source: bytes) -> Iterator[str]:
    """Yield the first parts of the modules that a source imports; of what cannot be read, none."""
    try:
        nodes = list(ast.walk(ast.parse(source)))
    except (SyntaxError, ValueError):
        return  # told when it is loaded
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module.split(".")[0]


def _beside(folder: Path, module: str) -> list[Path]:
    """Return the files of a module or package in the folder; none for what comes with Python or with us."""
    if module in sys.stdlib_module_names or module == "tuner":
        return []
    file, package = folder / f"{module}.py", folder / module
    if file.is_file() and not (package / "__init__.py").is_file():
        return [file]  # which Python takes before a plain folder of its name
    return sorted(package.rglob("*.py")) if package.is_dir() else []
