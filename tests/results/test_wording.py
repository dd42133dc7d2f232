from __future__ import annotations

from dataclasses import replace

import pytest

from tests.results.conftest import AFTER, OPENING, SEARCH, Build, three_of_which_one_diverged
from tuner.config import NOTEBOOK
from tuner.journal.events import EnsembleMeasured, RetrainFailed
from tuner.journal.history import History
from tuner.results.summary import summarize
from tuner.results.wording import (
    answer_line,
    commands_to_repeat,
    duration,
    final_notes,
    flatten,
    hparam_text,
    plain,
    short_duration,
)


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (-1, "0.0s"),
        (0, "0.0s"),
        (59.94, "59.9s"),
        (59.97, "1m 00s"),
        (61.4, "1m 01s"),
        (245, "4m 05s"),
        (3599.7, "1h 00m 00s"),
        (3720, "1h 02m 00s"),
        (7322, "2h 02m 02s"),
    ],
)
def test_durations_read_naturally(seconds: float, expected: str) -> None:
    assert duration(seconds) == expected


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (-1, "0.0ms"),
        (0.00004, "0.0ms"),
        (0.0012, "1.2ms"),
        (0.00996, "10ms"),
        (0.0994, "99ms"),
        (0.0996, "0.1s"),
        (61, "1m 01s"),
    ],
)
def test_very_short_durations_are_told_in_milliseconds(seconds: float, expected: str) -> None:
    assert short_duration(seconds) == expected


def test_control_characters_are_replaced() -> None:
    assert plain("a\x1b[31m\r\nb") == "a\N{REPLACEMENT CHARACTER}[31m\N{REPLACEMENT CHARACTER}\nb"


def test_nested_values_get_dotted_names() -> None:
    nested: dict[str, object] = {"a": {"b": 1, "c": [1, 2]}, "d": None, "e": []}
    assert list(flatten(nested)) == [("a.b", "1"), ("a.c", "1, 2"), ("d", "-"), ("e", "-")]


def test_a_float_keeps_six_digits_and_a_boolean_its_name() -> None:
    assert [hparam_text(value) for value in (0.00123456789, True, 3, "adam")] == ["0.00123457", "True", "3", "adam"]


def test_a_seed_without_a_finite_value_is_told_in_the_answer_and_below_the_table(build: Build) -> None:
    summary = summarize(build([*OPENING, *SEARCH, *AFTER[:2], *three_of_which_one_diverged()]), "study")
    told = "0.9150 ±0.0071 (mean of 2 of 3 seeds: 1 had no finite number)"
    assert told in answer_line(summary)
    assert final_notes(summary)[2:] == (
        "tuned, mean: for 1 of 3 seeds on test the accuracy is no finite number; what stands there is of the rest.",
    )


def test_a_retraining_that_failed_is_told_in_the_answer_and_below_the_table(finished: History) -> None:
    summary = summarize(finished, "study")
    assert "the baseline's 0.8900 (1 of 2 seeds: 1 failed)" in answer_line(summary)
    assert final_notes(summary)[2:] == (
        "baseline: the retraining failed once more; what stands there is of the seeds that ended.",
    )


def test_where_every_seed_has_its_value_nothing_is_told_of_that(build: Build) -> None:
    events = [event for event in (*OPENING, *SEARCH, *AFTER) if not isinstance(event, RetrainFailed)]
    summary = summarize(build(events), "study")
    assert len(final_notes(summary)) == 2
    assert "(mean of 2 seeds)" in answer_line(summary)


def test_of_an_ensemble_in_best_it_is_told_what_lies_there(finished: History) -> None:
    found = {"dev": {"accuracy": 0.95, "n": 10000}, "test": {"accuracy": 0.92, "n": 10000}}
    ensemble = EnsembleMeasured([1, 2], found, "w", "h")
    history = replace(finished, ensemble=ensemble, config={**finished.config, "retrain": {"keep": "ensemble"}})
    notes = " ".join(final_notes(summarize(history, "study")))
    assert "in best/: all of these seeds, which answer with the mean of their probabilities" in notes
    assert "whose weights are kept" not in notes


def test_a_run_of_objects_is_not_said_to_be_repeated_by_a_command(finished: History) -> None:
    (told,) = commands_to_repeat(replace(finished, config={**finished.config, "space": NOTEBOOK}), "study")
    assert told.startswith("# tuner.tune(")
    assert "runs/study/config.json" in told


def test_a_run_in_a_folder_is_repeated_by_one_command(finished: History) -> None:
    assert commands_to_repeat(finished, "my study") == (
        "tuner run --config 'runs/my study/config.json' --name 'my study-again'",
    )


@pytest.mark.parametrize("storage", ["s3://bucket/runs", "s3://bucket/runs/"])
def test_of_a_run_in_a_bucket_the_configuration_is_fetched_first(finished: History, storage: str) -> None:
    there = replace(finished, config={**finished.config, "storage": storage})
    assert commands_to_repeat(there, "night") == (
        "aws s3 cp s3://bucket/runs/night/config.json night.json",
        "tuner run --config night.json --name night-again",
    )
