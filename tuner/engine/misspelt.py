"""Names of a task file that are nearly one that it may define: what is misspelt would be passed over in silence.

A file may define what it likes beside the known names, so only a clear near miss counts: of a known name that is not
defined, by a value of the kind that belongs there. A misspelt `load_data` would be the worst, for another data set
would be trained on.
"""

from __future__ import annotations

import ast
import difflib
import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tuner.data import available_datasets
from tuner.errors import SpaceError
from tuner.integrations.callback import Callback
from tuner.io.sources import Sources
from tuner.models import available_models
from tuner.search.objective import Objective

_LIKE = 0.84
"""As difflib measures it: about one letter in six may differ, so that `load_dataset` and `OBJECTVE` are met."""
_SHORT = 6
"""Names of fewer letters than this are near by their case alone: of a short word many another is one letter away."""


@dataclass(frozen=True)
class Misspelt:
    """Names that are nearly one of ours, each in a sentence."""

    surely: tuple[str, ...] = ()
    """A new run is refused for them; one that was begun goes on, for its file cannot be mended."""
    perhaps: tuple[str, ...] = ()
    """Told as notices."""


def check_names(space: str, brought: Mapping[str, Any], sources: Sources) -> Misspelt:
    """Return the names that are or may be misspelt.

    `brought` is what the main file of `sources` defines, or what a notebook has given by the known names alone.

    Raises:
        SpaceError: if one of those without which there is no task surely is misspelt.
    """
    near = [(name, known) for known in _lacking(brought) for name in _near(known, brought)]
    own, used = _names_of(sources) if near else (set(), set())
    surely, perhaps = [], []
    for name, known in near:
        if name not in own:
            continue  # what is imported has its name from elsewhere
        sentence = f"space {space!r} defines {name!r} and no {known!r}"
        if _is_sure(name, known, brought[name], used):
            surely.append(f"{sentence}, so it would not be used; did you mean {known!r}?")
            if known in _REQUIRED:
                raise SpaceError(surely[-1])
        elif known == "load_data":
            perhaps.append(f"{sentence}: what it loads is not trained on, unless the training does so by itself.")
    return Misspelt(tuple(surely), tuple(perhaps))


def _lacking(brought: Mapping[str, Any]) -> Iterator[str]:
    """Yield the known names that are not defined, nor another that stands for the same."""
    for names in _ALTERNATIVES:
        if all(brought.get(name) is None for name in names):
            yield from names


def _near(known: str, brought: Mapping[str, Any]) -> Iterator[str]:
    for name, value in brought.items():
        if name not in _KINDS and not name.startswith("_") and _is_like(name, known) and _KINDS[known](value):
            yield name


def _is_like(name: str, known: str) -> bool:
    letters, wanted = _letters(name), _letters(known)
    if letters == wanted or len(wanted) < _SHORT:
        return letters == wanted
    if wanted in letters and known != "load_data":
        return False  # as XRETRAIN, by which what was RETRAIN is set aside
    return difflib.SequenceMatcher(None, letters, wanted).ratio() >= _LIKE


def _letters(name: str) -> str:
    return name.replace("_", "").casefold()


def _is_sure(name: str, known: str, value: Any, used: set[str]) -> bool:
    """Whether a near miss of the right kind can be nothing else.

    What the file itself never reads can only have been meant for us, and our own objects have no other use. What it
    reads is the file's own business: a Bayesian's `prior`, a `loadData` that the training calls.
    """
    if known in ("OBJECTIVE", "CALLBACKS"):
        return True
    return name not in used and (known != "load_data" or _takes_one(value))


def _names_of(sources: Sources) -> tuple[set[str], set[str]]:
    """Return the names that the main file defines at its top, and those that it reads anywhere."""
    try:
        tree = ast.parse(sources.files[sources.main])
    except (SyntaxError, ValueError):  # the pieces of a notebook need not make a whole
        return set(), set()
    reads = (node for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load))
    return set(_defined(tree.body)), {node.id for node in reads}


def _defined(statements: Iterable[ast.AST]) -> Iterator[str]:
    for statement in statements:
        if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield statement.name
        elif isinstance(statement, ast.Assign | ast.AnnAssign):
            targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
            yield from (node.id for target in targets for node in ast.walk(target) if isinstance(node, ast.Name))
        else:
            yield from _defined(one for one in ast.iter_child_nodes(statement) if isinstance(one, ast.stmt))


def _is_function(value: Any) -> bool:
    return callable(value) and not isinstance(value, type)


def _takes_one(function: Callable[..., Any]) -> bool:
    try:
        inspect.signature(function).bind(None)
    except (TypeError, ValueError):
        return False
    return True


def _is_list_of(kind: type, value: Any) -> bool:
    return isinstance(value, list | tuple) and bool(value) and all(isinstance(one, kind) for one in value)


def _is_by_name(value: Any) -> bool:
    return isinstance(value, Mapping) and bool(value) and all(isinstance(one, str) for one in value)


_ALTERNATIVES: Sequence[tuple[str, ...]] = (
    ("suggest",),
    ("TRAINABLE", "MODEL"),
    ("load_data", "DATA"),
    ("OBJECTIVE",),
    ("CALLBACKS",),
    ("START",),
    ("PRIOR",),
    ("EPOCH_HPARAMS",),
    ("RETRAIN",),
)
"""The names that a task file may define; of those in one group, one."""
_REQUIRED = ("suggest", "TRAINABLE", "MODEL")
_KINDS: Mapping[str, Callable[[Any], bool]] = {
    "suggest": _is_function,
    "TRAINABLE": callable,
    "MODEL": lambda value: _is_function(value) or (isinstance(value, str) and value in available_models()),
    "load_data": _is_function,
    "DATA": lambda value: isinstance(value, str) and value in available_datasets(),
    "OBJECTIVE": lambda value: isinstance(value, Objective),
    "CALLBACKS": lambda value: isinstance(value, Callback) or _is_list_of(Callback, value),
    "START": lambda value: _is_list_of(Mapping, value),
    "PRIOR": _is_by_name,
    "EPOCH_HPARAMS": lambda value: _is_list_of(str, value),
    "RETRAIN": _is_by_name,
}
"""Of what kind the value of each is."""
