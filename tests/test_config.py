from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tuner.config import (
    SearchConfig,
    StudyConfig,
    check,
    check_given,
    from_dict,
    given_names,
    merge,
    nested,
    parse_duration,
    read_file,
    to_dict,
    with_absolute_paths,
    without_replaced_budget,
)
from tuner.errors import ConfigError
from tuner.presets import PRESETS, preset


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (
            {"in_process": True, "trial_timeout": "10m"},
            "--trial-timeout is '10m', but what hangs is ended with its proc",
        ),
        ({"in_process": True, "gpus_per_trial": 0.0}, "--gpus-per-trial is 0.0, but with --in-process"),
        ({"direction": "minimize"}, "--direction is 'minimize', but is that of an Optuna objective"),
        ({"space": "cnn", "objective": "a.py:b"}, "--space is 'cnn' and --objective is 'a.py:b', which is tuned in pl"),
    ],
)
def test_what_would_be_ignored_or_go_wrong_beside_the_rest_is_refused(values: dict[str, Any], message: str) -> None:
    config = merge(StudyConfig(), nested(values), "test")
    check(config)
    check_given(config, ())
    with pytest.raises(ConfigError, match=message):
        check_given(config, given_names(values))


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_is_lawful_and_survives_being_written_and_read(name: str) -> None:
    config = preset(name)
    check(config)
    assert from_dict(json.loads(json.dumps(to_dict(config))), "config.json") == config


def test_an_unknown_preset_lists_those_that_exist() -> None:
    with pytest.raises(ConfigError, match="'fast', but must be one of: default, full, quick, smoke"):
        preset("fast")


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90.0), ("30m", 1800.0), ("2h", 7200.0), ("1h30m", 5400.0), ("1.5h", 5400.0)]
)
def test_a_budget_is_a_time_with_units(text: str, seconds: float) -> None:
    assert parse_duration("--budget", text) == seconds


@pytest.mark.parametrize("text", ["", "30", "30 m", "h", "5x", "-5m", "1h30"])
def test_a_budget_that_is_no_time_is_refused_with_examples(text: str) -> None:
    with pytest.raises(ConfigError, match=r"--budget is .*, but must be a time such as 90s"):
        parse_duration("--budget", text)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"trials": 0}, "--trials is 0, but must be at least 1"),
        ({"max_epochs": 0}, "--max-epochs is 0, but must be at least 1"),
        ({"min_epochs": 0}, "--min-epochs is 0, but must be at least 1"),
        ({"reduction_factor": 1}, "--reduction-factor is 1, but must be at least 2"),
        ({"startup_trials": -1}, "--startup-trials is -1, but must be at least 0"),
        ({"patience": 0}, "--patience is 0, but must be at least 1"),
        ({"workers": 0}, "--workers is 0, but must be at least 1"),
        ({"cpus_per_trial": 0}, "--cpus-per-trial is 0, but must be at least 1"),
        ({"gpus_per_trial": -0.5}, "--gpus-per-trial is -0.5, but must be at least 0"),
        ({"gpus_per_trial": 1.5}, "--gpus-per-trial is 1.5, but above 1 must be a whole number"),
        ({"gpus_per_trial": float("inf")}, "--gpus-per-trial is inf, but above 1 must be a whole number"),
        ({"gpus_per_trial": float("nan")}, "--gpus-per-trial is nan, but must be at least 0"),
        ({"max_failures": -1}, "--max-failures is -1, but must be at least 0"),
        ({"retrain_seeds": 0}, "--retrain-seeds is 0, but must be at least 1"),
        ({"keep": "ensemble", "retrain_seeds": 1}, "--keep is 'ensemble', but --retrain-seeds is 1: give at least 2"),
        ({"stop_when_converged": 0.0}, "--stop-when-converged is 0.0, but must be a finite number above 0"),
        ({"stop_when_converged": -0.1}, "--stop-when-converged is -0.1, but must be a finite number above 0"),
        ({"stop_when_converged": float("inf")}, "--stop-when-converged is inf, but must be a finite number above 0"),
        ({"stop_when_converged": float("nan")}, "--stop-when-converged is nan, but must be a finite number above 0"),
        ({"seed": -1}, "--seed is -1, but must be at least 0"),
        ({"seed": 2**53}, r"--seed is 9007199254740992, but must be below 2\*\*53"),
        ({"min_epochs": 9, "max_epochs": 3}, "--max-epochs is 3, but must be at least --min-epochs, which is 9"),
        ({"budget": "0s"}, "--budget is '0s', but must be more than 0"),
        ({"scheduler": "ashaa"}, "--scheduler is 'ashaa', but must be one of: asha, asha-promote, hyperband, none"),
        ({"searcher": "gpp"}, "--searcher is 'gpp', but must be one of: auto, gp, random, tpe"),
        ({"name": "../elsewhere"}, "--name is '../elsewhere', but must be letters, digits"),
    ],
)
def test_an_impossible_value_is_refused_with_its_law(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        check(merge(StudyConfig(), nested(changes), "test"))


def test_values_by_field_name_find_their_sections() -> None:
    assert nested({"trials": 3, "dataset": "digits", "seed": 1}) == {
        "search": {"trials": 3},
        "data": {"dataset": "digits"},
        "seed": 1,
    }


def test_a_field_nobody_knows_is_refused_with_those_there_are() -> None:
    with pytest.raises(ConfigError, match=r"'trails', but must be one of: .*trials"):
        nested({"trails": 3})


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"search": {"trails": 3}}, "study.toml: search.trails is not known; did you mean 'trials'"),
        ({"search": {"trials": "many"}}, "study.toml: trials is 'many', but must be a whole number"),
        ({"search": {"trials": "64"}}, "study.toml: trials is '64', but must be a whole number"),
        ({"search": {"trials": True}}, "study.toml: trials is True, but must be a whole number"),
        ({"search": {"trials": 64.0}}, "study.toml: trials is 64.0, but must be a whole number"),
        ({"resources": {"gpus_per_trial": True}}, "gpus_per_trial is True, but must be a number or 'auto'"),
        ({"resources": {"cpus_per_trial": "2"}}, "cpus_per_trial is '2', but must be a whole number or 'auto'"),
        ({"retrain": {"keep": "both"}}, "keep is 'both', but must be 'single', 'ensemble' or 'auto'"),
        ({"direction": "max"}, "direction is 'max', but must be 'minimize' or 'maximize'"),
        ({"search": {"stop_when_converged": "0.001"}}, "stop_when_converged is '0.001', but must be a number"),
        ({"search": {"stop_when_converged": True}}, "stop_when_converged is True, but must be a number"),
        ({"retrain": {"baseline": "yes"}}, "baseline is 'yes', but must be true or false"),
        ({"budget": 90}, "study.toml: budget is 90, but must be text"),
        ({"search": {"objectives": "dev_accuracy"}}, "objectives is 'dev_accuracy', but must be a list"),
        ({"data": {"data_dir": 5}}, "data_dir is 5, but must be"),
        ({"name": {1, 2}}, "holds something that is no value of a study"),
        ({"space": "caf\udce9.py"}, r"study.toml: space is 'caf\\udce9.py', which is not UTF-8"),
        ({"search": 5}, "study.toml: search is 5, but must hold values by name"),
    ],
)
def test_a_file_is_read_strictly(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        from_dict(values, "study.toml")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("study.json", '{"search": {"trials": 7}}'),
        ("study.toml", "[search]\ntrials = 7\n"),
        ("study.yaml", "search:\n  trials: 7\n"),
    ],
)
def test_a_file_may_be_json_toml_or_yaml(tmp_path: Path, name: str, text: str) -> None:
    path = tmp_path / name
    path.write_text(text)
    assert merge(preset("smoke"), read_file(path), name).search == replace(preset("smoke").search, trials=7)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("study.ini", "", "must end in one of: .json, .toml, .yaml"),
        ("study.json", "{", "is not valid json"),
        ("study.toml", "= 3", "is not valid toml"),
        ("study.yaml", "a: [", "is not valid yaml"),
        ("study.yaml", "- 1", "must hold a mapping"),
        ("study.yaml", "!!python/object/apply:os.system ['touch hacked']", "is not valid yaml"),
    ],
)
def test_a_bad_file_is_refused_and_runs_nothing(tmp_path: Path, name: str, text: str, message: str) -> None:
    path = tmp_path / name
    path.write_text(text)
    with pytest.raises(ConfigError, match=message):
        read_file(path)


def test_what_yaml_merges_in_may_be_given_anew(tmp_path: Path) -> None:
    path = tmp_path / "study.yaml"
    path.write_text("a: &a {trials: 3, seed: 1}\nb: &b {<<: *a, trials: 4}\nc: {<<: *a, <<: *b}\nd: {1: x, '1': y}\n")
    assert read_file(path)["b"] == {"trials": 4, "seed": 1}


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("study.yaml", "trials: 4\nseed: 1\ntrials: 400\n"),
        ("study.yml", "search:\n  trials: 4\n  trials: 400\n"),
        ("study.json", '{"search": {"trials": 4, "trials": 400}}'),
    ],
)
def test_a_key_that_a_file_gives_twice_is_refused(tmp_path: Path, name: str, text: str) -> None:
    path = tmp_path / name
    path.write_text(text)
    with pytest.raises(ConfigError, match=rf"{name}', which gives 'trials' twice, but must give each key once"):
        read_file(path)


def test_a_mapping_of_yaml_may_be_merged_and_changed(tmp_path: Path) -> None:
    path = tmp_path / "study.yaml"
    path.write_text("data: &few {trials: 4, patience: 3}\nsearch:\n  <<: *few\n  trials: 5\n")
    assert read_file(path)["search"] == {"trials": 5, "patience": 3}


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"absent\.json.* cannot be read"):
        read_file(tmp_path / "absent.json")


def test_counts_replace_the_budget_they_came_without() -> None:
    counted = StudyConfig(budget="2h", search=SearchConfig(trials=64))
    assert without_replaced_budget(counted, {"trials"}).budget is None
    assert without_replaced_budget(counted, {"trials", "budget"}).budget == "2h"
    assert without_replaced_budget(counted, {"seed"}).budget == "2h"
    assert without_replaced_budget(counted, {"max_epochs"}).budget == "2h"  # given as None: no count


def test_a_field_may_stand_in_its_section_or_at_the_top_but_not_in_both() -> None:
    assert nested({"max-epochs": 3, "search": {"trials": 8}}) == {"search": {"max_epochs": 3, "trials": 8}}
    assert merge(StudyConfig(), {"trials": 8}, "study.yaml").search.trials == 8
    with pytest.raises(ConfigError, match=r"study\.yaml: trials is given twice: 8 and 9"):
        merge(StudyConfig(), {"trials": 8, "search": {"trials": 9}}, "study.yaml")
    with pytest.raises(ConfigError, match=r"study\.yaml: an argument of the study is 'trails', but must be one of: "):
        merge(StudyConfig(), {"trails": 8}, "study.yaml")


def test_a_tilde_in_a_file_is_the_users_home(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/ada")
    paths = {"storage": "~/runs", "space": "~/my.py", "data_dir": "~/data", "warm_start": "~/runs/first"}
    config = merge(StudyConfig(), paths, "study.yaml")
    assert (config.storage, config.space, config.search.warm_start) == (
        "/home/ada/runs",
        "/home/ada/my.py",
        "/home/ada/runs/first",
    )
    assert config.data.data_dir == Path("/home/ada/data")


def test_an_address_is_no_path_to_be_made_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for given, kept in (("s3://bucket/runs/a", "s3://bucket/runs/a"), ("runs/a", f"{tmp_path}/runs/a"), (None, None)):
        config = merge(StudyConfig(), {"warm_start": given}, "test")
        assert with_absolute_paths(config).search.warm_start == kept


def test_paths_may_be_given_as_paths() -> None:
    assert merge(StudyConfig(), {"data_dir": Path("data")}, "tune()").data.data_dir == Path("data")
    assert merge(StudyConfig(), {"warm_start": Path("runs/a")}, "tune()").search.warm_start == "runs/a"


def test_objectives_are_a_list_in_a_file_and_come_back_from_one() -> None:
    config = merge(StudyConfig(), {"search": {"objectives": ["dev_accuracy", "num_params"]}}, "study.yaml")
    assert config.search.objectives == ("dev_accuracy", "num_params")
    assert from_dict(json.loads(json.dumps(to_dict(config))), "config.json") == config
    with pytest.raises(ConfigError, match=r"study\.yaml: objectives is 'params', but must be a list"):
        merge(StudyConfig(), {"search": {"objectives": "params"}}, "study.yaml")


def test_a_configuration_written_before_there_were_objectives_has_one() -> None:
    written = to_dict(StudyConfig())
    del written["search"]["objectives"]
    assert from_dict(written, "config.json").search.objectives == ()


def test_a_search_ends_when_it_has_converged_only_where_that_was_asked_for() -> None:
    written = to_dict(StudyConfig())
    assert written["search"].pop("stop_when_converged") is None  # as it was before there was such a field
    assert from_dict(written, "config.json").search.stop_when_converged is None
    for threshold in (0.001, 2):
        config = merge(StudyConfig(), {"stop_when_converged": threshold}, "study.yaml")
        assert from_dict(json.loads(json.dumps(to_dict(config))), "config.json") == config
        assert config.search.stop_when_converged == threshold
