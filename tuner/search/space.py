"""Search spaces: finding one by name or path, and checking what it returns.

A space file defines `suggest(trial)`, `START` and `MODEL`, in Optuna's own define-by-run style; `search_spaces/cnn.py`
is the example. What `suggest` returns is copied here, once, into the journal's form (`plain`), which every training of
it then gets. A configuration that cannot be is refused with `optuna.TrialPruned`, and another is drawn. A space file
is code and runs as code: load only files you trust.
"""

from __future__ import annotations

import importlib
import importlib.util
import pkgutil
import sys
import warnings
from collections.abc import Callable, Collection, Mapping, MutableMapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, cast

import optuna

import search_spaces
from tuner.errors import SpaceError, unknown_name
from tuner.io.files import hash_file
from tuner.search.asking import AskedTrial
from tuner.search.plain import plain
from tuner.search.quiet import quiet_study

Suggest = Callable[[optuna.trial.BaseTrial], dict[str, Any]]
_CHECKED_SAMPLES = 20
"""Enough to meet the branches of most conditional spaces."""
_MOST_INFEASIBLE = 100
"""Random configurations in a row that may be infeasible before a space counts as having no other."""

Model = str | Callable[[Mapping[str, Any]], Any]


class InfeasibleError(SpaceError):
    """A configuration that `suggest` refused with `optuna.TrialPruned`: another can be drawn."""

    def __init__(self, space: str, trial: optuna.trial.BaseTrial, reason: str) -> None:
        """Take what `suggest` had asked of the trial by then, and the text of its TrialPruned, which may be empty."""
        self.params: dict[str, Any] = plain(trial.params)
        self.distributions = dict(trial.distributions)
        self.reason = f"infeasible: {reason}" if reason else "infeasible"
        super().__init__(f"suggest() of space {space!r} raised TrialPruned at {self.params!r}: it is {self.reason}.")


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

    def hparams_of(
        self, trial: optuna.trial.BaseTrial, answers: MutableMapping[str, Any] | None = None
    ) -> dict[str, Any]:
        """Return what the space makes of a trial, in the journal's form (`plain`); `answers` as in `AskedTrial`.

        Raises:
            InfeasibleError: if `suggest` refuses the configuration.
            SpaceError: if `suggest` raises or returns something other than a dictionary with string keys, of values
                that JSON knows.
        """
        try:
            hparams = self.suggest(cast(optuna.trial.BaseTrial, AskedTrial(trial, answers)))
        except optuna.TrialPruned as pruned:
            raise InfeasibleError(self.name, trial, " ".join(str(pruned).split())) from None
        except (Exception, SystemExit) as error:
            raise SpaceError(f"suggest() of space {self.name!r} raised {type(error).__name__}: {error}") from error
        if not isinstance(hparams, Mapping) or not all(isinstance(key, str) for key in hparams):
            raise SpaceError(
                f"suggest() of space {self.name!r} returned {hparams!r}, "
                f"but must return a dictionary of hyperparameters by name."
            )
        return {plain(name): self._plain(name, value) for name, value in hparams.items()}

    def hparams_of_start(self, index: int) -> dict[str, Any]:
        """Return the hyperparameters of a start configuration.

        Raises:
            SpaceError: as `hparams_of` does, or if a value lies outside its parameter's range.
        """
        return self.answer(self.start[index])[1]

    def answer(self, values: Mapping[str, Any], number: int = 0) -> tuple[optuna.trial.FixedTrial, dict[str, Any]]:
        """Return a trial whose parameters have these values, and the hyperparameters that the space makes of it.

        `values` may hold more than the space asks for.

        Raises:
            SpaceError: as `hparams_of` does, or if a value is missing or lies outside its parameter's range.
        """
        answers = plain(values)
        trial = optuna.trial.FixedTrial(answers, number)
        with warnings.catch_warnings():
            # Optuna would only warn, and refuse the trial when its result is entered.
            warnings.filterwarnings("error", message="The value .* is out of the range", category=UserWarning)
            return trial, self.hparams_of(trial, answers)

    def check(self, known: Collection[str] | None) -> None:
        """Try the space on its start configurations and some random ones before anything is spent on it.

        `known` are the hyperparameters that model and training understand; None if the model is the user's own
        and may read anything.

        Raises:
            SpaceError: if a start configuration fails or is infeasible, random ones nearly always are, or the space
                returns a hyperparameter nobody knows.
        """
        for index in range(len(self.start)):
            self._check_known(self.hparams_of_start(index), known)
        study = quiet_study(optuna.samplers.RandomSampler(seed=0))
        for _ in range(_CHECKED_SAMPLES):
            self._check_known(self._hparams_of_random(study), known)

    def _hparams_of_random(self, study: optuna.Study) -> dict[str, Any]:
        for _ in range(_MOST_INFEASIBLE):
            try:
                return self.hparams_of(study.ask())
            except InfeasibleError as error:
                refused = error
        raise SpaceError(
            f"suggest() of space {self.name!r} raised TrialPruned for {_MOST_INFEASIBLE} random configurations in a "
            f"row, the last one {refused.params!r}: most of a space must be feasible."
        )

    def _plain(self, name: str, value: Any) -> Any:
        try:
            return plain(value)
        except ValueError as error:
            raise SpaceError(
                f"space {self.name!r} returns hyperparameter {name!r} = {value!r}, which cannot be written as JSON: "
                f"{error}."
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
    try:
        points = tuple(plain(start))
    except ValueError as error:
        raise SpaceError(f"START of space {name!r} cannot be written as JSON: {error}.") from error
    assert module.__file__
    return SearchSpace(name, suggest, points, model, hash_file(Path(module.__file__)), module)
