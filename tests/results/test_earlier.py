from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from tests.metrics import metrics
from tuner.config import DEFAULT_OBJECTIVE
from tuner.errors import ConfigError, JournalError
from tuner.io.mirror import Mirror
from tuner.journal.events import (
    DriverStarted,
    EpochReported,
    Event,
    ModelMeasured,
    PlanMade,
    RungDecided,
    StudyStarted,
    TrialEnded,
    TrialProposed,
    WarmStarted,
)
from tuner.journal.history import read_history
from tuner.paths import RunPaths
from tuner.results.earlier import read_earlier, unmeasured
from tuner.results.tables import write_tables
from tuner.search.earlier import EarlierEpoch
from tuner.search.objective import LATENCY, NUM_PARAMS
from tuner.search.scheduler import after_all
from tuner.search.trial import Origin, TrialState

HERE = {"data_hashes": {"train": "1", "dev": "2"}, "model": "cnn"}
PATIENCE = 2
DEFAULTS = {"decay": 0.1}


def report(trial: int, epoch: int, dev_accuracy: float) -> EpochReported:
    """Of the first trial an epoch takes two seconds, of the second six."""
    seconds = 2.0 + 4.0 * trial
    return EpochReported(
        trial, epoch, metrics(0.6, 0.8, 0.5, dev_accuracy, 0.01), seconds, "desk:1", finished=epoch == 3
    )


def proposed(trial: int, width: float) -> TrialProposed:
    params = {"width": width, "kind": "a"}
    return TrialProposed(trial, params, {}, {"widths": [8, 16], "mixed": trial or "zero"}, Origin.RANDOM, 100 + trial)


def events(
    environment: dict[str, Any], rungs: list[int], trials: int = 3, plan: dict[str, Any] | None = None
) -> list[Event]:
    """A trial that made no progress for two epochs, one that was pruned, one that has not begun."""
    everything: list[Event] = [
        proposed(0, 0.5),
        ModelMeasured(0, {"num_params": 7850.0, "latency": 0.002}),
        report(0, 1, 0.9),
        report(0, 2, 0.8),
        report(0, 3, 0.7),
        TrialEnded(0, TrialState.COMPLETE, "no better dev accuracy since epoch 1"),
        proposed(1, 1.0),
        report(1, 1, 0.6),
        RungDecided(1, 1, "STOP", "0.6 < 0.9"),
        TrialEnded(1, TrialState.PRUNED, "0.6 < 0.9"),
        proposed(2, 1.5),
    ]
    opening = StudyStarted({"search": {"patience": PATIENCE}, "data": {"dataset": "digits"}}, environment)
    kept = [event for event in everything if getattr(event, "trial", 0) < trials]
    return [opening, DriverStarted("desk", None), PlanMade({"rungs": rungs} | (plan or {})), *kept]


@pytest.fixture
def earlier(run_folder: Callable[[Sequence[Event]], RunPaths]) -> Callable[..., RunPaths]:
    """Write an earlier run's journal and tables."""

    def write(
        environment: dict[str, Any] = HERE,
        rungs: list[int] | None = None,
        trials: int = 3,
        plan: dict[str, Any] | None = None,
    ) -> RunPaths:
        paths = run_folder(events(environment, rungs or [1, 9], trials, plan))
        write_tables(read_history(paths.journal), paths)
        return paths

    return write


def read(
    path: Path,
    patience: int = PATIENCE,
    here: dict[str, Any] = HERE,
    reference: dict[str, Any] | None = None,
) -> WarmStarted:
    return read_earlier(str(path), here, patience, DEFAULTS, DEFAULT_OBJECTIVE, reference)


def test_a_run_is_read_from_its_journal(earlier: Callable[..., RunPaths]) -> None:
    found = read(earlier().root)
    assert (found.defaults, found.reusable) == (DEFAULTS, True)
    stalled, pruned, begun = found.warm_start().trials
    assert stalled.params == {"width": 0.5, "kind": "a"}
    assert stalled.hparams == {"widths": [8, 16], "mixed": "zero"}
    assert (stalled.seed, stalled.state, stalled.stalled) == (100, TrialState.COMPLETE, True)
    assert stalled.epochs[1] == EarlierEpoch(2, metrics(0.6, 0.8, 0.5, 0.8), 2.0, "desk:1")
    assert (pruned.number, pruned.state, pruned.stalled, len(pruned.epochs)) == (1, TrialState.PRUNED, False, 1)
    assert (begun.state, list(begun.epochs)) == (TrialState.RUNNING, [])


MACHINE = {"cpu": "a fast one", "gpus": [], "precision": "bfloat16"}


@pytest.mark.parametrize("form", ["folder", "tables"])
def test_parameters_are_taken_over_and_a_latency_if_it_was_measured_on_such_hardware(
    earlier: Callable[..., RunPaths], form: str
) -> None:
    paths = earlier(HERE | MACHINE)
    path = paths.root if form == "folder" else paths.trials

    def measures(here: dict[str, Any]) -> list[Mapping[str, float]]:
        return [trial.measures for trial in read(path, here=here).warm_start().trials]

    assert measures(HERE | MACHINE) == [{"num_params": 7850.0, "latency": 0.002}, {}, {}]
    for other in ({"cpu": "a slow one"}, {"gpus": ["a GPU"]}, {"precision": "float32"}, {"cpu": None}):
        assert measures(HERE | MACHINE | other) == [{"num_params": 7850.0}, {}, {}]
    assert measures(HERE) == [{"num_params": 7850.0}, {}, {}]


def test_tables_from_before_anything_was_measured_are_read(earlier: Callable[..., RunPaths]) -> None:
    paths = earlier()
    old = pq.read_table(paths.trials).drop_columns(["num_params", "latency_seconds", "on_front"])
    pq.write_table(old, paths.trials)
    assert [trial.measures for trial in read(paths.trials).warm_start().trials] == [{}, {}, {}]


def test_tables_of_the_first_version_are_read_which_had_another_name_for_the_parameters(
    earlier: Callable[..., RunPaths],
) -> None:
    paths = earlier()
    table = pq.read_table(paths.trials)
    old = ["model_params" if name == "num_params" else name for name in table.column_names]
    pq.write_table(table.rename_columns(old).replace_schema_metadata(table.schema.metadata), paths.trials)
    measures = [trial.measures for trial in read(paths.trials).warm_start().trials]
    assert measures == [{"num_params": 7850.0}, {}, {}]


@pytest.mark.parametrize("form", ["folder", "tables"])
def test_what_a_trial_cost_is_told_in_epochs_of_the_first_configuration(
    earlier: Callable[..., RunPaths], form: str
) -> None:
    unit = {"seconds_per_epoch": 8.0}
    first, second = ({"widths": [8, 16], "mixed": mixed} for mixed in ("zero", 1))

    def costs(
        reference: dict[str, Any] | None, plan: dict[str, Any] = unit, here: dict[str, Any] = HERE | MACHINE
    ) -> list[float | None]:
        paths = earlier(HERE | MACHINE, plan=plan)
        found = read(paths.root if form == "folder" else paths.trials, here=here, reference=reference)
        return [trial.relative_cost for trial in found.warm_start().trials]

    in_its_own = [1.0, 3.0, None]  # the second's epoch took three times the first's, and the third has not begun
    assert costs(first) == in_its_own
    assert costs(first | DEFAULTS) == in_its_own
    assert costs(second) == [pytest.approx(1 / 3), 1.0, None]
    assert costs(first, here=HERE | MACHINE | {"cpu": "a slow one"}) == in_its_own
    for unknown in (
        costs(first, plan={}),
        costs(None),
        costs({"widths": [64]}),  # which was not trained there
        costs(first, here=HERE | MACHINE | {"gpus": ["a GPU"]}),
        costs(first, here=HERE),
    ):
        assert unknown == [None, None, None]


@pytest.mark.parametrize("form", ["folder", "tables"])
def test_what_a_trial_cost_is_told_by_the_cheaper_of_its_first_two_epochs_as_here(
    run_folder: Callable[[Sequence[Event]], RunPaths], form: str
) -> None:
    def cold(event: Event) -> Event:
        if isinstance(event, EpochReported) and event.trial == 0:
            return replace(event, seconds={1: 10.0, 2: 2.0, 3: 1.0}[event.epoch])
        return event

    here, first = HERE | MACHINE, {"widths": [8, 16], "mixed": "zero"}
    paths = run_folder([cold(event) for event in events(here, [1, 9], plan={"seconds_per_epoch": 4.0})])
    write_tables(read_history(paths.journal), paths)
    path = paths.root if form == "folder" else paths.trials
    found = read(path, here=here, reference=first).warm_start().trials
    assert [trial.relative_cost for trial in found] == [1.0, 3.0, None]
    found = read(path, here=here, reference=first | {"mixed": 1}).warm_start().trials
    assert [trial.relative_cost for trial in found] == [pytest.approx(1 / 3), 1.0, None]


def test_what_was_taken_over_keeps_what_it_cost_where_it_was_trained(
    run_folder: Callable[[Sequence[Event]], RunPaths],
) -> None:
    def taken_over(event: Event) -> Event:
        if isinstance(event, EpochReported) and event.trial == 0:
            return replace(event, reused=True, relative_cost=0.7)
        return event

    here = HERE | MACHINE
    known = [taken_over(event) for event in events(here, [1, 9], plan={"seconds_per_epoch": 6.0})]
    found = read(run_folder(known).root, here=here, reference={"widths": [8, 16], "mixed": 1})
    assert [trial.relative_cost for trial in found.warm_start().trials] == [0.7, 1.0, None]


def test_a_sentence_tells_how_many_trials_inform_no_model_of_the_objectives(earlier: Callable[..., RunPaths]) -> None:
    found = read(earlier().root)
    assert unmeasured(found, (DEFAULT_OBJECTIVE,)) is None
    of_params = unmeasured(found, (DEFAULT_OBJECTIVE, NUM_PARAMS))
    assert of_params is not None
    assert of_params.startswith("2 of the 3 trials of --warm-start '")
    assert of_params.endswith("' do not inform the search, for want of num_params: not measured, or on other hardware.")
    of_both = unmeasured(found, (DEFAULT_OBJECTIVE, NUM_PARAMS, LATENCY))
    assert of_both is not None
    assert of_both.startswith("3 of the 3 trials")
    assert "for want of latency and num_params:" in of_both


def test_the_tables_alone_tell_the_same_as_the_journal(earlier: Callable[..., RunPaths], tmp_path: Path) -> None:
    paths = earlier()
    for table in (paths.trials, paths.epochs):
        shutil.copy(table, tmp_path)
    assert read(tmp_path / "trials.parquet").trials == read(paths.root).trials


def test_a_training_that_had_all_its_epochs_has_not_stalled(earlier: Callable[..., RunPaths]) -> None:
    assert not read(earlier(rungs=[1, 3]).root).warm_start().trials[0].stalled


@pytest.mark.parametrize("form", ["folder", "tables"])
def test_a_dear_trial_that_had_all_its_fewer_epochs_has_not_stalled(
    run_folder: Callable[[Sequence[Event]], RunPaths], form: str
) -> None:
    completed = TrialEnded(0, TrialState.COMPLETE, after_all("dev accuracy 0.7", 3))
    changed = [completed if isinstance(one, TrialEnded) and one.trial == 0 else one for one in events(HERE, [1, 9])]
    paths = run_folder(changed)
    write_tables(read_history(paths.journal), paths)
    assert not read(paths.root if form == "folder" else paths.trials).warm_start().trials[0].stalled


def test_a_cheap_trial_that_had_more_epochs_than_the_last_rung_says_may_have_stalled(
    earlier: Callable[..., RunPaths],
) -> None:
    by_cost = {"seconds_per_epoch": 8.0, "cost_exponent": 1.0}
    paths = earlier(rungs=[1, 3], plan=by_cost)
    for path in (paths.root, paths.trials):
        assert read(path).warm_start().trials[0].stalled


def test_what_stalled_for_an_impatient_run_may_go_on_in_a_patient_one(earlier: Callable[..., RunPaths]) -> None:
    root = earlier().root
    stalled = [read(root, patience).warm_start().trials[0].stalled for patience in (1, 2, 3)]
    assert stalled == [True, True, False]


def test_results_of_another_model_inform_but_stand_for_no_training(earlier: Callable[..., RunPaths]) -> None:
    assert not read(earlier().root, here=HERE | {"model": "mlp of 5ha"}).reusable


@pytest.mark.parametrize("form", ["folder", "tables"])
@pytest.mark.parametrize("environment", [{}, {"data_hashes": {"train": "other"}}])
def test_a_run_on_other_data_is_refused(
    earlier: Callable[..., RunPaths], form: str, environment: dict[str, Any]
) -> None:
    paths = earlier(environment)
    with pytest.raises(ConfigError, match=r"trained on other data .*: results on two data sets cannot"):
        read(paths.root if form == "folder" else paths.trials)


def test_a_run_without_a_result_is_refused(earlier: Callable[..., RunPaths]) -> None:
    with pytest.raises(ConfigError, match="no trial there has finished an epoch"):
        read(earlier(trials=0).root)


def test_what_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"--warm-start is '.*nowhere', but there is no such folder or file"):
        read(tmp_path / "nowhere")
    with pytest.raises(JournalError, match="holds no journal"):
        read(tmp_path)


def test_a_file_that_is_no_table_is_refused(tmp_path: Path) -> None:
    (tmp_path / "trials.parquet").write_text("trial,accuracy\n")
    with pytest.raises(ConfigError, match="cannot be read as a table"):
        read(tmp_path / "trials.parquet")


def test_a_table_without_the_epochs_beside_it_is_refused(earlier: Callable[..., RunPaths]) -> None:
    paths = earlier()
    paths.epochs.unlink()
    with pytest.raises(ConfigError, match=r"epochs\.parquet cannot be read as a table"):
        read(paths.trials)


def test_a_table_of_another_kind_is_refused_with_the_column_it_lacks(earlier: Callable[..., RunPaths]) -> None:
    paths = earlier()
    with pytest.raises(ConfigError, match=r"epochs\.parquet has no column 'params'"):
        read(paths.epochs)
    pq.write_table(pq.read_table(paths.trials).drop_columns(["params"]), paths.trials)
    with pytest.raises(ConfigError, match=r"trials\.parquet has no column 'params'"):
        read(paths.trials)


def test_a_table_that_does_not_say_on_what_it_was_trained_is_refused(earlier: Callable[..., RunPaths]) -> None:
    paths = earlier()
    pq.write_table(pq.read_table(paths.trials).replace_schema_metadata({}), paths.trials)
    with pytest.raises(ConfigError, match="does not say on what data it was trained"):
        read(paths.trials)


def test_a_run_in_a_bucket_is_read_from_its_journal_and_its_tables_there(
    earlier: Callable[..., RunPaths], bucket: str
) -> None:
    paths = earlier()
    address = f"{bucket}/runs/a"
    Mirror(RunPaths(paths.root, address)).push()
    for source in (address, f"{address}/trials.parquet"):
        found = read_earlier(source, HERE, PATIENCE, DEFAULTS, DEFAULT_OBJECTIVE)
        assert found.source == source
        assert found.trials == read(paths.root).trials
    with pytest.raises(JournalError, match="some-bucket/runs/b holds no run"):
        read_earlier(f"{bucket}/runs/b", HERE, PATIENCE, DEFAULTS, DEFAULT_OBJECTIVE)
