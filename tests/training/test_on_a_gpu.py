"""The built-in loop on a GPU: it learns what it learns on a CPU, goes on from a checkpoint, and is read without one.

Skipped without a GPU.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from tests.training.test_classifier import RECIPES
from tuner.data.dataset import SearchData
from tuner.data.mixing import Mixed
from tuner.models import available_models, get_model
from tuner.training import checkpoints
from tuner.training.classifier import Classifier
from tuner.training.hparams import TrainingHparams
from tuner.training.optimizers import build_optimizer, set_learning_rate
from tuner.training.step import build_step

MakeClassifier = Callable[..., Classifier]

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")

GPU = torch.device("cuda")
GENTLE = {"optimizer": "sgd", "learning_rate": 1e-4, "momentum": 0.0, "batch_size": 16}
"""Nine steps and a smaller one an epoch, in which small differences of rounding stay small."""


def hand_over(training: Classifier, other: Classifier, folder: Path) -> None:
    sha256 = checkpoints.save(training, folder / "checkpoint")
    other.load_state_dict(checkpoints.load_state(folder / "checkpoint", sha256))


@pytest.fixture(autouse=True)
def _exact(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)
    monkeypatch.setattr(torch.backends.cudnn, "deterministic", True)


def smooth() -> nn.Module:
    """Return a model without dropout, for which a GPU has a generator of its own, and without rectifiers and maxima, at
    whose edges the narrow CNN learns something else from weights that differ by a ten-millionth.
    """
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(1, 8, 3), nn.Tanh(), nn.AvgPool2d(2), nn.Flatten(), nn.Linear(8 * 13 * 13, 10))


def learned(training: Classifier) -> Tensor:
    """Train an epoch and return by how much the weights have changed."""
    before = weights(training)
    training.train_epoch()
    return weights(training) - before


def weights(training: Classifier) -> Tensor:
    return torch.cat([weight.detach().flatten().cpu() for weight in training.model.parameters()])


def assert_alike(found: Tensor, expected: Tensor) -> None:
    assert expected.norm() > 0
    assert (found - expected).norm() < 0.05 * expected.norm()


@pytest.mark.parametrize("is_static", [False, True], ids=["eager", "recorded"])
@pytest.mark.parametrize("recipe", RECIPES)
def test_a_training_learns_as_on_a_cpu(make_classifier: MakeClassifier, recipe: str, is_static: bool) -> None:
    hparams = RECIPES[recipe] | GENTLE
    on_cpu = make_classifier(hparams, model=smooth())
    on_gpu = make_classifier(hparams, model=smooth(), device=GPU, is_static=is_static)
    for _ in range(2):
        assert_alike(learned(on_gpu), learned(on_cpu))


@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("recipe", RECIPES)
def test_recorded_steps_of_every_recipe_learn_as_eager_ones(
    make_classifier: MakeClassifier, recipe: str, precision: torch.dtype
) -> None:
    hparams = RECIPES[recipe] | {"batch_size": 16, "learning_rate": 1e-4}
    eager, recorded = (
        make_classifier(hparams, model=smooth(), device=GPU, precision=precision, is_static=is_static)
        for is_static in (False, True)
    )
    for _ in range(2):
        assert_alike(learned(recorded), learned(eager))


@pytest.mark.parametrize("name", available_models())
def test_a_recorded_step_of_every_model_learns_as_an_eager_one(splits: SearchData, name: str) -> None:
    spec = get_model(name)
    assert spec.is_static
    hparams = GENTLE | {name: 0.0 for name in spec.defaults or {} if "dropout" in name}
    arguments: dict[str, Any] = {"seed": 5, "device": GPU, "max_epochs": 4, "precision": torch.float32}
    eager, recorded = (
        Classifier(spec.build, hparams, splits, **arguments, is_static=is_static) for is_static in (False, True)
    )
    for _ in range(2):
        assert_alike(learned(recorded), learned(eager))


def test_a_recorded_step_drops_other_activations_each_time_and_takes_the_rate_it_is_given() -> None:
    model = nn.Sequential(nn.Dropout(0.5), nn.Linear(64, 10)).to(GPU)
    hparams = TrainingHparams.of({"optimizer": "sgd", "learning_rate": 1e-9, "momentum": 0.0})
    optimizer = build_optimizer(model, hparams, recorded=True)
    arguments: dict[str, Any] = {"label_smoothing": 0.0, "device": GPU, "precision": torch.float32}
    step = build_step(model, optimizer, **arguments, recorded=True)
    labels = torch.zeros(32, dtype=torch.int64, device=GPU)
    batch = Mixed(torch.ones(32, 64, device=GPU), labels, labels, 1.0)
    logits = [step(batch).clone() for _ in range(7)]
    assert not any(torch.equal(one, other) for one, other in itertools.pairwise(logits))
    before = [weight.clone() for weight in model.parameters()]
    step(batch)
    assert all(torch.allclose(*pair, atol=1e-6) for pair in zip(before, model.parameters(), strict=True))
    set_learning_rate(optimizer, 0.1)
    step(batch)
    assert not any(torch.equal(*pair) for pair in zip(before, model.parameters(), strict=True))


@pytest.mark.parametrize("is_static", [False, True], ids=["eager", "recorded"])
@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("recipe", RECIPES)
def test_a_resumed_training_goes_on_as_one_that_never_stopped(
    make_classifier: MakeClassifier, tmp_path: Path, precision: torch.dtype, recipe: str, is_static: bool
) -> None:
    hparams = RECIPES[recipe] | {"batch_size": 16, "learning_rate": 1e-4}
    whole = make_classifier(hparams, precision=precision, device=GPU, is_static=is_static)
    whole.train_epoch()
    resumed = make_classifier(hparams, precision=precision, device=GPU, is_static=is_static)
    resumed.train_epoch()  # and recorded its steps, with another state
    hand_over(whole, resumed, tmp_path)
    assert_alike(learned(resumed), learned(whole))


@pytest.mark.parametrize("recipe", RECIPES)
def test_what_a_gpu_trained_answers_alike_on_a_cpu_and_goes_on_there(
    make_classifier: MakeClassifier, splits: SearchData, tmp_path: Path, recipe: str
) -> None:
    on_gpu = make_classifier(RECIPES[recipe], device=GPU, is_static=True)
    on_gpu.train_epoch()
    on_cpu = make_classifier(RECIPES[recipe])
    hand_over(on_gpu, on_cpu, tmp_path)
    np.testing.assert_allclose(on_cpu.probabilities(splits.dev), on_gpu.probabilities(splits.dev), atol=0.01)
    on_cpu.train_epoch()
    back = make_classifier(RECIPES[recipe], device=GPU, is_static=True)
    hand_over(on_cpu, back, tmp_path)
    assert math.isfinite(back.train_epoch()["train_loss"])
