"""Reading what another tool has found, for `--warm-start`: an Optuna storage, or a table in CSV or Parquet.

Nobody can tell that the same code made such results on the same data, so they are no knowledge for the searcher: its
model learns nothing from them, and no training is spared. They only say which configurations to try early.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import csv

from tuner.errors import ConfigError
from tuner.journal.events import WarmStarted
from tuner.paths import SQLITE
from tuner.results.found import Found
from tuner.search.earlier import EarlierEpoch, EarlierTrial
from tuner.search.objective import Objective
from tuner.search.space import SearchSpace
from tuner.search.trial import TrialState
from tuner.search.warm_start import FOREIGN_STARTS, fit_to_space

_JOURNAL_BEGINS = b'{"op_code"'
_SQLITE_BEGINS = b"SQLite format 3\0"
_VALUES = ("value", "values_0")
"""Columns with the objective's value if none has its name: those of Optuna's own tables."""
_STATE = "state"
_DONE = ("COMPLETE", "COMPLETED", "FINISHED", "TERMINATED")
"""States, in any case, of a trial with a result, as Optuna, Ray Tune, MLflow and others write them."""
_PREFIXES = ("params_", "params.", "param_", "config/", "config.", "hparams.", "hp_")
"""What other tools put before a parameter's name: Optuna, MLflow, scikit-learn, Ray Tune and our own tables."""


def is_foreign(source: str) -> bool:
    """Return whether a warm start's source is another tool's, by its name and first bytes."""
    if source.startswith(SQLITE):
        return True
    path = _file_of(source)
    if not path.is_file():
        return False
    if path.suffix == ".parquet":
        return not _is_ours(path)
    return path.suffix == ".csv" or _begins_with(path, _SQLITE_BEGINS) or _begins_with(path, _JOURNAL_BEGINS)


def read_foreign(source: str, defaults: Mapping[str, Any], objective: Objective) -> WarmStarted:
    """Return the results that `source` names as the start of a run with this `objective`.

    Raises:
        ConfigError: if they cannot be read, hold no result, or are of another objective.
    """
    found = _read(source, objective)
    if not found.results:
        left = ", ".join(f"{count} {reason}" for reason, count in found.left.items()) or "it is empty"
        raise ConfigError(f"--warm-start is {source!r}, but nothing there has a result: {left}.")
    trials = [_trial(number, params, value, objective) for number, (params, value) in enumerate(found.results)]
    return WarmStarted(source, trials, defaults, reusable=False, comparable=False, left=dict(found.left))


def taken(found: WarmStarted, space: SearchSpace) -> str:
    """Return in a sentence or two what a run over `space` takes from another tool's results, and what it leaves."""
    known = found.warm_start().trials
    fitted = fit_to_space(space, found.warm_start())
    there = set().union(*(trial.params for trial in known))
    used = {name for one in fitted for name in one.searched}
    left = Counter(found.left) + Counter({"do not fit the space": len(known) - len(fitted)})
    sentences = [
        (
            f"of the {len(known) + sum(found.left.values())} configurations of --warm-start {found.source!r} the best "
            f"{min(FOREIGN_STARTS, len(fitted))} that fit are tried early; their results teach the search nothing, for "
            "nobody can tell that the same code made them on the same data."
        ),
        f"Taken: {', '.join(sorted(used))}.",
    ]
    if there - used:
        sentences.append(f"Not in the space: {', '.join(sorted(there - used))}.")
    if left:
        sentences.append(f"Left: {', '.join(f'{count} that {reason}' for reason, count in left.items())}.")
    return " ".join(sentences)


def _read(source: str, objective: Objective) -> Found:
    path = _file_of(source)
    if source.startswith(SQLITE) or not path.suffix.endswith(("csv", "parquet")):
        from tuner.results.optuna_trials import read_storage  # which waits for Optuna

        return read_storage(
            source, is_journal=path.is_file() and _begins_with(path, _JOURNAL_BEGINS), objective=objective
        )
    return _of_table(source, _table(path), objective)


def _file_of(source: str) -> Path:
    """Return the file that a source names, which may have the name of a study behind it."""
    path = Path(source)
    return path if path.is_file() else Path(source.partition("#")[0])


def _of_table(source: str, table: pa.Table, objective: Objective) -> Found:
    columns = [name for name in (objective.metric, *_VALUES) if name in table.column_names]
    if not columns:
        raise ConfigError(
            f"--warm-start is {source!r}, which has no column {objective.metric!r} and none called 'value' with the "
            f"objective; there are: {', '.join(table.column_names)}."
        )
    found = Found()
    for row in table.to_pylist():
        value = row.pop(columns[0])
        state = row.pop(_STATE, None)
        params = {_param(name): cell for name, cell in row.items() if cell is not None}
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        found.add(params, float(value) if is_number else None, done=state is None or str(state).upper() in _DONE)
    return found


def _param(column: str) -> str:
    return next((column.removeprefix(one) for one in _PREFIXES if column.startswith(one)), column)


def _table(path: Path) -> pa.Table:
    try:
        with path.open("rb") as handle:
            return csv.read_csv(handle) if path.suffix == ".csv" else pq.read_table(handle)
    # Damage makes Arrow raise almost anything.
    except Exception as error:
        reason = " ".join(str(error).split())
        raise ConfigError(f"--warm-start is {str(path)!r}, which cannot be read as a table: {reason}") from error


def _is_ours(path: Path) -> bool:
    """Return whether a Parquet file is a table of a run's, or cannot be read, which `read_earlier` then says."""
    try:
        with path.open("rb") as handle:
            known = pq.read_schema(handle)
    except Exception:  # damage makes Arrow raise almost anything
        return True
    return b"schema_version" in (known.metadata or {}) or "hparams" in known.names


def _begins_with(path: Path, content: bytes) -> bool:
    try:
        with path.open("rb") as handle:
            return handle.read(len(content)) == content
    except OSError:
        return False


def _trial(number: int, params: Mapping[str, Any], value: float, objective: Objective) -> dict[str, Any]:
    """Return it as `WarmStarted` holds trials; its one epoch stands for its result, however that was trained."""
    epoch = EarlierEpoch(1, {objective.metric: value}, 0.0, "another tool")
    trial = EarlierTrial(number, dict(params), dict(params), 0, TrialState.COMPLETE, [epoch], stalled=False)
    return asdict(trial) | {"state": trial.state.value}
