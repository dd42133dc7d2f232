"""Tests of `tuner.run`: what the command line means, and how it is refused."""

from __future__ import annotations

import io
import json
import os
import shutil
import subprocess
import sys
from collections import namedtuple
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from tests.commands import SMOKE, Ended, in_a_process
from tests.environment import untouched_environment
from tuner import cli, config
from tuner.data import load_dataset
from tuner.errors import ConfigError
from tuner.io.files import hash_file
from tuner.io.sources import Sources
from tuner.journal.events import (
    StudyStarted,
)
from tuner.journal.store import JournalWriter, read_journal
from tuner.paths import RunPaths
from tuner.presets import PRESETS, preset
from tuner.run import _loading, parse_arguments, run, where_of
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


def test_a_resume_takes_no_other_argument_than_where_it_runs() -> None:
    assert parse_arguments(["--resume", "runs/study"]).resume == "runs/study"
    for other in (["--trials", "3"], ["--preset", "smoke"], ["--name", "other"], ["--precision", "float32"]):
        with pytest.raises(ConfigError, match=f"as it was configured: leave out {other[0]}\\. Only where it runs may"):
            parse_arguments(["--resume", "runs/study", *other])
    with pytest.raises(ConfigError, match=r"leave out --seed, --trials\."):
        parse_arguments(["--resume", "runs/study", "--trials=3", "--in-process", "--seed", "4"])


def test_where_a_run_goes_on_is_what_was_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    argv = ["--resume", "runs/study", "--workers=4", "--no-in-process", "--data-dir", "~/data", "--address", "auto"]
    expected = {"workers": 4, "in_process": False, "data_dir": f"{tmp_path}/data", "address": "auto"}
    assert where_of(argv, parse_arguments(argv)) == expected
    assert where_of(["--workers=4"], parse_arguments(["--workers=4"])) == {}


def test_a_run_goes_on_elsewhere_with_nothing_else_changed(tmp_path: Path) -> None:
    begun = config.merge(preset("smoke"), {"workers": 8, "address": "auto", "data_dir": "/there"}, "test")
    resources = config.moved(begun, {"workers": 2, "address": "local"}, "--resume").resources
    assert resources == replace(begun.resources, workers=2, address=None)
    alone = config.moved(begun, {"in_process": True, "data_dir": str(tmp_path)}, "--resume")
    assert alone.resources == replace(begun.resources, in_process=True, workers=None, address=None)
    assert replace(alone, resources=begun.resources, data=begun.data) == begun
    assert alone.data.data_dir == tmp_path
    assert config.moved(begun, {}, "--resume") is begun
    with pytest.raises(ConfigError, match="leave out --trials"):
        config.moved(begun, {"trials": 3}, "--resume")
    with pytest.raises(ConfigError, match="workers"):
        config.moved(begun, {"workers": "many"}, "--resume")


def test_the_address_of_no_cluster_is_this_machine() -> None:
    assert parse_arguments(["--address", "local"]).study.resources.address is None


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
        (("--stop-when-converged",), "--stop-when-converged lacks a value; it must be a number or None."),
        (("--stop-when-converged", "0"), "--stop-when-converged is 0.0, but must be a finite number above 0."),
        (
            (*SMOKE, "--searcher", "random", "--stop-when-converged", "0.001"),
            "--stop-when-converged is 0.001, but must be left out where the searcher is 'random'",
        ),
        (
            (*SMOKE, "--objectives", "dev_accuracy,num_params", "--stop-when-converged", "0.001"),
            "but must be left out where the searcher is 'tpe', which cannot say what improvement it expects",
        ),
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
        (("--resume", "absent", "--workers", "3"), "--resume is 'absent', but there is no such folder."),
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
        (
            "MODEL = 'cnn'\nPRIOR = {'flip': 7}\ndef suggest(t):\n    return {'flip': t.suggest_int('flip', 0, 1)}\n",
            "is 7 for parameter 'flip', but must be a number from 0 to 1.",
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
        (
            ("--cpus-per-trial", "999", "--gpus-per-trial", "0"),
            "--cpus-per-trial is 999 and --gpus-per-trial 0, but the largest machine has ",
        ),
        (
            ("--workers", "999", "--gpus-per-trial", "0"),
            "--workers is 999, but with 1 CPUs and 0 GPUs per trial only ",
        ),
        (("--gpus-per-trial", "99"), "--cpus-per-trial is 1 and --gpus-per-trial 99, but the largest machine has "),
        (("--budget", "1s", "--workers", "1"), "--budget is 1s, but starting took "),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_more_than_the_machine_or_the_time_can_give_is_refused_with_the_numbers_and_leaves_nothing(
    command: Command, tmp_path: Path, space_file: Path, arguments: tuple[str, ...], text: str
) -> None:
    assert_refused(command(*SMOKE, "--space", str(space_file), *arguments), text)
    assert_nothing_is_left(tmp_path)


@pytest.mark.timeout(120)
def test_a_command_whose_ray_never_comes_up_ends_with_its_word_and_its_exit_code() -> None:
    code = """
import threading
from contextlib import contextmanager

from tuner import run
from tuner.engine import ray_session
from tuner.engine.early_start import EarlyStart

@contextmanager
def never():
    threading.Event().wait()
    yield

ray_session._SECONDS_TO_END_EARLY = 0.2
ray_session._started_early.append(EarlyStart(never(), "ray"))
run.main(["--budget", "soon"])
"""
    command = [sys.executable, "-c", code]
    ended = subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=60, env=untouched_environment()
    )
    assert ended.returncode == 2
    assert ended.stderr.startswith("error: --budget")


@pytest.mark.timeout(180)
def test_the_command_itself_refuses_in_a_line_and_leaves_nothing(tmp_path: Path) -> None:
    ended = in_a_process(tmp_path, *SMOKE, "--cpus-per-trial", "999")
    assert_refused(ended, "--cpus-per-trial is 999")
    assert ended.out == ""
    assert_nothing_is_left(tmp_path)
