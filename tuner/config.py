"""What a user can decide about a study: frozen sections, their laws, and reading them from a file."""

from __future__ import annotations

import difflib
import json
import math
import re
import tomllib
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any, ClassVar, Final, Literal

import yaml
from pydantic import ConfigDict, TypeAdapter, ValidationError

from tuner.errors import ConfigError, unknown_name
from tuner.io.storage import check_location, is_bucket
from tuner.paths import SQLITE, at_home
from tuner.search.names import check_scheduler, check_searcher
from tuner.search.objective import Objective

NOTEBOOK = "notebook"
"""What a space is called that was given as an object, in place of a name or a file."""
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

    searcher: str = "auto"
    """Who proposes: `gp` (a Gaussian process over all rungs), `tpe` (Optuna's tree-structured Parzen estimator),
    `random`, or `auto`: `gp` with one objective, `tpe` with several."""
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
    resource: Literal["auto", "epochs", "seconds"] = AUTO
    """What trials are compared by at a rung: after equally many `epochs`, or after equally many `seconds`, by which a
    network of half the cost has had twice the epochs. `auto` lies between the two where a budget is given, the nearer
    to equal epochs the longer the retraining is than the search's trainings; else, for a training of your own, and for
    one that wants to know how many epochs it will have, as `linear` and `cosine` do, it is `epochs`. By cost, the rungs
    count epochs of the first configuration."""
    reduction_factor: int = 3
    """About one trial in this many goes on from each rung."""
    startup_trials: int | None = None
    """Trials started before the searcher models the results; by default the searcher knows how many."""
    patience: int = 10
    """A training ends after this many epochs without a better value of the objective."""
    stop_when_converged: float | None = None
    """End the search when at each of its last proposals, five or as many as there are workers, nothing was expected to
    improve the objective by as much as this, such as `0.001`. With a budget the time that is left goes to the
    retraining. Needs the searcher `gp`."""
    warm_start: str | None = None
    """Folder or `s3://` address of an earlier run on the same data, or its `trials.parquet`: its trials inform the
    search, its best is tried early, and a configuration that it trained is not trained again. The space may have
    changed since. Or another tool's results, of which the best are tried early: an Optuna storage (`sqlite:///study.db`
    or a journal file), a CSV or a Parquet file with a column for each parameter."""


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
    """Address of a running Ray cluster, or `auto`; by default, and as `local`, this machine alone."""
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
    keep: Literal["single", "ensemble", "auto"] = "single"
    """What `best/` holds: the retraining that is best on dev, all of them as one answer (the mean of their
    probabilities), or what of the two is better on dev. The ensemble is measured either way."""
    baseline: bool = False
    """Also retrain the space's first start configuration, untuned, by the same rules."""


@dataclass(frozen=True)
class StudyConfig:
    """Everything a user can decide about a study."""

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT

    space: str = "cnn"
    """A name in `search_spaces`, or the path of a `.py` file of your own."""
    objective: str | None = None
    """An Optuna objective to tune as it stands, in place of a space: `train.py:objective`."""
    direction: Literal["minimize", "maximize"] = "minimize"
    """Whether that objective's value is to become small or large."""
    budget: str | None = None
    """Time for everything, search and retraining: `90s`, `30m`, `2h`. Without one, the counts rule."""
    seed: int = 0
    """One worker and the same seed give the same study, unless the latency, which is measured, is an objective."""
    name: str | None = None
    """The run's name; by default the date, the time and the space, in a bucket with random digits behind them."""
    storage: str = "runs"
    """Where the runs are kept: a folder, which on a cluster all nodes must share, or `s3://bucket/prefix`."""
    track: tuple[str, ...] = ()
    """Trackers to follow the run in as it goes, such as `tensorboard,mlflow`: also `wandb` and `aim`. Their settings
    are their own environment variables; without any they write below the run's folder."""
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


WHERE = ("workers", "cpus_per_trial", "gpus_per_trial", "trial_timeout", "address", "in_process", "data_dir")
"""What a run that goes on may be given anew: where it runs, and not what it does."""
_THIS_MACHINE = "local"
"""As an `address`: no cluster, though the run began on one."""

_SECTIONS: Mapping[str, type[DataConfig | SearchConfig | ResourceConfig | RetrainConfig]] = {
    "data": DataConfig,
    "search": SearchConfig,
    "resources": ResourceConfig,
    "retrain": RetrainConfig,
}
_SECTION_OF = {inner.name: name for name, section in _SECTIONS.items() for inner in fields(section)}
"""By field of a section."""
_TOP = tuple(outer.name for outer in fields(StudyConfig) if outer.name not in _SECTIONS)
_KINDS = {
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "int_parsing_size": "a smaller number",
    "float_type": "a number",
    "string_type": "text",
    "bool_type": "true or false",
    "path_type": "a path",
    "tuple_type": "a list",
}
"""Pydantic's names for what a value must be, in words."""
_MERGE = "tag:yaml.org,2002:merge"
"""Of the key `<<` of a YAML mapping."""
_SEED_BITS = 53
"""The seeds of the retrainings are a thousand times as large, and 64-bit integers."""
_ADAPTER = TypeAdapter(StudyConfig)


def to_dict(config: StudyConfig) -> dict[str, Any]:
    """Return the configuration as JSON-ready dictionaries."""
    result: dict[str, Any] = _ADAPTER.dump_python(config, mode="json")
    return result


def from_dict(values: Mapping[str, Any], source: str) -> StudyConfig:
    """Return the configuration that `values` describe, strictly: unknown keys and wrong types are errors.

    A `~` at the beginning of a path is the user's home, which in a file no shell has put in its place.

    Raises:
        ConfigError: naming `source`, the key, its value and what it must be.
    """
    try:
        _check_texts(values, f"{source}: ")
        # As JSON, because only there Pydantic's strict mode takes what a file can hold: texts for paths.
        text = json.dumps(dict(values), default=_path_text)
        return with_homes(_ADAPTER.validate_json(text, strict=True))
    except ValidationError as error:
        raise ConfigError(f"{source}: {_explain(error)}") from error
    except (TypeError, ValueError, RecursionError) as error:
        raise ConfigError(f"{source} holds something that is no value of a study: {error}.") from error


def with_absolute_paths(config: StudyConfig) -> StudyConfig:
    """Return the configuration with paths that mean the same in every folder, so that a run can be gone on with."""
    data_dir, warm_start = config.data.data_dir, config.search.warm_start
    config = _with_objective_s_file(config)
    return replace(
        config,
        space=str(_absolute(config.space)) if config.space.endswith(".py") else config.space,
        data=replace(config.data, data_dir=None if data_dir is None else _absolute(data_dir)),
        search=replace(config.search, warm_start=warm_start and _absolute_place(warm_start)),
    )


def _with_objective_s_file(config: StudyConfig) -> StudyConfig:
    """Return the configuration with the file of an Optuna objective as its space, and the function's name alone."""
    if config.objective is None or ":" not in config.objective:
        return config
    file, _, function = config.objective.rpartition(":")
    return replace(config, space=at_home(file), objective=function)


def merge(base: StudyConfig, changes: Mapping[str, Any], source: str) -> StudyConfig:
    """Return `base` with the `changes` applied, which are sorted into sections as by `nested`.

    Raises:
        ConfigError: as `from_dict` and `nested` do.
    """
    return from_dict(_merged(to_dict(base), nested(changes, source)), source)


def check_where(names: Collection[str], source: str) -> None:
    """Raise ConfigError for names given to a run that goes on which do not only say where."""
    others = sorted(set(names) - set(WHERE))
    if others:
        told, allowed = (", ".join(f"--{name.replace('_', '-')}" for name in those) for those in (others, WHERE))
        raise ConfigError(
            f"{source} goes on with a run as it was configured: leave out {told}. Only where it runs may be given: "
            f"{allowed}."
        )


def moved(config: StudyConfig, where: Mapping[str, Any], source: str) -> StudyConfig:
    """Return the configuration of a run that goes on as `where` says, by the names of `WHERE`.

    Raises:
        ConfigError: as `merge`, `check_where` and `check_given` do.
    """
    if not where:
        return config
    check_where(where.keys(), source)
    alone = {"workers": None, "address": None} if where.get("in_process") else {}
    config = at_this_machine(with_absolute_paths(merge(config, {**alone, **where}, source)))
    check_given(config, where.keys())
    return config


def at_this_machine(config: StudyConfig) -> StudyConfig:
    """Return the configuration without an address that only says that there is no cluster."""
    if config.resources.address != _THIS_MACHINE:
        return config
    return replace(config, resources=replace(config.resources, address=None))


def values_of(config: StudyConfig, names: Collection[str]) -> dict[str, Any]:
    """Return the fields of these names, whatever sections they are in, as `to_dict` has them."""
    values = to_dict(config)
    flat = {**values, **{name: value for section in _SECTIONS for name, value in values[section].items()}}
    return {name: flat[name] for name in names}


def without_replaced_budget(config: StudyConfig, given: Collection[str]) -> StudyConfig:
    """Return `config` without its budget if numbers of trials or epochs were given in its place.

    `given` names the fields that the user has set, in a file or by a flag, to whatever value.
    """
    counts = {"trials": config.search.trials, "max_epochs": config.search.max_epochs}
    is_counted = any(counts[name] is not None for name in counts.keys() & set(given))
    return replace(config, budget=None) if is_counted and "budget" not in given else config


def check_given(config: StudyConfig, given: Collection[str]) -> None:
    """Raise ConfigError for what a person has given, by the names of the fields, and would be ignored or go wrong.

    A file may hold every field, as that of an earlier run does, and has asked for nothing by that.
    """
    resources = config.resources
    if resources.in_process and "trial_timeout" in given:
        raise ConfigError(
            f"--trial-timeout is {resources.trial_timeout!r}, but what hangs is ended with its process, and with "
            "--in-process that is this one: give one of the two."
        )
    if resources.in_process and "gpus_per_trial" in given:
        raise ConfigError(
            f"--gpus-per-trial is {resources.gpus_per_trial}, but with --in-process a trial has what this process "
            "has: leave it out, and hide GPUs with CUDA_VISIBLE_DEVICES=''."
        )
    if "direction" in given and config.objective is None:
        raise ConfigError(
            f"--direction is {config.direction!r}, but is that of an Optuna objective: "
            "give --objective FILE.py:FUNCTION too, or set OBJECTIVE in the space's file."
        )
    if {"space", "objective"} <= set(given) and config.objective is not None and ":" in config.objective:
        raise ConfigError(
            f"--space is {config.space!r} and --objective is {config.objective!r}, which is tuned in place of a space: "
            "give one of the two."
        )


def given_names(changes: Mapping[str, Any]) -> set[str]:
    """Return the names of the fields that (nested) changes set."""
    inner = (section for section in changes.values() if isinstance(section, Mapping))
    return set(changes).union(*inner)


def with_homes(config: StudyConfig) -> StudyConfig:
    """Return `config` with the user's home in place of `~` in its paths."""
    data, search = config.data, config.search
    return replace(
        config,
        space=at_home(config.space),
        storage=at_home(config.storage),
        data=replace(data, data_dir=data.data_dir and Path(at_home(str(data.data_dir)))),
        search=replace(search, warm_start=search.warm_start and at_home(search.warm_start)),
    )


def nested(values: Mapping[str, Any], source: str | None = None) -> dict[str, Any]:
    """Return values given by field name alone (`trials=64`) in their sections (`search: trials: 64`).

    Those that are in a section already stay there; `max-epochs` is `max_epochs`, as on the command line.

    Raises:
        ConfigError: if there is no such field, or a value is given twice; it names `source`, if there is one.
    """
    named = "" if source is None else f"{source}: "
    result: dict[str, Any] = {}
    for given, value in values.items():
        name = str(given).replace("-", "_")
        if name in _SECTIONS and isinstance(value, Mapping):
            for inner, inner_value in value.items():
                _put(result.setdefault(name, {}), str(inner).replace("-", "_"), inner_value, named)
        elif name in _SECTIONS or name in _TOP:
            _put(result, name, value, named)
        elif name in _SECTION_OF:
            section = _SECTION_OF[name]
            if not isinstance(inside := result.setdefault(section, {}), dict):
                raise ConfigError(f"{named}{section} is {inside!r}, but {name}, which is also given, belongs into it.")
            _put(inside, name, value, named)
        else:
            raise unknown_name(f"{named}an argument of the study", str(given), [*_TOP, *_SECTION_OF])
    return result


def _put(values: dict[str, Any], name: str, value: Any, named: str) -> None:
    if name in values:
        raise ConfigError(f"{named}{name} is given twice: {values[name]!r} and {value!r}.")
    values[name] = value


def _path_text(value: Any) -> str:
    if isinstance(value, Path):
        return str(value)
    raise TypeError(f"{value!r} is a {type(value).__name__}")


def _explain(error: ValidationError) -> str:
    """Return the first thing that is wrong, as a sentence."""
    first = error.errors()[0]
    names = [str(part) for part in first["loc"]]
    # Behind the field may stand which of several types was tried.
    place = first["loc"][: 2 if names[:1] and names[0] in _SECTIONS else 1]
    key = ".".join(names[: len(place)])
    if first["type"] == "unexpected_keyword_argument":
        known = [one.name for one in fields(_SECTIONS[names[0]])] if names[0] in _SECTIONS else [*_TOP, *_SECTION_OF]
        close = difflib.get_close_matches(names[-1], known, n=1)
        hint = f"did you mean {close[0]!r}?" if close else f"available: {', '.join(known)}."
        return f"{key} is not known; {hint}"
    if first["type"] == "dataclass_type":
        return f"{key} is {first['input']!r}, but must hold values by name."
    same = (one for one in error.errors() if one["loc"][: len(place)] == place)
    kinds = dict.fromkeys(_kind(one) for one in same)
    # By its name alone a field is known everywhere, as a flag and in a file; its section may not have been given.
    return f"{names[len(place) - 1] if names else key} is {first['input']!r}, but must be {' or '.join(kinds)}."


def _kind(error: Mapping[str, Any]) -> str:
    """Return what the value must be."""
    if error["type"] == "literal_error":
        return str(error["ctx"]["expected"])
    return _KINDS.get(error["type"], str(error["msg"]))


def _check_texts(values: Mapping[str, Any], prefix: str) -> None:
    """Raise ConfigError for a text that no file can hold, as the name of a file from a system without UTF-8 is."""
    for name, value in values.items():
        if isinstance(value, Mapping):
            _check_texts(value, prefix)
        elif not str(value).isascii():
            try:
                str(value).encode()
            except UnicodeEncodeError:
                raise ConfigError(f"{prefix}{name} is {value!r}, which is not UTF-8: give it another name.") from None


def read_file(path: Path) -> dict[str, Any]:
    """Return the content of a `.json`, `.toml` or `.yaml` configuration file.

    Raises:
        ConfigError: if it is missing, of another kind, not what its suffix says, or gives a key twice.
    """
    readers: dict[str, Callable[[str], Any]] = {
        ".json": lambda text: json.loads(text, object_pairs_hook=_once_each),
        ".toml": tomllib.loads,
        ".yaml": _load_yaml,
        ".yml": _load_yaml,
    }
    if path.suffix not in readers:
        raise ConfigError(f"--config is {str(path)!r}, but must end in one of: {', '.join(readers)}.")
    try:
        values = readers[path.suffix](path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"--config is {str(path)!r}, which cannot be read: {error.strerror}.") from error
    except _GivenTwiceError as error:
        raise ConfigError(
            f"--config is {str(path)!r}, which gives {error} twice, but must give each key once."
        ) from error
    except (ValueError, RecursionError, yaml.YAMLError) as error:
        reason = " ".join(str(error).split())
        raise ConfigError(f"--config is {str(path)!r}, which is not valid {path.suffix[1:]}: {reason}") from error
    if not isinstance(values, dict):
        raise ConfigError(f"--config is {str(path)!r}, but must hold a mapping of names to values.")
    return values


class _GivenTwiceError(Exception):
    """A key stands twice in one mapping, of which JSON and YAML would silently take the last; its text is the key."""


def _once_each(pairs: Sequence[tuple[Any, Any]]) -> dict[Any, Any]:
    """Return a mapping of these pairs; raises _GivenTwiceError."""
    _check_once(("", key) for key, _ in pairs)
    return dict(pairs)


def _load_yaml(text: str) -> Any:
    """Return plain values alone; of each mapping a key may be given once, but for what `<<` merges in."""
    loader = yaml.SafeLoader(text)
    root = loader.get_single_node()
    if root is None:
        return None
    waiting, seen = [root], set()
    while waiting:
        node = waiting.pop()
        if id(node) in seen or not isinstance(node.value, list):
            continue
        seen.add(id(node))  # an alias is the node itself
        if isinstance(node, yaml.MappingNode):
            keys = (key for key, _ in node.value if isinstance(key, yaml.ScalarNode))
            _check_once((key.tag, key.value) for key in keys if key.tag != _MERGE)
            waiting += [value for _, value in node.value]
        else:
            waiting += node.value
    return loader.construct_document(root)


def _check_once(keys: Iterable[tuple[str, str]]) -> None:
    """Raise _GivenTwiceError for the first of the keys, of a kind and a name, that stands there twice."""
    for (_, name), times in Counter(keys).items():
        if times > 1:
            raise _GivenTwiceError(repr(name))


def check(config: StudyConfig) -> None:
    """Raise ConfigError if a value breaks its law; spaces, models and data are looked for where they are loaded."""
    search, resources, retrain = config.search, config.resources, config.retrain
    _check_texts(asdict(config), "")
    check_searcher(search.searcher)
    check_scheduler(search.scheduler)
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
    if config.seed >= 2**_SEED_BITS:
        raise ConfigError(f"--seed is {config.seed}, but must be below 2**{_SEED_BITS}.")
    gpus = resources.gpus_per_trial
    if gpus != AUTO and gpus > 1 and gpus % 1 != 0:
        raise ConfigError(f"--gpus-per-trial is {gpus}, but above 1 must be a whole number.")
    if search.max_epochs is not None and search.min_epochs is not None and search.max_epochs < search.min_epochs:
        raise ConfigError(
            f"--max-epochs is {search.max_epochs}, but must be at least --min-epochs, which is {search.min_epochs}."
        )
    if retrain.keep == "ensemble" and retrain.retrain_seeds < 2:
        raise ConfigError(
            f"--keep is {retrain.keep!r}, but --retrain-seeds is {retrain.retrain_seeds}: give at least 2 seeds, or "
            "--keep single."
        )
    if search.stop_when_converged is not None and not 0 < search.stop_when_converged < math.inf:
        raise ConfigError(
            f"--stop-when-converged is {search.stop_when_converged}, but must be a finite number above 0."
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
    if search.warm_start is not None and not search.warm_start.startswith(SQLITE):
        check_location("--warm-start", search.warm_start)
    if config.name is not None and not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", config.name):
        raise ConfigError(f"--name is {config.name!r}, but must be letters, digits, '.', '_' and '-' alone.")


def parse_duration(argument: str, text: str) -> float:
    """Return the seconds of a duration such as `90s`, `30m`, `1.5h` or `1h30m`; raises ConfigError."""
    parts = re.findall(r"(\d+(?:\.\d+)?)([smh])", text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise ConfigError(f"{argument} is {text!r}, but must be a time such as 90s, 30m, 2h or 1h30m.")
    return sum(float(number) * _SECONDS[unit] for number, unit in parts)


def _absolute(path: str | Path) -> Path:
    return Path(path).absolute()


def _absolute_place(location: str) -> str:
    if location.startswith(SQLITE):
        return f"{SQLITE}{_absolute(location.removeprefix(SQLITE))}"
    return location if is_bucket(location) else str(_absolute(location))


def _merged(base: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in changes.items():
        nested = isinstance(value, Mapping) and isinstance(base.get(key), Mapping)
        merged[key] = _merged(base[key], value) if nested else value
    return merged
