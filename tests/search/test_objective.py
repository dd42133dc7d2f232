from __future__ import annotations

import re

import pytest

from tuner.errors import ConfigError
from tuner.search.objective import LATENCY, MEASURES, NUM_PARAMS, Objective, number_text, objectives_of

ACCURACY = Objective("dev_accuracy", proportion=True)
RMSE = Objective("dev_rmse", "minimize")


def test_what_a_model_costs_is_minimised() -> None:
    assert {name: one.direction for name, one in MEASURES.items()} == {"num_params": "minimize", "latency": "minimize"}


def test_a_higher_score_is_better_whatever_the_direction() -> None:
    assert ACCURACY.score(0.9) > ACCURACY.score(0.8)
    assert RMSE.score(0.8) > RMSE.score(0.9)
    assert RMSE.score(RMSE.score(0.83)) == 0.83


def test_a_score_is_shown_as_what_was_measured() -> None:
    assert RMSE.text_of_score(RMSE.score(0.83)) == "0.8300"
    assert ACCURACY.text_of_score(0.8) == "0.8000"


@pytest.mark.parametrize(
    ("value", "expected"),
    [(0.0, "0.0000"), (54.12346, "54.1235"), (-0.5, "-0.5000"), (3.2e-5, "3.2e-05"), (12345678.0, "1.235e+07")],
)
def test_a_number_shows_four_digits(value: float, expected: str) -> None:
    assert number_text(value) == expected


@pytest.mark.parametrize(("metric", "direction"), [("", "maximize"), (3, "maximize"), ("dev_rmse", "min")])
def test_an_impossible_objective_is_refused(metric: str, direction: str) -> None:
    with pytest.raises(ConfigError, match="but must be"):
        Objective(metric, direction)  # type: ignore[arg-type] # what a user's file may hold


def test_objectives_come_in_the_order_in_which_they_are_named() -> None:
    assert objectives_of([], ACCURACY) == (ACCURACY,)
    assert objectives_of(["dev_accuracy"], ACCURACY) == (ACCURACY,)
    assert objectives_of(["dev_accuracy", "latency", "num_params"], ACCURACY) == (ACCURACY, LATENCY, NUM_PARAMS)
    assert objectives_of(["dev_rmse:minimize", "dev_r2:maximize", "a:b:minimize"], RMSE) == (
        RMSE,
        Objective("dev_r2", "maximize"),
        Objective("a:b", "minimize"),
    )


UNKNOWN = (
    "is none of num_params, latency, so it must be a metric of the training with its direction, such as "
    "dev_loss:minimize or dev_f1:maximize."
)
ORDER = (
    "but must begin with dev_accuracy, the objective of the search space, by which trials are compared at the rungs; "
    "behind it may stand num_params, latency and other metrics, such as dev_loss:minimize."
)
DIRECTION = "but the direction of dev_accuracy, the objective of the search space, is"
MUST = "there, and must be 'maximize' or left out."


@pytest.mark.parametrize(
    ("names", "reason"),
    [
        (["dev_accuracy", "flops"], f"'dev_accuracy,flops', but 'flops' {UNKNOWN}"),
        (["dev_accuracy", "dev_loss:down"], f"'dev_accuracy,dev_loss:down', but 'dev_loss:down' {UNKNOWN}"),
        (["dev_accuracy", ":minimize"], f"'dev_accuracy,:minimize', but ':minimize' {UNKNOWN}"),
        ([""], f"'', {ORDER}"),
        (
            ["dev_accuracy", "num_params", "num_params"],
            "'dev_accuracy,num_params,num_params', but must name each metric once.",
        ),
        (["num_params", "dev_accuracy"], f"'num_params,dev_accuracy', {ORDER}"),
        (
            ["dev_accuracy:minimize"],
            f"'dev_accuracy:minimize', {DIRECTION} 'minimize' {MUST}",
        ),
        (
            ["dev_accuracy:maximise"],
            f"'dev_accuracy:maximise', {DIRECTION} 'maximise' {MUST}",
        ),
    ],
)
def test_impossible_objectives_are_refused_with_those_there_are(names: list[str], reason: str) -> None:
    with pytest.raises(ConfigError, match=f"^{re.escape(f'--objectives is {reason}')}$"):
        objectives_of(names, ACCURACY)
