"""The command that writes a commented file to start from: your data, your training, your metric."""

from __future__ import annotations

import keyword
import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import packages_distributions
from importlib.resources import files
from pathlib import Path
from typing import Annotated

import tyro

from tuner import cli
from tuner.errors import ConfigError, StorageError, unknown_name
from tuner.io.files import write_text

_PROG = "python -m tuner.new"
_TEMPLATES = files("tuner") / "templates"
_OPTUNA = "optuna"


def available_kinds() -> list[str]:
    """Return the kinds of training for which there is a file to start from."""
    return sorted(file.name.removesuffix(".py") for file in _TEMPLATES.iterdir() if file.name.endswith(".py"))


_EXAMPLES = {
    "mine": "writes mine.py, a training of your own",
    "mine --kind sklearn": "the same for an estimator of scikit-learn",
}


@dataclass(frozen=True)
class Arguments:
    """Write a commented file to start from, with data, search space and training; it runs as it is."""

    name: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="NAME")]
    """The file to write, with or without `.py`."""
    kind: str = "torch"
    """`torch` (a class, which can pause and go on), `function` (a loop that yields), `sklearn`, `lightning`,
    `transformers`, or `optuna` (an objective as it is written for Optuna)."""


def run(argv: Sequence[str] | None = None) -> int:
    """Do what the command line says and return the exit code."""
    arguments = cli.parse(Arguments, sys.argv[1:] if argv is None else argv, prog=_PROG, examples=_EXAMPLES)
    path = new(arguments.name, arguments.kind)
    print(f"{path} is written. Try it: {command(path, arguments.kind)}")
    return 0


def new(name: str, kind: str) -> Path:
    """Write the file of a kind and return its path.

    Raises:
        ConfigError: if there is no such kind, or the name is no file's, or one that Python or a package has.
        StorageError: if the file exists or cannot be written.
    """
    if kind not in available_kinds():
        raise unknown_name("--kind", kind, available_kinds())
    path = Path(name if name.endswith(".py") else f"{name}.py")
    if not path.stem.isidentifier():
        raise ConfigError(f"NAME is {name!r}, but must be a Python name, perhaps with a folder before it.")
    if path.exists():
        raise StorageError(f"{path} exists: give another name.")
    taken = _taken_by(path.stem)
    if taken is not None:
        raise ConfigError(f"NAME is {name!r}, but must be free, and {path.stem} is {taken}: take my_{path.stem}.")
    write_text(path, (_TEMPLATES / f"{kind}.py").read_text(encoding="utf-8").replace("NAME.py", path.name))
    return path


def _taken_by(name: str) -> str | None:
    """Return what has the name already; None if nothing does.

    A run can import its own file, so the file hides a module of the same name, from libraries too.
    """
    if keyword.iskeyword(name):
        return "a keyword of Python"
    if name in sys.stdlib_module_names:
        return "a module of Python's own"
    if name == "tuner" or name in packages_distributions():
        return "an installed package"
    return None


def command(path: Path, kind: str) -> str:
    """Return the command that tunes a file of this kind."""
    objective = shlex.quote(f"{path}:objective")
    what = f"--objective {objective} --direction minimize" if kind == _OPTUNA else f"--space {shlex.quote(str(path))}"
    return f"tuner run {what} --budget 5m"


if __name__ == "__main__":
    cli.main(run)
