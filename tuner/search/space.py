"""Search spaces: finding one by name or path, and checking what it returns.

A space file defines `suggest(trial)`, in Optuna's own define-by-run style, and may define `START`, `PRIOR`, `RETRAIN`
and `EPOCH_HPARAMS`; what else it brings is `tuner.engine.task`'s business. `search_spaces/cnn.py` is the example. What
`suggest` returns is copied here, once, into the journal's form (`plain`), which every training of it then gets. A
configuration that cannot be is refused with `optuna.TrialPruned`, and another is drawn. A space file is code and runs
as code: load only files you trust.
"""

from __future__ import annotations

import contextlib
import difflib
import inspect
import traceback
from collections.abc import Callable, Collection, Iterator, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import FunctionType
from typing import Any, cast

import optuna
from optuna.distributions import BaseDistribution

from tuner.errors import ConfigError, SpaceError, unknown_name
from tuner.io.sources import Sources
from tuner.search.asking import AskedTrial, LackingError, OutsideError, ParameterError
from tuner.search.learned_space import LearnedSpace
from tuner.search.plain import plain
from tuner.search.quiet import quiet_study

Suggest = Callable[[optuna.trial.BaseTrial], dict[str, Any]]
_CHECKED_SAMPLES = 20
"""Enough to meet the branches of most conditional spaces."""
_DRAWS_FOR_RARE_BRANCHES = 50
_DRAWS_FOR_A_START = 200
"""To meet a parameter that a start configuration names and does not ask for: to refuse one there is would be worse."""
_MOST_INFEASIBLE = 100
"""Random configurations in a row that may be infeasible before a space counts as having no other."""

_PACKAGE = Path(__file__).resolve().parents[1]
_FOLDERS = (_PACKAGE / "search_spaces", _PACKAGE.parent / "search_spaces")
"""Where the search spaces that come with us lie: in the installed package, and in the repository at its top.

So general a name must not lie at the top of everyone's site-packages.
"""


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
    """Parameters to try first, in order; the first are the reference's. There may be none."""
    epoch_hparams: tuple[str, ...] = ()
    """The hyperparameters that count epochs: they grow with a longer training."""
    retrain: Mapping[str, Any] = field(default_factory=dict)
    """Hyperparameters that the winner has in the retraining alone, whatever they were in the search."""
    prior: Mapping[str, Any] = field(default_factory=dict)
    """Values of some parameters near which the author believes the best configuration to lie; see `UserPrior`."""

    @property
    def is_learned(self) -> bool:
        """Whether the space is only known from what trials ask for as they run."""
        return isinstance(self.suggest, LearnedSpace)

    @property
    def changes(self) -> int:
        """How often the space has changed by what trials ask for."""
        return self.suggest.changes if isinstance(self.suggest, LearnedSpace) else 0

    def learn(self, trial: int, params: Mapping[str, Any], distributions: Mapping[str, BaseDistribution]) -> None:
        """Take what a trial has asked for as it ran."""
        if isinstance(self.suggest, LearnedSpace):
            self.suggest.learn(trial, params, distributions)

    def hparams_of(
        self, trial: optuna.trial.BaseTrial, answers: MutableMapping[str, Any] | None = None
    ) -> dict[str, Any]:
        """Return what the space makes of a trial, in the journal's form (`plain`); `answers` as in `AskedTrial`.

        Raises:
            InfeasibleError: if `suggest` refuses the configuration.
            SpaceError: if `suggest` raises or returns something other than a dictionary with string keys, of values
                that JSON knows.
        """
        hparams = self.ask(trial, answers)
        if not isinstance(hparams, Mapping) or not all(isinstance(key, str) for key in hparams):
            raise SpaceError(
                f"suggest() of space {self.name!r} returned {hparams!r}, "
                f"but must return a dictionary of hyperparameters by name."
            )
        return {plain(name): self._plain(name, value) for name, value in hparams.items()}

    def ask(self, trial: optuna.trial.BaseTrial, answers: MutableMapping[str, Any] | None = None) -> Any:
        """Let the space ask a trial for parameters and return what it makes of them, unchecked; `answers` as above.

        Raises:
            InfeasibleError: if `suggest` refuses the configuration.
            SpaceError: if `suggest` raises.
        """
        try:
            return self.suggest(cast(optuna.trial.BaseTrial, AskedTrial(trial, answers)))
        except optuna.TrialPruned as pruned:
            raise InfeasibleError(self.name, trial, " ".join(str(pruned).split())) from None
        except (Exception, SystemExit) as error:
            # Of what we say ourselves, the kind of exception tells nothing.
            kind = "fails at " if isinstance(error, ParameterError) else f"raised {type(error).__name__}: "
            place = _place_of(error, self.suggest)
            raise SpaceError(f"suggest() of space {self.name!r} {kind}{error}{place}") from error

    def hparams_of_start(self, index: int) -> dict[str, Any]:
        """Return the hyperparameters of a start configuration.

        Raises:
            SpaceError: as `hparams_of` does, or if a value is missing or lies outside its parameter's range.
        """
        try:
            return self.answer(self.start[index])[1]
        except SpaceError as error:
            start, wrong = f"START[{index}] of space {self.name!r}", error.__cause__
            if isinstance(wrong, LackingError):
                has = f"it has: {', '.join(self.start[index])}" if self.start[index] else "it is empty"
                raise SpaceError(f"{start} lacks {wrong.name!r}, which suggest() asks for; {has}.") from wrong
            if isinstance(wrong, OutsideError):
                what = f"{wrong.value!r} for parameter {wrong.name!r}, but must {wrong.law}"
                raise SpaceError(f"{start} is {what}") from wrong
            raise

    def answer(self, values: Mapping[str, Any], number: int = 0) -> tuple[optuna.trial.FixedTrial, dict[str, Any]]:
        """Return a trial whose parameters have these values, and the hyperparameters that the space makes of it.

        `values` may hold more than the space asks for.

        Raises:
            SpaceError: as `hparams_of` does, or if a value is missing or lies outside its parameter's range.
        """
        answers = plain(values)
        trial = optuna.trial.FixedTrial(answers, number)
        return trial, self.hparams_of(trial, answers)

    def check(self, known: Collection[str] | None) -> list[dict[str, Any]]:
        """Try the space on its start configurations and some random ones before anything is spent on it; return them.

        `known` are the hyperparameters that model and training understand; None if the training is the user's own
        and may read anything.

        Raises:
            SpaceError: if a start configuration fails, is infeasible, random ones nearly
                always are infeasible, or the space returns a hyperparameter nobody knows.
        """
        study = quiet_study(optuna.samplers.RandomSampler(seed=0))
        tried = [self.hparams_of_start(index) for index in range(len(self.start))]
        tried += [self._hparams_of_random(study) for _ in range(_CHECKED_SAMPLES)]
        for hparams in (*tried, self.retrain):
            self._check_known(hparams, known)
        self._check_counting({name for hparams in (*tried, self.retrain) for name in hparams}, study)
        return tried

    def check_starts(self) -> list[str]:
        """Refuse a name in START that is nearly that of a parameter, and that no configuration asks for.

        Any other name that none asks for may be of a branch that is hardly ever met; it is returned, in words.

        Raises:
            SpaceError: for such a name, or as `hparams_of` does.
        """
        study = quiet_study(optuna.samplers.RandomSampler(seed=0))
        asked = [self.answer(start)[0].params for start in self.start]
        met = set().union(*asked)
        notices = []
        for index, start in enumerate(self.start):
            for name in start:
                draws = 0
                while name not in met and draws < _DRAWS_FOR_A_START:
                    met |= self._asked_at_random(study)
                    draws += 1
                if name in met:
                    continue
                given = f"START[{index}] of space {self.name!r} is {start[name]!r} for {name!r}"
                if difflib.get_close_matches(name, met, n=1):
                    law = "must name a parameter that suggest() asks for"
                    raise SpaceError(f"{given}, but {law}; {nearest_known(name, met)}")
                notices.append(
                    f"{given}, which suggest() asked for in none of {_DRAWS_FOR_A_START} random configurations: "
                    f"it has no effect, unless a rare one does; {nearest_known(name, met)}"
                )
        return notices

    def _asked_at_random(self, study: optuna.Study) -> set[str]:
        trial = study.ask()
        with contextlib.suppress(SpaceError):  # of a rare branch, which is told when it is met
            self.ask(trial)
        return set(trial.params)

    def _check_counting(self, met: set[str], study: optuna.Study) -> None:
        """Refuse a name in EPOCH_HPARAMS that no configuration has; `met` are those that are known to be had."""
        if set(self.epoch_hparams) - met:  # it may be of a rare branch
            met = met.union(*(self._hparams_of_random(study) for _ in range(_DRAWS_FOR_RARE_BRANCHES)))
        unknown = [name for name in self.epoch_hparams if name not in met]
        if unknown:
            raise SpaceError(
                f"EPOCH_HPARAMS of space {self.name!r} names {unknown[0]!r}, but no configuration has such a "
                f"hyperparameter; {nearest_known(unknown[0], met)}"
            )

    def reference(self) -> dict[str, Any]:
        """Return the first start configuration's hyperparameters, without one those of a random configuration."""
        return self.hparams_of_start(0) if self.start else next(self.random_configurations())

    def random_configurations(self) -> Iterator[dict[str, Any]]:
        """Yield the hyperparameters of random configurations without end, always the same ones.

        Raises:
            SpaceError: as `hparams_of` does, or if random configurations are nearly always infeasible.
        """
        study = quiet_study(optuna.samplers.RandomSampler(seed=0))
        while True:
            yield self._hparams_of_random(study)

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
            raise unknown_hyperparameter(self.name, unknown[0], known or ())


def unknown_hyperparameter(space: str, name: str, known: Collection[str]) -> SpaceError:
    """Return the error for a hyperparameter that would be ignored; it names the nearest known one, or else all."""
    return SpaceError(
        f"space {space!r} returns hyperparameter {name!r}, which neither its model nor the training knows; "
        f"{nearest_known(name, known)}"
    )


def _place_of(error: BaseException, suggest: Suggest) -> str:
    """Return the last line of the user's own that an exception came through, of the files beside `suggest`; or ''."""
    code = getattr(inspect.unwrap(suggest), "__code__", None)
    if code is None:
        return ""
    folder = Path(code.co_filename).parent
    frames = [one for one in traceback.extract_tb(error.__traceback__) if Path(one.filename).parent == folder]
    return f" ({Path(frames[-1].filename).name}, line {frames[-1].lineno})" if frames else ""


def nearest_known(name: str, known: Collection[str]) -> str:
    """Return the end of a sentence about an unknown name: the nearest known one, or else all."""
    near = difflib.get_close_matches(name, known, n=1)
    return f"did you mean {near[0]!r}?" if near else f"known are: {', '.join(sorted(known))}."


def available_spaces() -> list[str]:
    """Return the names of the search spaces that come with us."""
    return sorted(path.stem.replace("_", "-") for path in _folder().glob("*.py"))


def find_space(name_or_path: str) -> Path:
    """Return the file of the space of that name, or of that path; raises ConfigError for an unknown name."""
    if name_or_path.endswith(".py"):
        return Path(name_or_path)
    if name_or_path not in available_spaces():
        if Path(f"{name_or_path}.py").is_file():
            names = ", ".join(available_spaces())
            raise ConfigError(
                f"--space is {name_or_path!r}, but must be a path to a .py file or one of: {names}; did you mean "
                f"{f'{name_or_path}.py'!r}?"
            )
        raise unknown_name("--space", name_or_path, [*available_spaces(), "a path to a .py file"])
    return _folder() / f"{name_or_path.replace('-', '_')}.py"


def load_space(name_or_path: str) -> SearchSpace:
    """Return the space registered under a name, or defined by a `.py` file.

    Raises:
        ConfigError: if the name is unknown.
        SpaceError: if the file is missing, raises, or has no `suggest` or another `START` than it should.
    """
    return space_of(name_or_path, vars(Sources.read(find_space(name_or_path)).load()))


def _way_to_objectives(name: str, brought: Mapping[str, Any]) -> str:
    """Return what else to do with a file that has functions of a trial: they suggest inside of a training."""
    found = [other for other, value in brought.items() if isinstance(value, FunctionType) and _takes_a_trial(value)]
    if not found:
        return ""
    return f" To tune its {found[0]}(trial) as it stands: --objective {name}:{found[0]}, in place of --space."


def _takes_a_trial(function: FunctionType) -> bool:
    return function.__code__.co_varnames[: function.__code__.co_argcount] == ("trial",)


def space_of(name: str, brought: Mapping[str, Any]) -> SearchSpace:
    """Return the space made of what a file or a notebook brings; raises SpaceError as `load_space` does."""
    suggest, start = brought.get("suggest"), brought.get("START", ())
    if not callable(suggest):
        raise SpaceError(f"space {name!r} must define suggest(trial).{_way_to_objectives(name, brought)}")
    is_list = isinstance(start, Sequence) and all(isinstance(point, Mapping) for point in start)
    if not is_list or ("START" in brought and not start):
        raise SpaceError(
            f"START of space {name!r} must be a list of at least one dictionary of parameters, or left out."
        )
    counting = brought.get("EPOCH_HPARAMS", ())
    if not isinstance(counting, list | tuple) or not all(isinstance(one, str) for one in counting):
        raise SpaceError(
            f"EPOCH_HPARAMS of space {name!r} is {counting!r}, but must be a list of the names of hyperparameters."
        )
    return SearchSpace(
        name,
        suggest,
        start=tuple(_plain_of(name, "START", start)),
        epoch_hparams=tuple(counting),
        retrain=_dictionary_of(name, "RETRAIN", brought, "hyperparameters"),
        prior=_dictionary_of(name, "PRIOR", brought, "values by parameter"),
    )


def _dictionary_of(name: str, what: str, brought: Mapping[str, Any], of: str) -> Any:
    found = brought.get(what, {})
    if not isinstance(found, Mapping) or not all(isinstance(one, str) for one in found):
        raise SpaceError(f"{what} of space {name!r} is {found!r}, but must be a dictionary of {of}.")
    return _plain_of(name, what, found)


def _plain_of(name: str, what: str, value: Any) -> Any:
    try:
        return plain(value)
    except ValueError as error:
        raise SpaceError(f"{what} of space {name!r} cannot be written as JSON: {error}.") from error


def _folder() -> Path:
    return next(folder for folder in _FOLDERS if folder.is_dir())
