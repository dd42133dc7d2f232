from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import optuna
import pandas as pd
import pytest
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

from tuner.config import DEFAULT_OBJECTIVE
from tuner.errors import ConfigError
from tuner.journal.events import WarmStarted, from_record, to_record
from tuner.journal.history import History
from tuner.results.earlier import read_earlier
from tuner.results.foreign import is_foreign, taken
from tuner.results.optuna_study import to_study
from tuner.search.earlier import WarmStart
from tuner.search.objective import Direction
from tuner.search.registry import build_search
from tuner.search.space import SearchSpace, space_of
from tuner.search.trial import Origin
from tuner.search.warm_start import FOREIGN_STARTS

HERE = {"data_hashes": {"train": "1"}, "model": "cnn"}


def _suggest(trial: Any) -> dict[str, Any]:
    return {
        "lr": trial.suggest_float("lr", 1e-4, 1.0, log=True),
        "kind": trial.suggest_categorical("kind", ["a", "b"]),
        "depth": trial.suggest_int("depth", 1, 8),
    }


@pytest.fixture
def space() -> SearchSpace:
    return space_of("mine", {"suggest": _suggest, "START": [{"lr": 0.5, "kind": "a", "depth": 4}]})


def _fill(storage: Any, name: str = "theirs", direction: Direction = "maximize") -> None:
    """Eight trials that are complete, of which the first is the worst; one that is pruned, and one that failed."""
    study = optuna.create_study(storage=storage, study_name=name, direction=direction)
    for number in range(10):
        trial = study.ask()
        trial.suggest_float("lr", 1e-3, 0.9)
        trial.suggest_categorical("kind", ["a", "b"])
        trial.suggest_float("momentum", 0.0, 1.0)
        if number < 8:
            study.tell(trial, number / 10)
        else:
            study.tell(trial, state=[optuna.trial.TrialState.PRUNED, optuna.trial.TrialState.FAIL][number - 8])


def _sqlite(folder: Path) -> str:
    _fill(f"sqlite:///{folder}/study.db")
    return f"sqlite:///{folder}/study.db"


def _sqlite_file(folder: Path) -> str:
    return _sqlite(folder).removeprefix("sqlite:///")


def _journal(folder: Path) -> str:
    _fill(JournalStorage(JournalFileBackend(f"{folder}/journal.log")))
    return f"{folder}/journal.log"


def _frame() -> pd.DataFrame:
    rows = [{"params_lr": 0.1 * (n + 1), "params_kind": "b", "value": n / 10, "state": "COMPLETE"} for n in range(8)]
    rows += [{"params_lr": 0.5, "params_kind": "b", "value": None, "state": state} for state in ("PRUNED", "FAIL")]
    return pd.DataFrame(rows).assign(params_momentum=0.9)


def _csv(folder: Path) -> str:
    _frame().to_csv(folder / "trials.csv", index=False)
    return f"{folder}/trials.csv"


def _parquet(folder: Path) -> str:
    _frame().to_parquet(folder / "trials.parquet")
    return f"{folder}/trials.parquet"


def _read(source: str, **here: Any) -> WarmStarted:
    return read_earlier(source, {**HERE, **here}, 10, {}, DEFAULT_OBJECTIVE)


@pytest.mark.parametrize("make", [_sqlite, _sqlite_file, _journal, _csv, _parquet])
def test_another_tools_results_are_starts_and_no_knowledge(
    make: Callable[[Path], str], tmp_path: Path, space: SearchSpace
) -> None:
    found = _read(make(tmp_path))
    known = found.warm_start()
    assert (len(known.trials), known.reusable, known.comparable) == (8, False, False)
    assert found.left == {"failed, were stopped or had not ended": 2}
    assert all(trial.params.keys() == {"lr", "kind", "momentum"} for trial in known.trials)
    sentence = taken(found, space)
    assert "of the 10 configurations of --warm-start" in sentence
    assert "Taken: kind, lr. Not in the space: momentum." in sentence
    assert "2 that failed, were stopped or had not ended" in sentence


def _first_proposals(space: SearchSpace, warm_start: WarmStart | None) -> list[tuple[float, Origin]]:
    search = build_search(
        space,
        searcher="gp",
        scheduler="asha-promote",
        min_epochs=1,
        max_epochs=9,
        reduction_factor=3,
        startup_trials=None,
        max_trials=8,
        warm_start=warm_start,
        objectives=(DEFAULT_OBJECTIVE,),
        seed=0,
    )
    proposals = [search.next_trial() for _ in range(FOREIGN_STARTS + 2)]
    return [(one.params["lr"], one.origin) for one in proposals if one is not None]


def test_the_best_are_tried_behind_the_reference_and_the_rest_is_drawn_as_in_a_cold_start(
    tmp_path: Path, space: SearchSpace
) -> None:
    proposals = _first_proposals(space, _read(_csv(tmp_path)).warm_start())
    assert [round(lr, 6) for lr, _ in proposals[:-1]] == [0.5, 0.8, 0.7, 0.6, 0.5, 0.4]
    assert [origin for _, origin in proposals] == [Origin.START] * (1 + FOREIGN_STARTS) + [Origin.RANDOM]


def test_a_journal_keeps_it_and_an_older_one_is_of_a_run_of_our_own(tmp_path: Path) -> None:
    record = to_record(_read(_csv(tmp_path)))
    event = from_record(record)
    assert isinstance(event, WarmStarted)
    assert not event.warm_start().comparable
    older = from_record({name: value for name, value in record.items() if name not in ("comparable", "left")})
    assert isinstance(older, WarmStarted)
    assert older.warm_start().comparable


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("lr,accuracy\n0.1,0.5\n", "has no column 'dev_accuracy' and none called 'value'.*there are: lr, accuracy"),
        ("lr,value\n0.1,\n", "nothing there has a result: 1 have no value"),
        ("", "cannot be read as a table"),
    ],
)
def test_a_table_that_says_too_little_is_refused(content: str, sentence: str, tmp_path: Path) -> None:
    path = tmp_path / "theirs.csv"
    path.write_text(content)
    with pytest.raises(ConfigError, match=sentence):
        _read(str(path))


def test_a_column_of_the_objectives_name_goes_before_others(tmp_path: Path) -> None:
    path = tmp_path / "theirs.csv"
    path.write_text("config/lr,value,dev_accuracy\n0.1,7,0.5\n")
    (trial,) = _read(str(path)).warm_start().trials
    assert trial.epochs[0].metrics == {"dev_accuracy": 0.5}
    assert trial.params["lr"] == 0.1


@pytest.mark.parametrize("make", [_sqlite, _sqlite_file, _journal])
def test_of_several_studies_one_is_named(make: Callable[[Path], str], tmp_path: Path) -> None:
    source = make(tmp_path)
    _fill(
        JournalStorage(JournalFileBackend(source)) if make is _journal else f"sqlite:///{tmp_path}/study.db", "second"
    )
    with pytest.raises(ConfigError, match=r"holds the studies theirs, second: say which, as in .*\.\w+#theirs"):
        _read(source)
    assert len(_read(f"{source}#second").warm_start().trials) == 8
    with pytest.raises(ConfigError, match="but the studies there are: theirs, second"):
        _read(f"{source}#third")


def test_a_storage_that_cannot_serve_says_why(tmp_path: Path, finished: History) -> None:
    with pytest.raises(ConfigError, match=r"but there is no file nowhere\.db"):
        _read("sqlite:///nowhere.db")
    _fill(f"sqlite:///{tmp_path}/low.db", direction="minimize")
    with pytest.raises(ConfigError, match="whose study is to minimize, but the objective dev_accuracy is to maximize"):
        _read(f"sqlite:///{tmp_path}/low.db")
    to_study(finished, f"sqlite:///{tmp_path}/ours.db")
    with pytest.raises(ConfigError, match="was exported from a run: give that run's folder"):
        _read(f"sqlite:///{tmp_path}/ours.db")
    (tmp_path / "broken.db").write_bytes(b"SQLite format 3\0 and no more")
    with pytest.raises(ConfigError, match="cannot be read as an Optuna storage"):
        _read(f"{tmp_path}/broken.db")


def test_what_is_read_is_left_as_it_was(tmp_path: Path) -> None:
    for source in (_sqlite_file(tmp_path), _journal(tmp_path)):
        before = Path(source).read_bytes()
        _read(source)
        assert Path(source).read_bytes() == before


def test_a_runs_folder_is_our_own(tmp_path: Path) -> None:
    assert not is_foreign(str(tmp_path))
    assert not is_foreign(str(tmp_path / "nothing"))
