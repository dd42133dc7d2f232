"""An Optuna objective goes through the whole job as it stands."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.commands import SMOKE
from tests.engine.killed import as_if_killed
from tuner import load_run, tune
from tuner.errors import ConfigError, SpaceError, TunerError
from tuner.journal.events import DriverStarted, EpochReported, ParamsAsked, TrialEnded, TrialProposed
from tuner.journal.history import read_history
from tuner.journal.store import read_journal
from tuner.loaded_run import LoadedRun
from tuner.paths import RunPaths
from tuner.replay import replay
from tuner.run import run as command
from tuner.search.trial import Origin, TrialState

OBJECTIVE = """
import optuna


def objective(trial):
    x = trial.suggest_float("x", -4.0, 4.0)
    if x > 2.0:
        raise optuna.TrialPruned("too far")
    width = 0.0
    for layer in range(trial.suggest_int("depth", 1, 2)):
        width += trial.suggest_float(f"width_{layer}", 0.0, 1.0)
    value = 100.0
    for step in range(5):
        value = value / 2 + x * x + width
        trial.report(value, step)
        if trial.should_prune():
            raise optuna.TrialPruned
    return value


def helper():
    return 1.0
"""
FEW: dict[str, Any] = {"preset": "smoke", "trials": 30, "max_epochs": 9, "retrain_seeds": 1, "workers": 1}


def written(folder: Path) -> str:
    path = folder / "train.py"
    path.write_text(OBJECTIVE)
    return f"{path}:objective"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> LoadedRun:
    folder = tmp_path_factory.mktemp("objective")
    few = [*SMOKE, "--trials", "30", "--max-epochs", "9", "--retrain-seeds", "1", "--in-process"]
    assert command([*few, "--objective", written(folder), "--storage", str(folder), "--name", "run"]) == 0
    return load_run(folder / "run")


def test_it_is_searched_stopped_early_and_its_winner_called_again(run: LoadedRun) -> None:
    trials = run.trials
    assert len(trials) == 30
    assert {"COMPLETE", "PRUNED"} <= set(trials["state"])
    assert len(run.epochs) < 30 * 5
    best = trials.sort_values("best_dev_value").iloc[0]
    assert best["state"] == "COMPLETE"
    assert run.final["value"].tolist() == [pytest.approx(best["best_dev_value"])]
    assert run.final["split"].tolist() == ["dev"]


def test_what_a_trial_trained_is_what_it_asked_for(run: LoadedRun) -> None:
    history = read_history(RunPaths(run.path).journal)
    for trial in history.trials.values():
        if trial.epochs:
            depth = trial.proposed.params["depth"]
            assert set(trial.proposed.hparams) == {"x", "depth", *(f"width_{layer}" for layer in range(depth))}
    assert run.trials["hp_width_1"].isna().any()


def test_once_parameters_are_known_the_model_proposes_them_jointly(run: LoadedRun) -> None:
    proposed = [
        entry.event for entry in read_journal(RunPaths(run.path).journal) if isinstance(entry.event, TrialProposed)
    ]
    assert proposed[0].params == {}
    informed = [one for one in proposed if one.origin is Origin.MODEL]
    assert len(informed) > 5
    for one in informed:
        assert set(one.params) == {"x", "depth", *(f"width_{layer}" for layer in range(one.params["depth"]))}
    assert {one.params["depth"] for one in informed} == {1, 2}


def test_one_that_prunes_itself_at_once_is_no_failure(run: LoadedRun) -> None:
    events = [entry.event for entry in read_journal(RunPaths(run.path).journal)]
    ends = [event for event in events if isinstance(event, TrialEnded) and "too far" in event.reason]
    assert {end.state for end in ends} == {TrialState.PRUNED}
    assert "FAILED" not in set(run.trials["state"])


def test_an_objective_that_prunes_itself_in_most_of_its_space_is_searched_all_the_same(tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text(OBJECTIVE.replace("x > 2.0", "x > -2.0"))
    where: dict[str, Any] = {"objective": f"{tmp_path / 'train.py'}:objective", "storage": str(tmp_path), "name": "run"}
    run = tune(**FEW, **where, direction="minimize", in_process=True)
    assert run.trials["reason"].str.contains("too far").sum() > 5
    assert run.final["value"].notna().all()


def test_where_every_trial_prunes_itself_at_once_it_is_said_that_none_is_possible(tmp_path: Path) -> None:
    measured = tmp_path / "measured"
    source = OBJECTIVE.replace("x > 2.0", "MEASURED.exists()")
    source = source.replace("    width = 0.0\n", "    MEASURED.touch()\n    width = 0.0\n")
    (tmp_path / "train.py").write_text(f"from pathlib import Path\n\nMEASURED = Path({str(measured)!r})\n{source}")
    where: dict[str, Any] = {"objective": f"{tmp_path / 'train.py'}:objective", "storage": str(tmp_path), "name": "run"}
    with pytest.raises(TunerError, match=r"no trial had a configuration that is possible; the last of 30 is .*too far"):
        tune(**FEW, **where, direction="minimize", in_process=True)


def test_every_decision_is_derived_again(run: LoadedRun) -> None:
    assert replay(run.path)["TrialProposed"] == 30


def test_a_killed_study_goes_on_and_nothing_is_counted_twice(run: LoadedRun, tmp_path: Path) -> None:
    """A call cannot be taken up in the middle, so it begins again."""
    paths = RunPaths(shutil.copytree(run.path, tmp_path / "run"))
    as_if_killed(paths)
    assert command(["--resume", str(paths.root)]) == 0
    events = [entry.event for entry in read_journal(paths.journal)]
    assert sum(isinstance(event, DriverStarted) for event in events) == 2
    reported = [(event.trial, event.epoch) for event in events if isinstance(event, EpochReported)]
    assert len(reported) == len(set(reported))
    asked = [event.trial for event in events if isinstance(event, ParamsAsked)]
    assert len(asked) == len(set(asked))
    resumed = load_run(paths.root)
    assert len(resumed.trials) == 30
    assert len(resumed.final) == 1
    replay(paths.root)


def test_a_warm_start_is_refused_for_what_it_would_fit_to_is_not_known(run: LoadedRun, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="known only as it runs"):
        tune(**FEW, storage=str(tmp_path), objective=written(tmp_path), warm_start=str(run.path), in_process=True)


@pytest.mark.parametrize("function", ["objectiv", "optuna"])
def test_a_function_that_is_not_there_is_refused_with_those_that_are(tmp_path: Path, function: str) -> None:
    address = written(tmp_path).replace(":objective", f":{function}")
    with pytest.raises(SpaceError, match=r"no such function; there are: helper, objective\."):
        tune(**FEW, storage=str(tmp_path / "runs"), objective=address, in_process=True)


def test_a_direction_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="direction"):
        tune(**FEW, storage=str(tmp_path / "runs"), objective=written(tmp_path), direction="down")
