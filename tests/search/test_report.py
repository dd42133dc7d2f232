import math
from collections.abc import Mapping

import pytest

from tuner.search.objective import Objective
from tuner.search.report import EpochReport, best_of, evaluated

ACCURACY = Objective("dev_accuracy", "maximize")


def reports(*metrics: Mapping[str, float]) -> list[EpochReport]:
    return [EpochReport(epoch, values, 1.0) for epoch, values in enumerate(metrics, 1)]


@pytest.mark.parametrize(
    ("losses", "expected"),
    [((0.5, 0.3, 0.4), 2), ((0.3, 0.3, 0.3), 1), ((math.nan, 0.9, 0.9), 2)],
)
def test_of_equals_by_the_objective_the_lower_loss_is_best_and_then_the_earlier_epoch(
    losses: tuple[float, ...], expected: int
) -> None:
    found = best_of(reports(*({"dev_accuracy": 0.9, "dev_loss": loss} for loss in losses)), ACCURACY)

    assert found is not None
    assert found.epoch == expected


def test_no_loss_makes_up_for_a_worse_objective_and_none_is_needed() -> None:
    better = best_of(
        reports({"dev_accuracy": 0.9, "dev_loss": 0.9}, {"dev_accuracy": 0.89, "dev_loss": 0.1}, {"dev_accuracy": 0.9}),
        ACCURACY,
    )

    assert better is not None
    assert better.epoch == 1


@pytest.mark.parametrize("metric", ["dev_acc", "val_acc", "acc"])
def test_an_evaluation_tells_of_the_objective_without_the_name_of_a_split(metric: str) -> None:
    assert evaluated({"loss": 0.3, "acc": 0.9}, Objective(metric, "maximize")) == 0.9
