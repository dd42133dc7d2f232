from __future__ import annotations

import re

import pytest

from tuner.errors import ConfigError
from tuner.search.objectives import DEV_ACCURACY, LATENCY, OBJECTIVES, PARAMS, objectives_of


def test_dev_accuracy_is_maximised_and_what_a_model_costs_is_minimised() -> None:
    assert {name: one.direction for name, one in OBJECTIVES.items()} == {
        "dev_accuracy": "maximize",
        "params": "minimize",
        "latency": "minimize",
    }


def test_objectives_come_in_the_order_in_which_they_are_named() -> None:
    assert objectives_of(["dev_accuracy"]) == (DEV_ACCURACY,)
    assert objectives_of(["dev_accuracy", "latency", "params"]) == (DEV_ACCURACY, LATENCY, PARAMS)


ALL = "available are: dev_accuracy, params, latency."
ORDER = "but must begin with dev_accuracy, by which trials are compared at the rungs;"


@pytest.mark.parametrize(
    ("names", "reason"),
    [
        (["dev_accuracy", "flops"], "'flops', but must be one of: dev_accuracy, latency, params."),
        ([""], "'', but must be one of: dev_accuracy, latency, params."),
        (["dev_accuracy", "params", "params"], f"'dev_accuracy,params,params', but must name each once; {ALL}"),
        (["params", "dev_accuracy"], f"'params,dev_accuracy', {ORDER} {ALL}"),
        ([], f"'', {ORDER} {ALL}"),
    ],
)
def test_impossible_objectives_are_refused_with_those_there_are(names: list[str], reason: str) -> None:
    with pytest.raises(ConfigError, match=f"^{re.escape(f'--objectives is {reason}')}$"):
        objectives_of(names)
