from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest

from tuner.journal.events import Event, SearchEnded
from tuner.journal.history import History
from tuner.journal.store import Entry
from tuner.results.summary import summarize
from tuner.results.text import final_table, text_report


def test_the_final_table_shows_accuracies_side_by_side(finished: History) -> None:
    table = final_table(summarize(finished, "study")).splitlines()[:6]
    assert table == [
        "                 seeds             train             dev            test      test, 95%",
        "---------------------------------------------------------------------------------------",
        "reference        1                0.9731          0.9370          0.9353  0.9303-0.9400",
        "baseline         1 seed           0.9500          0.9000          0.8900  0.8837-0.8960",
        "tuned, mean      2 seeds  0.9700 ±0.0141  0.9350 ±0.0071  0.9150 ±0.0071  0.9094-0.9203",
        "tuned, in best/  2                0.9800          0.9400          0.9100  0.9042-0.9155",
    ]


def test_the_report_fits_into_100_columns_and_steers_no_terminal(finished: History) -> None:
    report = text_report(finished, "study")
    assert max(map(len, report.splitlines())) <= 100
    assert all(char.isprintable() or char == "\n" for char in report)


def test_the_report_says_how_much_earlier_a_search_ended_that_had_converged(
    build: Callable[[Sequence[Event]], History], finished_entries: list[Entry]
) -> None:
    events = [entry.event for entry in finished_entries]
    early = [replace(one, seconds_left=750.0) if isinstance(one, SearchEnded) else one for one in events]
    told = "until the search ended, which had converged 12m 30s before its time was over"
    assert told in " ".join(text_report(build(early), "study").split())
    assert "converged" not in text_report(build(events), "study")


def test_equal_histories_give_equal_texts(finished: History) -> None:
    assert text_report(finished, "study") == text_report(finished, "study")


def test_the_report_names_winner_failures_and_the_command_to_repeat(finished: History) -> None:
    report = text_report(finished, "study")
    assert "Trial 0 won with dev accuracy 0.9000 at epoch 2." in report
    assert "trial 2: loss is nan" in report
    assert "retraining of baseline, seed 2: the loss is inf" in report
    assert "tuner run --config runs/study/config.json --name study-again" in report
    assert "commit: c0ffee" in report


def test_a_command_to_copy_stays_in_one_piece(finished: History) -> None:
    storage = f"s3://{'a-bucket-with-a-long-name-' * 5}/runs"
    report = text_report(replace(finished, config={**finished.config, "storage": storage}), "study")
    assert f"\naws s3 cp {storage}/study/config.json study.json\ntuner run --config study.json" in report


@pytest.mark.parametrize("run", ["nothing", "searching"])
def test_an_unfinished_run_says_so(run: str, request: pytest.FixtureRequest) -> None:
    report = text_report(request.getfixturevalue(run), "study")
    assert "not finished" in report
    assert "The winner has not been retrained" in report


def test_a_run_without_an_epoch_has_no_winner(nothing: History) -> None:
    assert "There is no winner" in text_report(nothing, "study")


def test_with_several_objectives_two_lines_tell_of_the_front(
    build: Callable[[Sequence[Event]], History], two_objectives: list[Event]
) -> None:
    report = text_report(build(two_objectives), "study")
    section = report.split("Front\n=====\n")[1].split("\n\n")[0]
    assert " ".join(section.split()) == (
        "2 of 2 trials are on the front of best dev accuracy and num params: "
        "best dev accuracy 0.7000 to 0.9000, num params 400 to 1,000. "
        "report.html shows it; in trials.parquet it is on_front."
    )
    assert "Trial 0 won with dev accuracy 0.9000" in report
    # Before there is anything to show:
    assert "No trial has a value in each of best dev accuracy and num params yet." in text_report(
        build(two_objectives[:3]), "study"
    )


def test_with_one_objective_the_report_is_silent_about_a_front(finished: History) -> None:
    assert "front" not in text_report(finished, "study").lower()
