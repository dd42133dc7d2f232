"""Reading the trials of an Optuna storage that this program did not write."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import optuna
from optuna.storages import BaseStorage, JournalStorage, RDBStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import TrialState

from tuner.errors import ConfigError
from tuner.paths import SQLITE
from tuner.results.found import Found
from tuner.results.optuna_study import CONDITIONS
from tuner.search.objective import Objective


def read_storage(source: str, *, is_journal: bool, objective: Objective) -> Found:
    """Return the finished trials of a study in a SQLite file or, if it `is_journal`, one of Optuna's journal files.

    `source` is a path or `sqlite:///PATH`; with several studies `#NAME` behind it says which.

    Raises:
        ConfigError: if there is no such file or study, it cannot be read, or it is of another objective.
    """
    place, _, name = source.removeprefix(SQLITE).partition("#")
    if not Path(place).is_file():
        raise ConfigError(f"--warm-start is {source!r}, but there is no file {place}.")
    try:
        storage = JournalStorage(JournalFileBackend(place)) if is_journal else _sqlite(place)
        study = _study(source, storage, name)
    except ConfigError:
        raise
    except Exception as error:  # what a damaged or a newer file makes of it
        reason = " ".join(str(error).split())
        raise ConfigError(f"--warm-start is {source!r}, which cannot be read as an Optuna storage: {reason}") from error
    if len(study.directions) > 1:
        raise ConfigError(f"--warm-start is {source!r}, whose study has several objectives, but must have one.")
    if study.direction.name.lower() != objective.direction:
        raise ConfigError(
            f"--warm-start is {source!r}, whose study is to {study.direction.name.lower()}, but the objective "
            f"{objective.metric} is to {objective.direction}."
        )
    if CONDITIONS in study.user_attrs:
        raise ConfigError(
            f"--warm-start is {source!r}, which was exported from a run: give that run's folder, whose results teach "
            "the search too."
        )
    found = Found()
    for trial in study.get_trials(deepcopy=False):
        found.add(trial.params, trial.value, done=trial.state is TrialState.COMPLETE)
    return found


def _sqlite(place: str) -> RDBStorage:
    return RDBStorage(f"{SQLITE}{place}", skip_table_creation=True)


def _study(source: str, storage: BaseStorage, name: str) -> Any:
    names = [study.study_name for study in storage.get_all_studies()]
    if name and name not in names:
        raise ConfigError(f"--warm-start is {source!r}, but the studies there are: {', '.join(names)}.")
    if not names or (not name and len(names) > 1):
        there = f"holds the studies {', '.join(names)}: say which, as in {source}#{names[0]}." if names else "is empty."
        raise ConfigError(f"--warm-start is {source!r}, which {there}")
    return optuna.load_study(study_name=name or names[0], storage=storage)
