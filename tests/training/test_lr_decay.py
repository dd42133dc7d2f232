"""Tests of `tuner.training.lr_decay`."""

from __future__ import annotations

import math

import pytest

from tuner.training.lr_decay import learning_rate


@pytest.mark.parametrize(
    ("epoch", "expected"),
    # 0.01 x 0.1^(epoch / 10), by hand: 10^-0.1 = 0.794328, 10^-0.2 = 0.630957, 10^-0.5 = 0.316228.
    [(0, 0.01), (1, 0.00794328), (2, 0.00630957), (5, 0.00316228), (10, 0.001), (20, 0.0001)],
)
def test_the_references_decay_falls_to_a_tenth_in_ten_epochs(epoch: int, expected: float) -> None:
    assert learning_rate(epoch, 0.01, 10.0) == pytest.approx(expected, rel=1e-5)


def test_a_shorter_decay_falls_faster() -> None:
    assert [learning_rate(epoch, 1.0, 2.0) for epoch in (0, 2, 4)] == pytest.approx([1.0, 0.1, 0.01])


def test_an_endless_decay_keeps_the_rate() -> None:
    assert learning_rate(50, 0.003, math.inf) == 0.003
