from __future__ import annotations

import time
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from tuner.training import latency as module
from tuner.training.latency import latency
from tuner.training.session import Session

CPU = torch.device("cpu")


class Sleeping(nn.Module):
    """Takes as long as it is told for each image, and notes what it was given."""

    def __init__(self, seconds: Callable[[int], float]) -> None:
        super().__init__()
        self.seconds = seconds
        self.seen: list[tuple[tuple[int, ...], bool, bool]] = []

    def forward(self, images: Tensor) -> Tensor:
        self.seen.append((tuple(images.shape), self.training, torch.is_inference_mode_enabled()))
        time.sleep(self.seconds(len(self.seen)))
        return images


def measure(model: nn.Module) -> float:
    return latency(model, torch.zeros(1, 1, 28, 28), device=CPU, precision=torch.float32)


def test_the_latency_is_the_median_of_passes_of_one_image_in_evaluation_mode() -> None:
    model = Sleeping(lambda call: 0.02 if call % 9 == 0 else 0.002)
    assert 0.002 <= measure(model) < 0.01
    assert set(model.seen) == {((1, 1, 28, 28), False, True)}
    assert model.training


def test_the_first_passes_only_warm_up() -> None:
    model = Sleeping(lambda call: 0.05 if call <= module._WARM_UP else 0.001)
    assert measure(model) < 0.02


def test_a_slow_model_is_measured_by_fewer_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_ENOUGH_SECONDS", 0.01)
    model = Sleeping(lambda call: 0.003)
    measure(model)
    assert len(model.seen) == module._WARM_UP + module._FEWEST_PASSES


def test_a_training_goes_on_as_if_nothing_had_been_measured(make_training: Callable[..., Session]) -> None:
    measured, other = make_training(), make_training()
    measured.run_epoch()
    other.run_epoch()
    assert measure(measured.model) > 0
    assert measured.run_epoch().metrics == other.run_epoch().metrics
    state, expected = measured.model.state_dict(), other.model.state_dict()
    assert all(torch.equal(state[name], weights) for name, weights in expected.items())
