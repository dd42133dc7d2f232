"""A training of one's own goes through the whole job, as a class with a state and as a generator without one."""

from __future__ import annotations

import dataclasses
import os
import signal
from pathlib import Path
from typing import Any

import pytest

from tests.commands import SMOKE, Running
from tests.engine import own_task
from tests.engine.killed import as_if_killed
from tuner import Dataset, Objective, load_run, tune
from tuner.engine.throughput import evaluation_notice
from tuner.errors import ConfigError, DataError, SpaceError, StorageError, TunerError
from tuner.journal.events import (
    DriverStarted,
    EpochReported,
    Event,
    RetrainEpochReported,
    SearchEnded,
    TrialProposed,
)
from tuner.journal.history import read_history
from tuner.journal.store import read_journal
from tuner.loaded_run import LoadedRun
from tuner.paths import RunPaths
from tuner.replay import replay
from tuner.run import run as command
from tuner.search.space import space_of

FEW: dict[str, Any] = {
    "preset": "smoke",
    "trials": 4,
    "max_epochs": 3,
    "retrain_seeds": 1,
    "retrain_epochs": 4,
    "in_process": True,
}
UNHEEDED: dict[str, Any] = {"baseline": True, "dataset": "digits", "precision": "float32"}
SOURCE = Path(own_task.__file__).read_text(encoding="utf-8")
GENERATOR = SOURCE.replace("TRAINABLE = Task", "TRAINABLE = train")


def written(folder: Path, source: str) -> str:
    path = folder / "own.py"
    path.write_text(source)
    return str(path)


def tuned(folder: Path, source: str, **changed: Any) -> LoadedRun:
    return tune(**{**FEW, "space": written(folder, source), "storage": str(folder / "runs"), "name": "run", **changed})


def test_a_class_with_a_state_is_tuned_retrained_and_kept(tmp_path: Path) -> None:
    run = tuned(tmp_path, SOURCE)
    assert (run.epochs["norm"] > 0).all()
    final = run.final.set_index(["candidate", "split"])["rmse"]
    assert {split for _, split in final.index} == {"train", "dev", "test"}
    weights = run.state()["weights"]
    data = own_task.load_data(None)
    task = own_task.Task({"step": 0.1}, data, seed=0, device=None)
    task.load_state_dict({"weights": weights})
    for split in ("train", "dev", "test"):
        assert task.evaluate(getattr(data, split))["rmse"] == pytest.approx(final["tuned", split])
    assert replay(run.path)["RetrainEnded"] == 2
    with pytest.raises(TunerError, match=r"Task of .* is a training of its own .*\.state\(\)"):
        run.model()


def test_where_every_trial_fails_after_its_first_epochs_that_is_what_is_said(tmp_path: Path) -> None:
    failing = """
def TRAINABLE(hparams, data, *, seed, device, max_epochs):
    for epoch in range(max_epochs):
        if epoch == 2:
            raise ValueError("no third epoch")
        yield {"dev_rmse": 1.0}
"""
    source = SOURCE.replace("TRAINABLE = Task", failing)
    reason = "all 4 trials that finished an epoch failed later; 4 failed, the last because .* no third epoch"
    with pytest.raises(TunerError, match=reason):
        tuned(tmp_path, source, scheduler="none", max_failures=0)


def test_data_without_a_name_are_told_by_their_sizes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tuned(tmp_path, SOURCE.replace(', name="line"', ""), trials=1, max_epochs=1, baseline=False)
    told = capsys.readouterr().out
    assert "data       200 train, 100 dev, 100 test\n" in told


def test_a_generator_without_start_is_never_paused_and_has_no_baseline(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tuned(tmp_path, GENERATOR.replace('START = [{"step": 0.1}]', ""), **UNHEEDED)
    said = " ".join(capsys.readouterr().out.split())
    assert "NOTICE: the training saves no state" in said
    assert "NOTICE: dataset 'digits' is not used: what is trained brings data of its own." in said
    assert "NOTICE: precision 'float32' is not used: train takes none." in said
    assert "NOTICE: there is no baseline: space" in said
    assert run.config["search"]["scheduler"] == "asha"
    assert set(run.final["candidate"]) == {"tuned"}
    assert set(run.final["split"]) == {"train", "dev", "test"}
    assert run.trials["origin"].tolist()[0] == "random"
    with pytest.raises(StorageError, match="holds no state"):
        run.state()


def test_without_start_an_unlucky_random_configuration_does_not_keep_a_space_from_being_searched(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = space_of("own", {"suggest": own_task.suggest}).reference()
    without = GENERATOR.replace('START = [{"step": 0.1}]', "")
    unlucky = without.replace(
        "    task = Task(",
        f"    if hparams['step'] == {first['step']!r}:\n        raise ValueError('unlucky')\n    task = Task(",
    )
    assert len(tuned(tmp_path, unlucky, baseline=False).trials) == 4
    capsys.readouterr()
    (tmp_path / "runs").rename(tmp_path / "earlier")
    impossible = without.replace("    task = Task(", "    raise ValueError('no luck at all')\n    task = Task(")
    with pytest.raises(SpaceError, match=r"none of 20 random configurations .* \(step .*\) because: .* no luck at all"):
        tuned(tmp_path, impossible, baseline=False)
    assert capsys.readouterr().out.count("Traceback") == 1


def test_a_generator_that_cannot_evaluate_is_known_by_its_last_epoch_on_dev(tmp_path: Path) -> None:
    source = GENERATOR.replace("    return task.evaluate", "    return None")
    run = tuned(tmp_path, source, baseline=False)
    assert run.final["split"].tolist() == ["dev"]
    assert run.final["rmse"].tolist() == [run.retrain_epochs.sort_values("epoch")["dev_rmse"].iloc[-1]]


@pytest.mark.parametrize(
    ("returned", "notice", "ended"),
    [
        (
            "None",
            "gives nothing, but should give rmse (or dev_rmse): after the retraining neither train nor test is",
            "ended after epoch 4: dev 0.",
        ),
        (
            "lambda split: {'mse': 1.0}",
            "NOTICE: evaluate() gives mse, but not rmse (or dev_rmse): the final table has no value",
            "ended after epoch 4\n",
        ),
    ],
)
def test_an_evaluation_without_the_objective_is_told_before_the_search(
    tmp_path: Path, returned: str, notice: str, ended: str, capsys: pytest.CaptureFixture[str]
) -> None:
    source = GENERATOR.replace("    return task.evaluate", f"    return {returned}")
    tuned(tmp_path, source, baseline=False, trials=1)
    told = capsys.readouterr().out
    assert notice in " ".join(told.split()).partition(" epoch 1:")[0]
    assert ended in told


def test_an_evaluation_with_the_objective_needs_no_notice() -> None:
    of_dev, measured = Objective("dev_rmse", "minimize"), Objective("latency", "minimize")
    for found, objective in (({"rmse": 1.0}, of_dev), ({"dev_rmse": 1.0}, of_dev), ({}, measured), (None, of_dev)):
        assert evaluation_notice(found, objective, has_test=True) is None
    nothing = evaluation_notice({}, of_dev, has_test=False)
    assert nothing is not None
    assert "after the retraining train is not measured" in nothing


def test_an_objective_whose_name_says_nothing_of_dev_is_of_dev_all_the_same(tmp_path: Path) -> None:
    source = GENERATOR.replace("    return task.evaluate", "    return None").replace("dev_rmse", "error")
    run = tuned(tmp_path, source, baseline=False)
    assert run.final["split"].tolist() == ["dev"]
    assert run.final["error"].tolist() == [run.retrain_epochs.sort_values("epoch")["error"].iloc[-1]]


def test_a_training_of_a_single_epoch_has_no_rungs(tmp_path: Path) -> None:
    source = GENERATOR.replace("range(max_epochs)", "range(1)")
    run = tuned(tmp_path, source, baseline=False, max_epochs=27)
    assert set(run.trials["epochs"]) == {1}
    assert set(run.trials["state"]) == {"COMPLETE"}


def test_objects_are_tuned_as_a_file_is(tmp_path: Path) -> None:
    names = ("suggest", "load_data")
    objects = {name: getattr(own_task, name) for name in names}
    objects |= {"trainable": own_task.Task, "objective": own_task.OBJECTIVE, "start": own_task.START}
    run = tune(**FEW, **objects, storage=str(tmp_path), name="run")
    assert run.hparams == tuned(tmp_path, SOURCE).hparams
    assert "class Task" in (run.path / "space" / "notebook.py").read_text()
    with pytest.raises(ConfigError, match=r"begun with objects .* tune\(resume="):
        tune(resume=run.path)
    assert tune(resume=run.path, **objects).hparams == run.hparams


@pytest.mark.parametrize(
    ("source", "error", "message"),
    [
        (SOURCE.replace("TRAINABLE = Task", ""), SpaceError, "must define either MODEL, .* or TRAINABLE"),
        (SOURCE + 'MODEL = "cnn"\n', SpaceError, "must define either MODEL, .* or TRAINABLE"),
        (SOURCE + 'DATA = "digits"\n', SpaceError, "defines DATA and load_data"),
        (SOURCE + "OBJECTIVE = 3\n", SpaceError, "OBJECTIVE of space .* is 3, but must be an Objective"),
        (SOURCE.replace('name="line")', 'name="line").train'), DataError, "returned a tuple, but must return a tuner"),
        (SOURCE.replace("rng = np", "rng = numpy"), DataError, r"load_data\(\) of space .* raised NameError"),
        (SOURCE.replace('"dev_rmse":', '"rmse":'), SpaceError, "cannot be trained: .*reports no 'dev_rmse'"),
    ],
)
def test_a_task_that_is_not_whole_is_refused_before_the_plan(
    tmp_path: Path, source: str, error: type[TunerError], message: str
) -> None:
    with pytest.raises(error, match=message):
        tuned(tmp_path, source)
    assert not (tmp_path / "runs" / "run").exists()


@pytest.mark.parametrize("source", [SOURCE, GENERATOR])
@pytest.mark.parametrize("start", ["", 'START = [{"step": 0.1}]'])
def test_a_mistake_in_evaluate_ends_the_run_before_the_search(
    tmp_path: Path, source: str, start: str, capsys: pytest.CaptureFixture[str]
) -> None:
    mistaken = source.replace("        x, y = split", "        x, y = splitt").replace(
        'self.evaluate(self.data.dev)["rmse"]', "1.0"
    )
    ended = r"could not be retrained to its end: evaluate\(\) of .* raised NameError: "
    with pytest.raises(SpaceError, match=ended) as raised:
        tuned(tmp_path, mistaken.replace('START = [{"step": 0.1}]', start), baseline=False)
    told = "".join(raised.value.__notes__)
    assert "x, y = splitt" in told
    assert "RehearsalError" not in told
    assert "splitt" not in capsys.readouterr().out  # what is raised shows it, and need not be told before
    assert not (tmp_path / "runs" / "run").exists()


def test_an_ensemble_of_what_cannot_answer_together_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="--keep is 'ensemble', but only models of the built-in training"):
        tuned(tmp_path, SOURCE, keep="ensemble", retrain_seeds=2)


def test_a_test_split_that_could_not_be_measured_is_refused_before_the_plan(tmp_path: Path) -> None:
    source = """
import numpy as np
from torch import nn

import tuner


def MODEL(hparams, data):
    return nn.Linear(4, data.classes)


def load_data(data_dir):
    rows, labels = np.zeros((20, 4), np.float32), np.arange(20) % 2
    return tuner.Dataset(train=(rows, labels), dev=(rows, labels), test=(rows, labels * 2))


def suggest(trial):
    return {"learning_rate": trial.suggest_float("learning_rate", 0.01, 0.1)}
"""
    with pytest.raises(DataError, match="the test split has class 2, but train and dev have classes from 0 to 1"):
        tuned(tmp_path, source)


def test_a_task_never_sees_the_test_split() -> None:
    assert {one.name for one in dataclasses.fields(type(Dataset(1, 2, 3).search_data()))} == {"train", "dev"}


# A study that dies.


@pytest.mark.timeout(300)
@pytest.mark.usefixtures("two_cpus")
def test_a_killed_study_goes_on_and_an_interrupt_ends_its_search_with_a_report(tmp_path: Path) -> None:
    """A class with a state, under Ray."""
    paths = killed(tmp_path, SOURCE, "--workers", "2", "--gpus-per-trial", "0", "--trials", "500")
    with Running(tmp_path, "--resume", "runs/study") as second:
        second.wait_for(EpochReported, 8)
        os.killpg(second.process.pid, signal.SIGINT)  # as a terminal does, to the whole group
        ended = second.end()
    assert ended.code == 0, ended.err
    assert ended.err == ""
    assert "Interrupted: the search ends and the winner is retrained." in ended.out
    history = read_history(paths.journal)
    assert history.search_ended == SearchEnded("interrupted")
    assert history.ended
    assert len(history.trials) < 500
    assert all(trial.ended for trial in history.trials.values())
    events = whole_and_counted_once(paths)
    assert not any(isinstance(event, TrialProposed) for event in events[events.index(history.search_ended) :])


def test_without_ray_a_killed_study_goes_on(tmp_path: Path) -> None:
    """A generator without a state, whose trials begin again."""
    paths = RunPaths(tuned(tmp_path, GENERATOR).path)
    as_if_killed(paths)
    (tmp_path / "own.py").unlink()  # the run's copy stands in
    assert command(["--resume", str(paths.root)]) == 0
    whole_and_counted_once(paths)


def killed(folder: Path, source: str, *arguments: str) -> RunPaths:
    """A study that was killed after four epochs, and whose file is gone: the run's copy stands in."""
    slow = source.replace("x, y = self.data.train", "x, y = self.data.train; import time; time.sleep(0.1)")
    space = written(folder, slow)
    short = ["--max-epochs", "3", "--retrain-seeds", "1", "--retrain-epochs", "3"]
    flags = [*SMOKE, *short, "--space", space, "--name", "study", *arguments]
    with Running(folder, *flags) as first:
        first.wait_for(EpochReported, 4)
        os.killpg(first.process.pid, signal.SIGKILL)
        first.end()
    Path(space).rename(folder / "moved.py")
    return RunPaths(folder / "runs" / "study")


def whole_and_counted_once(paths: RunPaths) -> list[Event]:
    events = [entry.event for entry in read_journal(paths.journal)]
    assert sum(isinstance(event, DriverStarted) for event in events) == 2
    epochs = [(event.trial, event.epoch) for event in events if isinstance(event, EpochReported)]
    assert len(set(epochs)) == len(epochs)
    retrained = [(event.candidate, event.epoch) for event in events if isinstance(event, RetrainEpochReported)]
    assert len(set(retrained)) == len(retrained)
    final = load_run(paths.root).final
    assert set(zip(final["candidate"], final["split"], strict=True)) == {
        (candidate, split) for candidate in ("tuned", "baseline") for split in ("train", "dev", "test")
    }
    return events
