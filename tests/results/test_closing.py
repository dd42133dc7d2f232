"""Tests of `tuner.results.closing`: the answer stands there plainly, and what to do next can be copied."""

from __future__ import annotations

import pytest

from tuner.journal.history import History
from tuner.results.best import BestDescription
from tuner.results.closing import closing

IMAGES = BestDescription("cnn", "cnn", "fashion-mnist", {}, mean=0.3, std=0.3)
ELSE = BestDescription("fit", "fit.py", "fit.py", {})


def test_a_run_ends_with_its_answer_the_table_and_where_to_go_on(finished: History) -> None:
    assert closing(finished, "runs/study", IMAGES).splitlines() == [
        "After tuning, the test accuracy is 0.9150 ±0.0071 (mean of 2 seeds); the baseline's 0.8900 (1 of 2",
        "seeds: 1 failed), the reference's 0.9353.",
        "",
        "                 seeds               dev            test      test, 95%",
        "-----------------------------------------------------------------------",
        "reference        1                0.9370          0.9353  0.9303-0.9400",
        "baseline         1 seed           0.9000          0.8900  0.8837-0.8960",
        "tuned, mean      2 seeds  0.9350 ±0.0071  0.9150 ±0.0071  0.9094-0.9203",
        "tuned, in best/  2                0.9400          0.9100  0.9042-0.9155",
        "",
        "Search    4 trials: 1 RUNNING, 1 COMPLETE, 1 PRUNED, 1 FAILED; 5 epochs in the search; 34.0s, of it",
        "          24.0s until the search ended",
        "Winner    trial 0: lr 1, widths [8, 16]",
        "Report    runs/study/report.html",
        "Next      tuner predict runs/study IMAGE...  # ask the model about your images",
        "          tuner report runs/study            # the whole report as text",
    ]


def test_on_a_narrow_screen_a_command_stays_in_one_piece(finished: History) -> None:
    lines = closing(finished, "runs/study", IMAGES, 50).splitlines()
    assert "Next      tuner predict runs/study IMAGE..." in lines
    assert "          tuner report runs/study" in lines


@pytest.mark.parametrize("run", ["nothing", "searching"])
def test_a_run_without_a_result_says_that(run: str, request: pytest.FixtureRequest) -> None:
    text = closing(request.getfixturevalue(run), "runs/study", IMAGES)
    assert text.splitlines()[0] in (
        "No trial has finished an epoch yet.",
        "The best so far is trial 0: dev accuracy 0.9000.",
    )
    assert "tuned" not in text


def test_a_model_of_anything_else_is_not_asked_about_images(finished: History) -> None:
    lines = closing(finished, "my runs/study", ELSE).splitlines()
    assert lines[-1] == "Next      tuner report 'my runs/study'  # the whole report as text"
