"""Tests of `tuner.training.averaging`: the average against one computed by hand, and its batch norm's statistics."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from tuner.training.averaging import AveragedModel


def averaged_over(values: list[float], steps: float) -> float:
    model = nn.Linear(1, 1, bias=False)
    with torch.no_grad():
        model.weight.fill_(values[0])
    averaged = AveragedModel(model, steps)
    for value in values[1:]:
        with torch.no_grad():
            model.weight.fill_(value)
        averaged.update(model)
    weight = averaged.model.weight
    assert isinstance(weight, torch.Tensor)
    return weight.item()


def test_early_on_the_average_forgets_its_first_weights_soon() -> None:
    # Shares of what was before: 1/10, 2/11, 3/12.
    expected = 8.0
    for share, value in ((1 / 10, 1.0), (2 / 11, 2.0), (3 / 12, 3.0)):
        expected = share * expected + (1 - share) * value
    assert averaged_over([8.0, 1.0, 2.0, 3.0], 20.0) == pytest.approx(expected)


def test_later_a_step_counts_as_its_age_in_average_steps() -> None:
    history = [0.0] * 1000 + [1.0] * 20  # after 1,000 steps the average reaches over 20, not over more
    assert averaged_over(history, 20.0) == pytest.approx(1.0 - math.exp(-1.0))


def test_the_statistics_are_those_of_the_averaged_weights_without_dropout() -> None:
    torch.manual_seed(0)
    inputs = [torch.randn(50, 3) * 4 + 1, torch.randn(50, 3) * 4 + 1]
    model = nn.Sequential(nn.Dropout(0.5), nn.Linear(3, 2), nn.BatchNorm1d(2))
    averaged = AveragedModel(model, 10.0)
    averaged.measure_statistics(model, inputs)
    assert isinstance(averaged.model, nn.Sequential)
    norm = averaged.model[2]
    assert isinstance(norm, nn.BatchNorm1d)
    with torch.no_grad():
        batches = [model[1](batch) for batch in inputs]
    mean = torch.stack([batch.mean(0) for batch in batches]).mean(0)
    variance = torch.stack([batch.var(0) for batch in batches]).mean(0)
    torch.testing.assert_close(norm.running_mean, mean)
    torch.testing.assert_close(norm.running_var, variance)
    assert norm.momentum == 0.1
    assert not model.state_dict()["2.running_mean"].any()


class Counting(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.seen = nn.Buffer(torch.zeros(1))


def test_other_buffers_are_the_models() -> None:
    model = Counting()
    averaged = AveragedModel(model, 10.0)
    model.seen.fill_(7.0)
    averaged.measure_statistics(model, [])
    assert isinstance(averaged.model, Counting)
    assert averaged.model.seen.item() == 7.0


def test_a_frozen_part_keeps_the_statistics_that_it_came_with() -> None:
    torch.manual_seed(0)
    frozen, trained = nn.BatchNorm1d(3), nn.BatchNorm1d(3)
    frozen.running_mean = torch.full((3,), 5.0)
    model = nn.Sequential(frozen, trained)
    frozen.eval()  # as who tunes the rest of a pretrained model does, again after each `train()`
    averaged = AveragedModel(model, 10.0)
    averaged.measure_statistics(model, [torch.randn(50, 3)])
    found = averaged.model.state_dict()
    assert found["0.running_mean"].tolist() == [5.0] * 3
    assert found["1.running_mean"].tolist() == pytest.approx([-5.0] * 3, abs=0.5)


def test_what_no_training_changes_is_left_as_it_is() -> None:
    model = nn.Linear(2, 1)
    model.places = nn.Parameter(torch.arange(3), requires_grad=False)  # torch blends no integers
    model.register_buffer("expanded", torch.ones(1).expand(4))  # which torch does not write into
    averaged = AveragedModel(model, 10.0)
    averaged.update(model)
    averaged.measure_statistics(model, [])
    assert averaged.model.state_dict()["places"].tolist() == [0, 1, 2]
