"""What a user can decide about a study: frozen sections, their laws, and reading them from a file."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, ClassVar, Final, Literal

import yaml
from pydantic import ConfigDict, TypeAdapter, ValidationError

from tuner.errors import ConfigError, unknown_name
from tuner.io.storage import check_location
from tuner.search.objective import Objective

DEFAULT_OBJECTIVE = Objective("dev_accuracy", proportion=True)
"""What trials are compared by if the search space names nothing: what the built-in classifier reports."""

_STRICT = ConfigDict(extra="forbid")
AUTO: Final = "auto"
_SECONDS = {"s": 1.0, "m": 60.0, "h": 3600.0}


@dataclass(frozen=True)
class DataConfig:
    """What to train on."""

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT

    dataset: str = "auto"
    """`fashion-mnist`, `digits`, or `auto`: Fashion-MNIST if it is there or can be downloaded, else digits."""
    data_dir: Path | None = None
    """Folder in torchvision's layout, never written to; else $TUNER_DATA_DIR, else the user's cache."""


@dataclass(frozen=True)
class SearchConfig:
    """How to search."""

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT

    searcher: str = "tpe"
    """Who proposes: `tpe` or `gp` (Optuna's tree-structured Parzen estimator or Gaussian process), or `random`."""
    scheduler: str = "asha-promote"
    """Who stops weak trials: `asha-promote` (pauses at rungs and promotes), `asha` (stops at rungs),
    `hyperband` (several such brackets), or `none` to train each to its end."""
    objectives: tuple[str, ...] = ()
    """What to look for: the search space's objective, by which alone trials are stopped, and behind it `num_params`,
    `latency` (of one example) or other metrics, such as `dev_accuracy,num_params,dev_loss:minimize`: the front of
    those that cannot be bettered in one without being worse in another. By default the first alone."""
    trials: int | None = None
    """At most this many trials; by default as many as the budget allows, 32 without a budget."""
    max_epochs: int | None = None
    """Epochs of a full training in the search; by default fitted to the budget, 27 without one."""
    min_epochs: int | None = None
    """The first rung: epochs every trial gets before it is compared; by default a seventeenth of `max_epochs`."""
    reduction_factor: int = 3
    """About one trial in this many goes on from each rung."""
    startup_trials: int = 25
    """Trials started before the searcher models the results."""
    patience: int = 10
    """A training ends after this many epochs without a better dev accuracy."""
    warm_start: Path | None = None
    """Folder of an earlier run on the same data, or its `trials.parquet`: its trials inform the search, its best is
    tried early, and a configuration that it trained is not trained again. The space may have changed since."""


@dataclass(frozen=True)
class ResourceConfig:
    """Where it runs."""

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT

    workers: int | None = None
    """Trials trained at the same time; by default as many as CPUs and GPUs allow."""
    cpus_per_trial: int | Literal["auto"] = AUTO
    """CPUs, and torch threads, of one trial; by default one, or where there are GPUs as many as there are for each."""
    gpus_per_trial: float | Literal["auto"] = AUTO
    """GPUs of one trial; a fraction shares one, 0 hides them. By default one where there are GPUs, or the part of one
    that a trial needs by its measured memory."""
    max_failures: int = 2
    """Times a trial is taken up again after its worker died."""
    trial_timeout: str | None = None
    """Time one epoch may take, such as `10m`; a process that takes longer hangs, is ended and counts as a failure."""
    address: str | None = None
    """Address of a running Ray cluster, or `auto`; by default this machine alone."""
    in_process: bool = False
    """Train in this process, one trial after another and without Ray: to look into a training with a debugger."""
    precision: str = "auto"
    """`float32`, `bfloat16`, or `auto`: bfloat16 where the processor computes with it."""


@dataclass(frozen=True)
class RetrainConfig:
    """How the winner is retrained and measured."""

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT

    retrain_epochs: int | None = None
    """Epochs of a retraining; by default as many as fit into the budget, without one `max_epochs`. Hyperparameters that
    count epochs, such as `decay_epochs`, grow with them."""
    retrain_seeds: int = 2
    """Times the winner is trained afresh, each with its own seed."""
    baseline: bool = False
    """Also retrain the space's first start configuration, untuned, by the same rules."""


@dataclass(frozen=True)
class StudyConfig:
    """Everything a user can decide about a study."""

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT

    space: str = "cnn"
    """A name in `search_spaces`, or the path of a `.py` file of your own."""
    budget: str | None = None
    """Time for everything, search and retraining: `90s`, `30m`, `2h`. Without one, the counts rule."""
    seed: int = 0
    """One worker and the same seed give the same study, unless the latency, which is measured, is an objective."""
    name: str | None = None
    """The run's name; by default the date, the time and the space."""
    storage: str = "runs"
    """Where the runs are kept: a folder, which on a cluster all nodes must share, or `s3://bucket/prefix`."""
    data: DataConfig = field(default_factory=DataConfig)
    search: SearchConfig = field(default_factory=SearchConfig)
    resources: ResourceConfig = field(default_factory=ResourceConfig)
    retrain: RetrainConfig = field(default_factory=RetrainConfig)

    @property
    def trial_timeout_seconds(self) -> float | None:
        """The trial timeout in seconds; raises ConfigError if it is not a time."""
        timeout = self.resources.trial_timeout
        return None if timeout is None else parse_duration("--trial-timeout", timeout)

    @property
    def budget_seconds(self) -> float | None:
        """The budget in seconds; raises ConfigError if it is not a time."""
        return None if self.budget is None else parse_duration("--budget", self.budget)


_SECTIONS: Mapping[str, type[DataConfig | SearchConfig | ResourceConfig | RetrainConfig]] = {
    "data": DataConfig,
    "search": SearchConfig,
    "resources": ResourceConfig,
    "retrain": RetrainConfig,
}
_ADAPTER = TypeAdapter(StudyConfig)


def to_dict(config: StudyConfig) -> dict[str, Any]:
    """Return the configuration as JSON-ready dictionaries."""
    result: dict[str, Any] = _ADAPTER.dump_python(config, mode="json")
    return result


def from_dict(values: Mapping[str, Any], source: str) -> StudyConfig:
    """Return the configuration that `values` describe, strictly: unknown keys and wrong types are errors.

    Raises:
        ConfigError: naming `source`, the key, its value and what it must be.
    """
    try:
        return _ADAPTER.validate_python(dict(values))
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        raise ConfigError(f"{source}: {key} is {first['input']!r}: {first['msg']}.") from error


def merge(base: StudyConfig, changes: Mapping[str, Any], source: str) -> StudyConfig:
    """Return `base` with the (nested) `changes` applied; raises ConfigError as `from_dict` does."""
    return from_dict(_merged(to_dict(base), changes), source)


def with_absolute_paths(config: StudyConfig) -> StudyConfig:
    """Return the configuration with paths that mean the same in every folder, so that a run can be gone on with."""
    data_dir, warm_start = config.data.data_dir, config.search.warm_start
    return replace(
        config,
        space=str(_absolute(config.space)) if config.space.endswith(".py") else config.space,
        data=replace(config.data, data_dir=None if data_dir is None else _absolute(data_dir)),
        search=replace(config.search, warm_start=None if warm_start is None else _absolute(warm_start)),
    )


def without_replaced_budget(base: StudyConfig, changed: StudyConfig) -> StudyConfig:
    """Return `changed` without the budget of `base` if numbers of trials or epochs were given in its place."""
    counts_given = (base.search.trials, base.search.max_epochs) != (changed.search.trials, changed.search.max_epochs)
    return replace(changed, budget=None) if counts_given and changed.budget == base.budget else changed


def nested(flat: Mapping[str, Any]) -> dict[str, Any]:
    """Return values given by field name alone (`trials=64`) in their sections (`search: trials: 64`).

    Raises:
        ConfigError: if there is no such field.
    """
    sections = {inner.name: name for name, section in _SECTIONS.items() for inner in fields(section)}
    top = {outer.name for outer in fields(StudyConfig)} - set(_SECTIONS)
    result: dict[str, Any] = {}
    for name, value in flat.items():
        if name in top:
            result[name] = value
        elif name in sections:
            result.setdefault(sections[name], {})[name] = value
        else:
            raise unknown_name("an argument of the study", name, [*top, *sections])
    return result


def read_file(path: Path) -> dict[str, Any]:
    """Return the content of a `.json`, `.toml` or `.yaml` configuration file.

    Raises:
        ConfigError: if it is missing, of another kind, or not what its suffix says.
    """
    readers: dict[str, Callable[[str], Any]] = {
        ".json": json.loads,
        ".toml": tomllib.loads,
        ".yaml": yaml.safe_load,
        ".yml": yaml.safe_load,
    }
    if path.suffix not in readers:
        raise ConfigError(f"--config is {str(path)!r}, but must end in one of: {', '.join(readers)}.")
    try:
        values = readers[path.suffix](path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"--config is {str(path)!r}, which cannot be read: {error.strerror}.") from error
    except (ValueError, RecursionError, yaml.YAMLError) as error:
        reason = " ".join(str(error).split())
        raise ConfigError(f"--config is {str(path)!r}, which is not valid {path.suffix[1:]}: {reason}") from error
    if not isinstance(values, dict):
        raise ConfigError(f"--config is {str(path)!r}, but must hold a mapping of names to values.")
    return values


def check(config: StudyConfig) -> None:
    """Raise ConfigError if a value breaks its law; names are checked where they are registered."""
    search, resources, retrain = config.search, config.resources, config.retrain
    laws: list[tuple[str, float | str | None, float]] = [
        ("--trials", search.trials, 1),
        ("--max-epochs", search.max_epochs, 1),
        ("--min-epochs", search.min_epochs, 1),
        ("--reduction-factor", search.reduction_factor, 2),
        ("--startup-trials", search.startup_trials, 0),
        ("--patience", search.patience, 1),
        ("--workers", resources.workers, 1),
        ("--cpus-per-trial", resources.cpus_per_trial, 1),
        ("--gpus-per-trial", resources.gpus_per_trial, 0),
        ("--max-failures", resources.max_failures, 0),
        ("--retrain-epochs", retrain.retrain_epochs, 1),
        ("--retrain-seeds", retrain.retrain_seeds, 1),
        ("--seed", config.seed, 0),
    ]
    for argument, value, least in laws:
        if value is not None and not isinstance(value, str) and not value >= least:
            raise ConfigError(f"{argument} is {value}, but must be at least {least:g}.")
    gpus = resources.gpus_per_trial
    if gpus != AUTO and gpus > 1 and gpus % 1 != 0:
        raise ConfigError(f"--gpus-per-trial is {gpus}, but above 1 must be a whole number.")
    if search.max_epochs is not None and search.min_epochs is not None and search.max_epochs < search.min_epochs:
        raise ConfigError(
            f"--max-epochs is {search.max_epochs}, but must be at least --min-epochs, which is {search.min_epochs}."
        )
    if config.budget_seconds is not None and config.budget_seconds <= 0:
        raise ConfigError(f"--budget is {config.budget!r}, but must be more than 0.")
    if config.trial_timeout_seconds is not None and config.trial_timeout_seconds <= 0:
        raise ConfigError(f"--trial-timeout is {resources.trial_timeout!r}, but must be more than 0.")
    if resources.in_process and (resources.address is not None or (resources.workers or 1) > 1):
        raise ConfigError(
            "--in-process trains one trial after another in this process: give no --address and no --workers."
        )
    check_location("--storage", config.storage)
    if config.name is not None and not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", config.name):
        raise ConfigError(f"--name is {config.name!r}, but must be letters, digits, '.', '_' and '-' alone.")


def parse_duration(argument: str, text: str) -> float:
    """Return the seconds of a duration such as `90s`, `30m`, `1.5h` or `1h30m`; raises ConfigError."""
    parts = re.findall(r"(\d+(?:\.\d+)?)([smh])", text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise ConfigError(f"{argument} is {text!r}, but must be a time such as 90s, 30m, 2h or 1h30m.")
    return sum(float(number) * _SECONDS[unit] for number, unit in parts)


def _absolute(path: str | Path) -> Path:
    return Path(path).expanduser().absolute()


def _merged(base: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in changes.items():
        nested = isinstance(value, Mapping) and isinstance(base.get(key), Mapping)
        merged[key] = _merged(base[key], value) if nested else value
    return merged
