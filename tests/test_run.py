"""Tests of `tuner.run`: the command as a user meets it, from a wrong flag to a run that was killed."""

from __future__ import annotations

import io
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections import namedtuple
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

import pandas as pd
import pytest
import torch
from rich.console import Console
from torch import nn

from tests.environment import untouched_environment
from tuner import cli, config, tune
from tuner.data import load_dataset
from tuner.data.splits import Split
from tuner.errors import ConfigError
from tuner.io.files import hash_file
from tuner.io.sources import Sources
from tuner.journal.events import (
    DriverStarted,
    EpochReported,
    Event,
    PlanMade,
    RetrainEnded,
    RetrainEpochReported,
    RetrainingPlanned,
    SearchEnded,
    StudyStarted,
    TrialProposed,
)
from tuner.journal.history import History, read_history
from tuner.journal.store import JournalWriter, read_journal
from tuner.loaded_run import LoadedRun, load_run
from tuner.paths import RunPaths
from tuner.presets import PRESETS, preset
from tuner.run import _loading, parse_arguments, run
from tuner.search.space import find_space

# What the command line means.


def test_values_come_from_the_preset_then_the_file_then_the_flags(tmp_path: Path) -> None:
    file = tmp_path / "study.toml"
    file.write_text("seed = 7\n[search]\ntrials = 9\nmax_epochs = 5\n")
    study = parse_arguments(["--preset", "smoke", "--config", str(file), "--trials", "3"]).study
    assert (study.search.trials, study.search.max_epochs, study.seed) == (3, 5, 7)
    assert study.data == preset("smoke").data


def test_without_arguments_it_is_the_default_preset() -> None:
    assert parse_arguments([]).study == preset("default")


@pytest.mark.parametrize("flags", [["--trials", "3"], ["--max-epochs", "3"]])
def test_counts_replace_the_budget_of_the_preset_but_not_one_that_is_given(flags: list[str]) -> None:
    assert parse_arguments(flags).study.budget is None
    assert parse_arguments([*flags, "--budget", "1h"]).study.budget == "1h"
    assert parse_arguments(["--seed", "3"]).study.budget == preset("default").budget


@pytest.mark.parametrize("preset_name", PRESETS)
def test_a_budget_that_was_typed_counts_also_if_it_is_the_presets(preset_name: str, tmp_path: Path) -> None:
    budget = preset(preset_name).budget or "1h"
    typed = ["--preset", preset_name, "--budget", budget, "--trials", "64"]
    assert parse_arguments(typed).study.budget == budget
    file = tmp_path / "study.yaml"
    file.write_text(f"budget: {budget}\ntrials: 8\n")
    assert parse_arguments(["--preset", preset_name, "--config", str(file)]).study.budget == budget
    assert parse_arguments(["--preset", preset_name, "--config", str(file), "--trials", "9"]).study.budget == budget


def test_a_tilde_behind_an_equals_sign_is_the_users_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "study.yaml").write_text("trials: 8\nstorage: ~/elsewhere\n")
    study = parse_arguments(["--config=~/study.yaml", "--storage=~/runs", "--space=~/my.py"]).study
    assert (study.storage, study.space, study.search.trials) == (f"{tmp_path}/runs", f"{tmp_path}/my.py", 8)
    assert parse_arguments(["--config=~/study.yaml"]).study.storage == f"{tmp_path}/elsewhere"
    assert parse_arguments(["--storage", "~/runs"]).study.storage == f"{tmp_path}/runs"
    assert parse_arguments(["--resume=~/runs/a"]).resume == f"{tmp_path}/runs/a"


def test_a_space_whose_name_is_not_utf_8_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"space is 'caf\\udce9.py', which is not UTF-8"):
        parse_arguments(["--space", "caf\udce9.py"])


def test_counts_in_a_file_replace_the_budget_too(tmp_path: Path) -> None:
    file = tmp_path / "study.json"
    file.write_text('{"search": {"trials": 9}}')
    assert parse_arguments(["--config", str(file)]).study.budget is None


def test_the_configuration_of_a_run_can_be_given_again(tmp_path: Path) -> None:
    file = tmp_path / "config.json"
    file.write_text(json.dumps(config.to_dict(preset("smoke"))))
    assert parse_arguments(["--config", str(file)]).study == preset("smoke")


def test_a_resume_takes_no_other_argument() -> None:
    assert parse_arguments(["--resume", "runs/study"]).resume == "runs/study"
    for other in (["--trials", "3"], ["--preset", "smoke"], ["--name", "other"]):
        with pytest.raises(ConfigError, match="takes no other argument"):
            parse_arguments(["--resume", "runs/study", *other])


def test_help_tells_what_each_preset_means(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        run(["--help"])
    assert not caught.value.code
    shown = " ".join(capsys.readouterr().out.replace("│", " ").replace("`", "").split())
    for name, make in PRESETS.items():
        assert f"{name}: {make.__doc__}" in shown


@pytest.mark.parametrize(("is_terminal", "told"), [(True, True), (False, False)])
def test_who_waits_at_a_terminal_is_told_what_for(is_terminal: bool, told: bool) -> None:
    shown = io.StringIO()
    shown.isatty = lambda: is_terminal  # type: ignore[method-assign]
    with _loading(Console(file=shown, width=80)):
        pass
    assert ("loading PyTorch" in shown.getvalue()) == told
    assert told or shown.getvalue() == ""


# Bad input: exit code 2, one line, nothing left behind.


@dataclass(frozen=True)
class Ended:
    """What a command left behind."""

    code: object
    out: str
    err: str


Command = Callable[..., Ended]

Usage = namedtuple("Usage", ["total", "used", "free"])


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """Run the command in this process, in an empty folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))

    def call(*arguments: str) -> Ended:
        with pytest.raises(SystemExit) as caught:
            cli.main(lambda: run(arguments))
        return Ended(caught.value.code, *capsys.readouterr())

    return call


def assert_refused(ended: Ended, *texts: str) -> None:
    assert ended.code == 2, ended
    assert ended.err.startswith("error: ")
    assert len(ended.err.splitlines()) == 1
    assert ended.err.endswith("\n")
    assert "Traceback" not in ended.out + ended.err
    for text in texts:
        assert text in ended.err


def assert_nothing_is_left(folder: Path) -> None:
    assert not (folder / "runs").exists() or list((folder / "runs").iterdir()) == []


SMOKE = ("--preset", "smoke")


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("--trails", "3"), "'--trails' is not an argument of python -m tuner.run; did you mean --trials"),
        (("stray",), "'stray' is not an argument of python -m tuner.run"),
        (("--trials", "0"), "--trials is 0, but must be at least 1."),
        (("--trials", "many"), "--trials is 'many', but must be a whole number or None."),
        (
            ("--max-epochs", "2", "--min-epochs", "3"),
            "--max-epochs is 2, but must be at least --min-epochs, which is 3.",
        ),
        (("--reduction-factor", "1"), "--reduction-factor is 1, but must be at least 2."),
        (("--gpus-per-trial", "-1"), "--gpus-per-trial is -1.0, but must be at least 0."),
        (("--gpus-per-trial", "many"), "--gpus-per-trial is 'many', but must be a number or auto."),
        (("--budget", "soon"), "--budget is 'soon', but must be a time such as 90s, 30m, 2h or 1h30m."),
        (("--name", "../elsewhere"), "--name is '../elsewhere', but must be letters, digits, '.', '_' and '-' alone."),
        (("--preset", "fast"), "--preset is 'fast', but must be one of: default, full, quick, smoke."),
        (("--preset",), "--preset lacks a value"),
        (("--config", "absent.json"), "--config is 'absent.json', which cannot be read: No such file or directory."),
        (("--config", "study.ini"), "--config is 'study.ini', but must end in one of: .json, .toml, .yaml, .yml."),
        (("--space", "cmm"), "--space is 'cmm', but must be one of: a path to a .py file, cnn"),
        (("--space", "absent.py"), "absent.py', but there is no such file."),
        ((*SMOKE, "--dataset", "mnist"), "dataset is 'mnist', but must be one of: auto, digits, fashion-mnist."),
        ((*SMOKE, "--searcher", "tpee"), "--searcher is 'tpee', but must be one of: auto, gp, random, tpe."),
        ((*SMOKE, "--scheduler", "pbt"), "--scheduler is 'pbt', but must be one of: asha,"),
        (
            (*SMOKE, "--objectives", "num_params,dev_accuracy"),
            "'num_params,dev_accuracy', but must begin with",
        ),
        (
            (*SMOKE, "--objectives", "dev_accuracy,flops"),
            "'flops' is none of num_params, latency, so",
        ),
        ((*SMOKE, "--precision", "float16"), "--precision is 'float16', but must be one of: auto, bfloat16, float32."),
        (("--resume", "absent"), "--resume is 'absent', but there is no such folder."),
        (("--resume", "absent", "--trials", "3"), "--resume goes on with a run as it was configured"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_a_wrong_argument_is_refused_in_a_line_and_leaves_nothing(
    command: Command, tmp_path: Path, arguments: tuple[str, ...], text: str
) -> None:
    assert_refused(command(*arguments), text)
    assert_nothing_is_left(tmp_path)


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("import no_such_module", "cannot be imported: ModuleNotFoundError"),
        ("raise ValueError('first\\nsecond')", "cannot be imported: ValueError: first second"),
        ("MODEL = 'cnn'\nSTART = [{}]\ndef suggest(trial):\n    return {'x': 1 / 0}\n", "raised ZeroDivisionError"),
        (
            "MODEL = 'cnn'\nSTART = [{}]\ndef suggest(trial):\n    return {'widht': 3}\n",
            "hyperparameter 'widht', which neither its model nor the training knows; known are: averaged_epochs,",
        ),
        (
            "MODEL = 'cnm'\nSTART = [{}]\ndef suggest(trial):\n    return {}\n",
            "model is 'cnm', but must be one of: cnn, resnet, small-cnn.",
        ),
        (
            "MODEL = 'cnn'\nSTART = []\ndef suggest(trial):\n    return {}\n",
            "at least one dictionary of parameters, or left out",
        ),
    ],
)
def test_a_bad_space_file_is_refused_in_a_line_and_leaves_nothing(
    command: Command, tmp_path: Path, source: str, text: str
) -> None:
    (tmp_path / "space.py").write_text(source)
    assert_refused(command(*SMOKE, "--space", "space.py"), "space.py" if "cnm" not in source else "", text)
    assert_nothing_is_left(tmp_path)


@pytest.mark.parametrize("dataset", ["fashion-mnist", "auto"])
@pytest.mark.parametrize("damaged", [False, True])
def test_a_data_file_that_is_missing_or_damaged_is_named_with_its_md5(
    command: Command, tmp_path: Path, damaged: bool, dataset: str
) -> None:
    folder = tmp_path / "data" / "FashionMNIST" / "raw"
    folder.mkdir(parents=True)
    name = "train-images-idx3-ubyte.gz"
    if damaged:
        (folder / name).write_bytes(b"damaged")
    refused = command("--dataset", dataset, "--data-dir", "data")
    what = f"is damaged: its md5 is {hash_file(folder / name, 'md5')}" if damaged else "is missing"
    assert_refused(refused, name, what, "8d4fb7e6c68d591d4c3dfef9ec88bf0d")
    assert_nothing_is_left(tmp_path)


def test_too_little_space_is_refused_and_leaves_nothing(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(1 << 40, 1 << 40, 5 << 20))
    assert_refused(command(*SMOKE), "has 5 MiB free, but a run needs at least 1024 MiB")
    assert_nothing_is_left(tmp_path)


def test_a_run_that_exists_is_refused_and_stays_as_it_was(command: Command, tmp_path: Path) -> None:
    kept = tmp_path / "runs" / "study" / "trials.parquet"
    kept.parent.mkdir(parents=True)
    kept.touch()
    assert_refused(command(*SMOKE, "--name", "study"), "runs/study exists: give another --name")
    assert [path.name for path in kept.parent.iterdir()] == ["trials.parquet"]


def test_a_runs_folder_that_cannot_be_made_is_refused(command: Command, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert_refused(command(*SMOKE, "--storage", "file"), "--storage is 'file', which cannot be made: File exists.")


def test_a_folder_without_a_journal_cannot_be_resumed_and_stays_as_it_was(command: Command, tmp_path: Path) -> None:
    (tmp_path / "runs" / "study").mkdir(parents=True)
    assert_refused(command("--resume", "runs/study"), "holds no journal")
    assert list((tmp_path / "runs" / "study").iterdir()) == []


def a_run(folder: Path, **environment: Any) -> RunPaths:
    """A run of the smoke preset that had just begun."""
    paths = RunPaths(folder / "runs" / "study")
    with JournalWriter(paths.journal) as journal:
        journal.append(StudyStarted(config.to_dict(preset("smoke")), environment))
    return paths


def test_a_damaged_journal_cannot_be_resumed_and_stays_as_it_was(command: Command, tmp_path: Path) -> None:
    paths = a_run(tmp_path)
    (segment,) = paths.journal.glob("*.jsonl")
    damaged = segment.read_bytes().replace(b"digits", b"digitz") + b"a line behind it\n"
    segment.write_bytes(damaged)
    assert_refused(command("--resume", "runs/study"), "00000001.jsonl is damaged at byte 0")
    assert segment.read_bytes() == damaged


def test_a_run_on_other_data_or_another_space_cannot_be_resumed(command: Command, tmp_path: Path) -> None:
    paths = a_run(tmp_path, data_hashes={"images": "other"})
    before = read_journal(paths.journal)
    assert_refused(command("--resume", "runs/study"), "the run cannot go on: the data set has changed")
    a_run(tmp_path / "b", data_hashes=load_dataset("digits", None).hashes, space_sha256="other")
    assert_refused(command("--resume", "b/runs/study"), "the run cannot go on: the search space has changed")
    assert read_journal(paths.journal) == before


def test_a_run_at_which_another_process_is_at_work_cannot_be_resumed(command: Command, tmp_path: Path) -> None:
    hashes = load_dataset("digits", None).hashes
    paths = a_run(tmp_path, data_hashes=hashes, space_sha256=Sources.read(find_space("digits")).sha256)
    with JournalWriter(paths.journal):
        assert_refused(command("--resume", "runs/study"), f"is being written by process {os.getpid()} on ")


@pytest.mark.timeout(180)
@pytest.mark.usefixtures("ray_running")
@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("--cpus-per-trial", "999"), "--cpus-per-trial is 999 and --gpus-per-trial 0, but the largest machine has "),
        (("--workers", "999"), "--workers is 999, but with 1 CPUs and 0 GPUs per trial only "),
        (("--gpus-per-trial", "99"), "--cpus-per-trial is 1 and --gpus-per-trial 99, but the largest machine has "),
        (("--budget", "1s", "--workers", "1"), "--budget is 1s, but one epoch takes "),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_more_than_the_machine_or_the_time_can_give_is_refused_with_the_numbers_and_leaves_nothing(
    command: Command, tmp_path: Path, space_file: Path, arguments: tuple[str, ...], text: str
) -> None:
    assert_refused(command(*SMOKE, "--space", str(space_file), *arguments), text)
    assert_nothing_is_left(tmp_path)


def in_a_process(folder: Path, *arguments: str, **environment: str) -> Ended:
    ended = subprocess.run(
        [sys.executable, "-m", "tuner.run", *arguments],
        cwd=folder,
        env=untouched_environment() | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    return Ended(ended.returncode, ended.stdout, ended.stderr)


@pytest.mark.timeout(180)
@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("--trials", "0"), "--trials is 0"),
        ((*SMOKE, "--cpus-per-trial", "999"), "--cpus-per-trial is 999"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_the_command_itself_refuses_in_a_line_and_leaves_nothing(
    tmp_path: Path, arguments: tuple[str, ...], text: str
) -> None:
    ended = in_a_process(tmp_path, *arguments)
    assert_refused(ended, text)
    assert ended.out == ""
    assert_nothing_is_left(tmp_path)


# A whole run. One worker and one seed give one study, whoever starts it and however often it dies.

VALUES: dict[str, Any] = {
    "trials": 8,
    "max_epochs": 3,
    "startup_trials": 4,
    "workers": 1,
    "retrain_seeds": 1,
    "precision": "float32",
}
FLAGS = [text for name, value in VALUES.items() for text in (f"--{name.replace('_', '-')}", str(value))]
RUN = pytest.mark.timeout(420)


@dataclass(frozen=True)
class Finished:
    """A run that has come to its end, and what was seen of it."""

    ended: Ended
    home: Path
    run: LoadedRun
    began: float
    """Seconds since the epoch when it was started."""

    @property
    def paths(self) -> RunPaths:
        return RunPaths(self.run.path)

    @property
    def history(self) -> History:
        return read_history(self.paths.journal)


@pytest.fixture(scope="module")
def smoke(tmp_path_factory: pytest.TempPathFactory, space_file: Path) -> Finished:
    """The smoke preset on a narrow network, as a user starts it, in a home of its own."""
    folder = tmp_path_factory.mktemp("smoke")
    home = folder / "home"
    home.mkdir()
    arguments = [*SMOKE, "--space", str(space_file), *FLAGS, "--name", "study"]
    began = time.time()
    ended = in_a_process(folder, *arguments, HOME=str(home))
    assert ended.code == 0, ended.err
    return Finished(ended, home, load_run(folder / "runs" / "study"), began)


@RUN
def test_a_run_leaves_every_file_of_the_design_and_no_other(smoke: Finished) -> None:
    left = {str(path.relative_to(smoke.run.path)) for path in smoke.run.path.rglob("*") if path.is_file()}
    assert left == {
        "config.json",
        "environment.json",
        "journal/00000001.jsonl",
        "journal/holder",
        "journal/lock",
        "space/narrow.py",
        "trials.parquet",
        "epochs.parquet",
        "final.parquet",
        "retrain_epochs.parquet",
        "best/model.safetensors",
        "best/hparams.json",
        "best/README.md",
        "best/dev_predictions.npz",
        "data_sample.npz",
        "report.html",
        "report.txt",
        "run.log",
    }
    assert not smoke.paths.checkpoints.exists()
    assert [path.name for path in smoke.run.path.parent.iterdir()] == ["study"]


@RUN
def test_a_run_prints_little_and_nothing_of_rays(smoke: Finished) -> None:
    assert smoke.ended.err == ""
    assert len(smoke.ended.out) < 8_000
    assert len(smoke.ended.out.splitlines()) < 150
    for chatter in ("(pid=", "WARNING", "INFO", "ray::", "Traceback"):
        assert chatter not in smoke.ended.out
    assert smoke.paths.log.stat().st_size < 100_000


@RUN
def test_a_run_prints_the_plan_the_events_the_answer_and_what_to_do_next(smoke: Finished) -> None:
    lines = smoke.ended.out.splitlines()
    assert lines[0] == "data       digits: 1,074 train, 359 dev, 364 test"
    assert lines[1].startswith("workers    1, as --workers says; this machine has ")
    assert lines[2].startswith("epoch      ")
    assert lines[3] == "rungs      1 3 epochs; one trial in 3 goes on from each"
    assert lines[4] == "trials     8"
    assert any("] the search ended: all trials have ended" in line for line in lines)
    assert any(line.startswith("After tuning, the test accuracy is 0.") for line in lines)
    assert lines[-3] == "Report    runs/study/report.html"
    assert lines[-2].startswith("Next      tuner predict runs/study IMAGE...  # ")
    assert lines[-1].startswith("          tuner report runs/study            # ")


@RUN
def test_a_run_writes_nothing_of_rays_into_the_users_home(smoke: Finished) -> None:
    assert not (smoke.home / ".ray").exists()
    assert not (smoke.home / "ray_results").exists()


@RUN
def test_the_configuration_and_the_environment_are_those_of_the_journal(smoke: Finished) -> None:
    assert json.loads(smoke.paths.config.read_text()) == smoke.history.config
    assert json.loads(smoke.paths.environment.read_text()) == smoke.history.environment
    assert smoke.run.config["search"]["trials"] == 8
    assert smoke.history.environment["dataset"] == "digits"
    assert smoke.history.ended


@RUN
def test_the_clock_counts_from_the_command_and_not_from_when_all_was_loaded(smoke: Finished) -> None:
    first = read_journal(smoke.paths.journal)[0]
    assert first.elapsed > 0.6 * (first.time - smoke.began)


@RUN
def test_every_epoch_of_every_trial_is_there_once(smoke: Finished) -> None:
    epochs, trials = smoke.run.epochs, smoke.run.trials
    assert not epochs.duplicated(["trial", "epoch"]).any()
    assert trials["trial"].tolist() == list(range(8))
    for trial in trials.to_dict("records"):
        own = epochs[epochs["trial"] == trial["trial"]]
        assert own["epoch"].tolist() == list(range(1, trial["epochs"] + 1))
        best = own.sort_values(["dev_accuracy", "epoch"], ascending=[False, True]).iloc[0]
        assert (best["dev_accuracy"], best["epoch"]) == (trial["best_dev_accuracy"], trial["best_epoch"])
        assert own["seconds"].sum() == pytest.approx(trial["seconds"])
    assert set(trials["state"]) == {"COMPLETE", "PRUNED"}
    assert trials["origin"].tolist()[0] == "start"
    assert "model" in trials["origin"].tolist()
    assert trials["reason"].notna().all()


@RUN
def test_one_process_trains_one_trial_after_another(smoke: Finished) -> None:
    assert smoke.run.epochs["worker"].nunique() == 1
    assert smoke.run.trials["retries"].sum() == 0


@RUN
def test_the_final_table_has_every_split_of_every_candidate_once(smoke: Finished) -> None:
    final = smoke.run.final
    assert not final.duplicated(["candidate", "seed", "split"]).any()
    assert set(zip(final["candidate"], final["split"], strict=True)) == {
        (candidate, split) for candidate in ("tuned", "baseline") for split in ("train", "dev", "test")
    }
    sizes = {"train": 1074, "dev": 359, "test": 364}
    assert final["n"].tolist() == [sizes[split] for split in final["split"]]
    dev = final[final["split"] == "dev"].set_index("candidate")["accuracy"]
    best = smoke.run.retrain_epochs.groupby("candidate")["dev_accuracy"].max()
    assert dev.to_dict() == pytest.approx(best.to_dict())


def accuracy(model: nn.Module, split: Split, mean: float, std: float) -> float:
    images = (torch.from_numpy(split.images.copy()).unsqueeze(1) / 255 - mean) / std
    with torch.inference_mode():
        return float((model(images).argmax(1) == torch.from_numpy(split.labels)).float().mean())


@RUN
def test_the_model_in_best_scores_what_the_tables_say(smoke: Finished) -> None:
    dataset, final = load_dataset("digits", None), smoke.run.final
    tuned = final[final["candidate"] == "tuned"].set_index("split")["accuracy"]
    model = smoke.run.model()
    for split in ("train", "dev", "test"):
        found = accuracy(model, getattr(dataset, split), *dataset.train.moments)
        assert found == pytest.approx(tuned[split], abs=1e-6)
    assert tuned["dev"] > 0.3  # it has learnt something: chance is 0.1


@RUN
def test_the_hyperparameters_in_best_are_the_winners(smoke: Finished) -> None:
    winner = smoke.history.winner
    assert winner is not None
    assert smoke.run.hparams == winner.hparams
    best = smoke.run.trials.sort_values("best_dev_accuracy", ascending=False).iloc[0]
    assert winner.value == best["best_dev_accuracy"]


def decisions(paths: RunPaths) -> list[Event]:
    """What happened in a run, without what differs from one time to the next: who, where and how long."""
    events: list[Event] = []
    for entry in read_journal(paths.journal):
        event = entry.event
        if isinstance(event, StudyStarted | DriverStarted | PlanMade):
            continue
        if isinstance(event, EpochReported):
            event = replace(event, seconds=0.0, worker="")
        elif isinstance(event, RetrainEpochReported):
            event = replace(event, seconds=0.0)
        elif isinstance(event, RetrainingPlanned):
            event = replace(event, seconds_per_epoch={})
        events.append(event)
    return events


@RUN
def test_python_does_the_same_as_the_command_with_ray_or_without(
    smoke: Finished, space_file: Path, tmp_path: Path
) -> None:
    found = tune("smoke", space=str(space_file), **VALUES, in_process=True, storage=str(tmp_path), name="python")
    assert decisions(RunPaths(found.path)) == decisions(smoke.paths)
    pd.testing.assert_frame_equal(found.final, smoke.run.final)
    names = {str(path.relative_to(found.path)) for path in found.path.rglob("*") if path.is_file()}
    assert names == {str(path.relative_to(smoke.run.path)) for path in smoke.run.path.rglob("*") if path.is_file()}


# A run that dies.


class Running:
    """The command at work in a process of its own, the leader of a group as in a terminal."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        self.journal = folder / "runs" / "study" / "journal"
        self._out, self._err = folder / "out.txt", folder / "err.txt"
        command = [sys.executable, "-m", "tuner.run", *arguments]
        with self._out.open("w") as out, self._err.open("w") as err:
            self.process = subprocess.Popen(
                command, cwd=folder, env=untouched_environment(), stdout=out, stderr=err, start_new_session=True
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def wait_for(self, kind: type[Event], count: int) -> None:
        """Wait until the journal holds so many events of a kind."""
        needle = b'"kind":"%s"' % kind.__name__.encode()
        while sum(path.read_bytes().count(needle) for path in self.journal.glob("*.jsonl")) < count:
            assert self.process.poll() is None, self._err.read_text()
            time.sleep(0.02)

    def end(self) -> Ended:
        return Ended(self.process.wait(), self._out.read_text(), self._err.read_text())


def training_processes(pid: int) -> set[int]:
    """The processes below `pid` that train. (Two of Ray's own helpers outlive their parent by a minute.)"""
    parents, training = {}, set()
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parents[int(folder.name)] = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            if b"Trainable" in (folder / "cmdline").read_bytes():
                training.add(int(folder.name))
        except OSError:
            continue
    found, before = {pid}, 0
    while len(found) > before:
        before = len(found)
        found |= {child for child, parent in parents.items() if parent in found}
    return found & training


def are_gone(pids: set[int], within: float) -> bool:
    deadline = time.monotonic() + within
    while time.monotonic() < deadline:
        if not any(Path(f"/proc/{pid}").exists() for pid in pids):
            return True
        time.sleep(0.1)
    return False


@dataclass(frozen=True)
class Survivor:
    """A run whose first driver was terminated, whose second was killed, and whose third came to the end."""

    paths: RunPaths
    terminated: Ended
    killed: Ended
    trainers_are_gone: bool
    resumed: Ended


@pytest.fixture(scope="module")
def survivor(tmp_path_factory: pytest.TempPathFactory, space_file: Path) -> Survivor:
    folder = tmp_path_factory.mktemp("survivor")
    with Running(folder, *SMOKE, "--space", str(space_file), *FLAGS, "--name", "study") as first:
        first.wait_for(EpochReported, 3)
        first.process.terminate()
        terminated = first.end()
    with Running(folder, "--resume", "runs/study") as second:
        second.wait_for(EpochReported, 6)
        trainers = training_processes(second.process.pid)
        second.process.kill()
        killed = second.end()
    gone = bool(trainers) and are_gone(trainers, within=30.0)
    with Running(folder, "--resume", "runs/study") as third:
        resumed = third.end()
    return Survivor(RunPaths(folder / "runs" / "study"), terminated, killed, gone, resumed)


@RUN
def test_a_terminated_run_says_that_it_can_be_resumed(survivor: Survivor) -> None:
    assert survivor.terminated.code == 130
    assert survivor.terminated.err.strip() == ("Stopped. Nothing is lost: go on with --resume and the run's folder.")


@RUN
def test_a_killed_driver_leaves_nobody_training(survivor: Survivor) -> None:
    assert survivor.killed.code == -signal.SIGKILL
    assert survivor.trainers_are_gone


@RUN
def test_a_run_that_died_twice_is_the_run_that_never_died(survivor: Survivor, smoke: Finished) -> None:
    assert survivor.resumed.code == 0, survivor.resumed.err
    assert survivor.resumed.err == ""
    assert decisions(survivor.paths) == decisions(smoke.paths)
    assert len(read_history(survivor.paths.journal).drivers) == 3
    assert not survivor.paths.checkpoints.exists()


@RUN
def test_the_books_of_a_run_that_died_are_balanced(survivor: Survivor, smoke: Finished) -> None:
    found = load_run(survivor.paths.root)
    assert not found.epochs.duplicated(["trial", "epoch"]).any()
    assert found.trials["epochs"].sum() == len(found.epochs)
    own = ["trial", "state", "origin", "seed", "epochs", "best_dev_accuracy", "best_epoch", "reason"]
    pd.testing.assert_frame_equal(found.trials[own], smoke.run.trials[own])
    pd.testing.assert_frame_equal(found.final, smoke.run.final)


@RUN
def test_ctrl_c_ends_the_search_and_goes_on_to_the_report(tmp_path: Path, space_file: Path) -> None:
    flags = [*SMOKE, "--space", str(space_file), *FLAGS, "--trials", "500", "--name", "study"]
    with Running(tmp_path, *flags) as running:
        running.wait_for(EpochReported, 3)
        os.killpg(running.process.pid, signal.SIGINT)  # as a terminal does, to the whole group
        ended = running.end()
    assert ended.code == 0, ended.err
    assert ended.err == ""
    assert "Interrupted: the search ends and the winner is retrained." in ended.out
    history = read_history(tmp_path / "runs" / "study" / "journal")
    assert history.search_ended == SearchEnded("interrupted")
    assert history.epochs_trained >= 3
    assert len(history.trials) < 500
    assert all(trial.ended for trial in history.trials.values())
    assert history.ended
    assert len(load_run(tmp_path / "runs" / "study").final) == 6
    assert not any(isinstance(event, TrialProposed) for event in after_the_search(history, tmp_path))


def after_the_search(history: History, folder: Path) -> list[Event]:
    events = [entry.event for entry in read_journal(folder / "runs" / "study" / "journal")]
    assert history.search_ended is not None
    assert any(isinstance(event, RetrainEnded) for event in events)
    return events[events.index(history.search_ended) :]
