"""What is tuned, as a file or a notebook brings it: the space, the training, the data and the objective.

A task file defines `suggest(trial)`; either `TRAINABLE`, a training of its own, or `MODEL`, for the built-in classifier
loop: a model's name, or a callable that builds one from `(hparams)` or `(hparams, data)`; and if it likes `load_data`,
`DATA`, `OBJECTIVE`, `START`, `PRIOR`, `RETRAIN`, `EPOCH_HPARAMS` and `CALLBACKS`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from tuner.config import DEFAULT_OBJECTIVE, DataConfig, StudyConfig
from tuner.data import AUTO, data_dir_of, load_dataset
from tuner.data.dataset import Dataset, SearchData
from tuner.engine.dry_run import check_hparams
from tuner.engine.misspelt import Misspelt, check_names
from tuner.engine.worker import MODEL_SUFFIX
from tuner.errors import DataError, SpaceError, TunerError, in_one_line
from tuner.integrations.callback import Callback
from tuner.io.sources import Sources
from tuner.models import ModelSpec, get_model
from tuner.search.learned_space import LearnedSpace
from tuner.search.objective import Direction, Objective
from tuner.search.prior import check_prior
from tuner.search.space import SearchSpace, find_space, space_of
from tuner.training.classifier import classifier_of
from tuner.training.hparams import TrainingHparams
from tuner.training.trainable import TrainableSpec, trainable_of

_OWN_SOURCES = ("data", "training")
"""The packages of ours by whose code the built-in loop trains."""


@dataclass(frozen=True)
class Task:
    """One thing to tune."""

    space: SearchSpace
    trainable: TrainableSpec
    model: ModelSpec | None
    """What the built-in loop trains; None for a training of the task's own."""
    data: str | Callable[[Path | None], Any] | None
    """A registered data set's name, or what loads one; None for the one that the configuration names."""
    objective: Objective
    sources: Sources
    """The code that brought all this."""
    callbacks: tuple[Callback, ...] = ()
    """What is told of the study as it goes; it stays with the driver."""
    misspelt: Misspelt = field(default_factory=Misspelt)
    """Names in the file that are nearly those of ours."""

    def load_data(self, config: DataConfig) -> Dataset:
        """Return the task's own data set, else the one that the configuration names.

        Raises:
            ConfigError: for an unknown name.
            DataError: if the data are missing or damaged, or `load_data` raises or returns something else.
        """
        if not callable(self.data):
            name = self.data if self.data is not None and config.dataset == AUTO else config.dataset
            return load_dataset(name, config.data_dir)
        try:
            found = self.data(data_dir_of(config.data_dir))
        except TunerError:
            raise
        except (Exception, SystemExit) as error:
            raise DataError(f"load_data() of space {self.space.name!r} raised {in_one_line(error)}") from error
        if not isinstance(found, Dataset):
            raise DataError(
                f"load_data() of space {self.space.name!r} returned a {type(found).__name__}, but must return a "
                "tuner.Dataset(train=..., dev=..., test=...)."
            )
        return found

    def check_names(self) -> None:
        """Refuse names in the file that would be passed over in silence: for a new run. Raises SpaceError."""
        if self.misspelt.surely:
            raise SpaceError(self.misspelt.surely[0])

    def check(self) -> list[dict[str, Any]]:
        """Try the space before the data are loaded, and return the configurations that were tried.

        Raises:
            SpaceError: if a configuration cannot be made, or holds a hyperparameter that nobody knows, or if `PRIOR`
                holds what no configuration can have.
        """
        ours = None if self.model is None or self.model.defaults is None else self.model.defaults
        tried = self.space.check(None if ours is None else {*ours, *TrainingHparams.names()})
        check_prior(self.space)
        return tried

    def check_with(self, data: SearchData, tried: Sequence[Mapping[str, Any]]) -> None:
        """Try on the data what can be tried without training; raises SpaceError as `dry_run.check_hparams` does."""
        if self.model is not None:
            check_hparams(self.space, self.model, data, tried)

    @property
    def defaults(self) -> dict[str, Any]:
        """What model and training take where a configuration is silent; empty for what is the task's own."""
        if self.model is None or self.model.defaults is None:
            return {}
        return {**self.model.defaults, **asdict(TrainingHparams())}

    @property
    def is_sampled(self) -> bool:
        """Whether a part of the train split is enough to tell how long an epoch takes: our loop takes any part."""
        return self.model is not None

    @property
    def artefact(self) -> str | None:
        """The name of the file with what was trained; None if it has no state to keep."""
        if self.model is not None:
            return f"model{MODEL_SUFFIX}"
        return "state.pt" if self.trainable.saves_state else None

    @property
    def training_sha256(self) -> str:
        """The hash of the code that trains; only what equal code trained can stand for a training here."""
        digest = hashlib.sha256()
        if self.model is None or self.model.defaults is None:
            digest.update(self.sources.sha256.encode())
        if self.model is not None:
            for content in _built_in_sources(self.model):
                digest.update(content)
        return digest.hexdigest()


def task_in(config: StudyConfig, sources: Sources) -> Task:
    """Return the task that a configuration names, whose code is `sources`; raises SpaceError as `load_task` does."""
    brought = vars(sources.load())
    if config.objective is None:
        return task_of(config.space, brought, sources)
    return _task_of_objective(config.space, config.objective, config.direction, brought, sources)


def load_configured(config: StudyConfig) -> Task:
    """Return the task that a configuration names; raises as `load_task` does."""
    return task_in(config, Sources.read(find_space(config.space)))


def load_task(name_or_path: str) -> Task:
    """Return the task of a registered name or a `.py` file.

    Raises:
        ConfigError: if the name is unknown.
        SpaceError: if the file is missing, raises, or does not define what it should.
    """
    sources = Sources.read(find_space(name_or_path))
    return task_of(name_or_path, vars(sources.load()), sources)


def task_of(name: str, brought: Mapping[str, Any], sources: Sources) -> Task:
    """Return the task of that name made of what a file or a notebook brings; raises SpaceError as `load_task` does."""
    misspelt = check_names(name, brought, sources)
    space = space_of(name, brought)
    data, objective = _data_of(name, brought), _objective_of(name, brought)
    callbacks = checked_callbacks(brought.get("CALLBACKS", ()), f"CALLBACKS of space {name!r}")
    model, own = brought.get("MODEL"), brought.get("TRAINABLE")
    if (model is None) == (own is None):
        raise SpaceError(
            f"space {name!r} must define either MODEL, a model's name or a callable that builds one, or TRAINABLE, a "
            "training of its own."
        )
    if own is not None:
        return Task(space, trainable_of(own), None, data, objective, sources, callbacks, misspelt)
    if not (isinstance(model, str) or callable(model)):
        raise SpaceError(f"MODEL of space {name!r} must be a model's name or a callable that builds one.")
    spec = get_model(model)
    return Task(space, classifier_of(spec), spec, data, objective, sources, callbacks, misspelt)


def _task_of_objective(
    name: str, function: str, direction: Direction, brought: Mapping[str, Any], sources: Sources
) -> Task:
    # Imported here, because most tasks need none of it.
    from tuner.integrations.optuna import objective_of, spec_of

    objective = brought.get(function)
    if not callable(objective):
        functions = sorted(one for one, value in brought.items() if callable(value) and not one.startswith("_"))
        raise SpaceError(
            f"--objective names {function!r} of {name!r}, but there is no such function; there are: "
            f"{', '.join(functions) or 'none'}."
        )
    space = SearchSpace(name, LearnedSpace(), ())
    callbacks = checked_callbacks(brought.get("CALLBACKS", ()), f"CALLBACKS of {name!r}")
    return Task(space, spec_of(function, objective), None, _no_data, objective_of(direction), sources, callbacks)


def checked_callbacks(callbacks: Any, whose: str) -> tuple[Callback, ...]:
    """Return the callbacks; raises SpaceError that says `whose` they are if one is none."""
    found = tuple(callbacks) if isinstance(callbacks, Sequence) else (callbacks,)
    for one in found:
        if not isinstance(one, Callback):
            raise SpaceError(f"{whose} must be a list of tuner.Callback, but holds {one!r}.")
    return found


def _no_data(data_dir: Path | None) -> Dataset:  # noqa: ARG001 - an objective brings its own
    return Dataset(train=None, dev=None, name="the objective's own", fingerprint="the objective's own")


def _data_of(name: str, brought: Mapping[str, Any]) -> str | Callable[[Path | None], Any] | None:
    given = {key: brought[key] for key in ("DATA", "load_data") if brought.get(key) is not None}
    if len(given) > 1:
        raise SpaceError(f"space {name!r} defines DATA and load_data, but must define one of them.")
    data = next(iter(given.values()), None)
    if data is None or isinstance(data, str) or callable(data):
        return data
    raise SpaceError(f"{next(iter(given))} of space {name!r} must be a data set's name or a function that loads one.")


def _objective_of(name: str, brought: Mapping[str, Any]) -> Objective:
    found = brought.get("OBJECTIVE", DEFAULT_OBJECTIVE)
    if not isinstance(found, Objective):
        raise SpaceError(
            f"OBJECTIVE of space {name!r} is {found!r}, but must be an Objective, "
            'such as Objective("dev_rmse", "minimize").'
        )
    return found


def _built_in_sources(model: ModelSpec) -> list[bytes]:
    """Return what the built-in loop is made of, and a registered model."""
    package = Path(__file__).resolve().parents[1]
    paths = [path for folder in _OWN_SOURCES for path in sorted((package / folder).glob("*.py"))]
    if model.defaults is not None:
        paths.append(package / "models" / f"{model.name.replace('-', '_')}.py")
    return [path.read_bytes() for path in paths]
