"""Search spaces: finding one by name or path, and checking what it returns.

A space file defines `suggest(trial)`, `START` and `MODEL`, in Optuna's own define-by-run style; `search_spaces/cnn.py`
is the example. A space file is code and runs as code: load only files you trust.
"""

from __future__ import annotations

import importlib
import importlib.util
import json
import pkgutil
import sys
import warnings
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import optuna

import search_spaces
from tuner.errors import SpaceError, unknown_name
from tuner.io.files import hash_file
from tuner.search.quiet import quiet_study

Suggest = Callable[[optuna.trial.BaseTrial], dict[str, Any]]
_CHECKED_SAMPLES = 20
"""Enough to meet the branches of most conditional spaces."""

Model = str | Callable[[Mapping[str, Any]], Any]


@dataclass(frozen=True)
class SearchSpace:
    """One thing to tune."""

    name: str
    """The registered name, or the path as the user gave it."""
    suggest: Suggest
    """Asks a trial for parameters and returns the hyperparameters made of them."""
    start: tuple[Mapping[str, Any], ...]
    """Parameters to try first, in order; the first are the reference's."""
    model: Model
    """A name in `tuner/models`, or a callable from hyperparameters to a `torch.nn.Module`."""
    sha256: str
    """Of the file, so that a resumed run notices a changed space."""
    module: ModuleType

    def hparams_of(self, trial: optuna.trial.BaseTrial) -> dict[str, Any]:
        """Return what the space makes of a trial.

        Raises:
            SpaceError: if `suggest` raises or returns something other than a dictionary with string keys, of values
                that JSON knows.
        """
        try:
            hparams = self.suggest(trial)
        except (Exception, SystemExit) as error:
            raise SpaceError(f"suggest() of space {self.name!r} raised {type(error).__name__}: {error}") from error
        if not isinstance(hparams, dict) or not all(isinstance(key, str) for key in hparams):
            raise SpaceError(
                f"suggest() of space {self.name!r} returned {hparams!r}, "
                f"but must return a dictionary of hyperparameters by name."
            )
        for name, value in hparams.items():
            self._check_json(name, value)
        return hparams

    def hparams_of_start(self, index: int) -> dict[str, Any]:
        """Return the hyperparameters of a start configuration.

        Raises:
            SpaceError: as `hparams_of` does, or if a value lies outside its parameter's range.
        """
        return self.answer(self.start[index])[1]

    def answer(self, values: Mapping[str, Any]) -> tuple[optuna.trial.FixedTrial, dict[str, Any]]:
        """Return a trial whose parameters have these values, and the hyperparameters that the space makes of it.

        `values` may hold more than the space asks for.

        Raises:
            SpaceError: as `hparams_of` does, or if a value is missing or lies outside its parameter's range.
        """
        trial = optuna.trial.FixedTrial(dict(values))
        with warnings.catch_warnings():
            # Optuna would only warn, and refuse the trial when its result is entered.
            warnings.filterwarnings("error", message="The value .* is out of the range", category=UserWarning)
            return trial, self.hparams_of(trial)

    def check(self, known: Collection[str] | None) -> None:
        """Try the space on its start configurations and some random ones before anything is spent on it.

        `known` are the hyperparameters that model and training understand; None if the model is the user's own
        and may read anything.

        Raises:
            SpaceError: if a start configuration fails, or the space returns a hyperparameter nobody knows.
        """
        for index in range(len(self.start)):
            self._check_known(self.hparams_of_start(index), known)
        study = quiet_study(optuna.samplers.RandomSampler(seed=0))
        for _ in range(_CHECKED_SAMPLES):
            self._check_known(self.hparams_of(study.ask()), known)

    def _check_json(self, name: str, value: Any) -> None:
        try:
            json.dumps(value)
        except (TypeError, ValueError) as error:
            raise SpaceError(
                f"space {self.name!r} returns hyperparameter {name!r} = {value!r}, which cannot be written as JSON: "
                f"{error}. Use numbers, strings, booleans, lists and dictionaries of these."
            ) from error

    def _check_known(self, hparams: Mapping[str, Any], known: Collection[str] | None) -> None:
        unknown = sorted(set(hparams) - set(known)) if known is not None else []
        if unknown:
            raise SpaceError(
                f"space {self.name!r} returns hyperparameter {unknown[0]!r}, which neither its model nor "
                f"the training knows; known are: {', '.join(sorted(known or ()))}."
            )


def available_spaces() -> list[str]:
    """Return the names of the search spaces in `search_spaces/`."""
    return sorted(module.name.replace("_", "-") for module in pkgutil.iter_modules(search_spaces.__path__))


def load_space(name_or_path: str) -> SearchSpace:
    """Return the space registered under a name, or defined by a `.py` file.

    Raises:
        ConfigError: if the name is unknown.
        SpaceError: if the file is missing, raises, or lacks one of `suggest`, `START`, `MODEL`.
    """
    if name_or_path.endswith(".py"):
        return _space_of(name_or_path, _import_file(Path(name_or_path)))
    if name_or_path not in available_spaces():
        raise unknown_name("--space", name_or_path, [*available_spaces(), "a path to a .py file"])
    return _space_of(name_or_path, importlib.import_module(f"search_spaces.{name_or_path.replace('-', '_')}"))


def _import_file(path: Path) -> ModuleType:
    if not path.is_file():
        raise SpaceError(f"--space is {str(path)!r}, but there is no such file.")
    name = f"tuner_user_space_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None, path
    assert spec.loader is not None, path
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        raise SpaceError(f"--space {str(path)!r} cannot be imported: {type(error).__name__}: {error}") from error
    return module


def _space_of(name: str, module: ModuleType) -> SearchSpace:
    suggest, model = getattr(module, "suggest", None), getattr(module, "MODEL", None)
    start = getattr(module, "START", None)
    if not callable(suggest):
        raise SpaceError(f"space {name!r} must define suggest(trial).")
    if not (isinstance(model, str) or callable(model)):
        raise SpaceError(f"space {name!r} must define MODEL, a model's name or a callable(hparams).")
    if not isinstance(start, Sequence) or not start or not all(isinstance(point, Mapping) for point in start):
        raise SpaceError(f"space {name!r} must define START, a list of at least one dictionary of parameters.")
    assert module.__file__
    return SearchSpace(name, suggest, tuple(start), model, hash_file(Path(module.__file__)), module)
