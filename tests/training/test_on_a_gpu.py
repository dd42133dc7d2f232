"""The built-in loop on a GPU: it learns what it learns on a CPU, goes on from a checkpoint, and is read without one.

Skipped without a GPU.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.training.conftest import NARROW
from tests.training.test_classifier import RECIPES
from tuner.data.dataset import SearchData
from tuner.training import checkpoints
from tuner.training.classifier import Classifier

MakeClassifier = Callable[..., Classifier]

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")

GPU = torch.device("cuda")
WITHOUT_DROPOUT = {name.replace("_width", "_dropout"): 0.0 for name in NARROW if "stem" not in name}
"""Which a GPU draws from a generator of its own."""


def hand_over(training: Classifier, other: Classifier, folder: Path) -> None:
    sha256 = checkpoints.save(training, folder / "checkpoint")
    checkpoints.load(other, folder / "checkpoint", sha256)


@pytest.mark.parametrize("recipe", RECIPES)
def test_a_training_learns_as_on_a_cpu(make_classifier: MakeClassifier, recipe: str) -> None:
    hparams = RECIPES[recipe] | WITHOUT_DROPOUT
    on_cpu, on_gpu = make_classifier(hparams), make_classifier(hparams, device=GPU)
    assert on_gpu.train_epoch()["train_loss"] == pytest.approx(on_cpu.train_epoch()["train_loss"], rel=0.02)


@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("recipe", RECIPES)
def test_a_resumed_training_goes_on_as_one_that_never_stopped(
    make_classifier: MakeClassifier, tmp_path: Path, precision: torch.dtype, recipe: str
) -> None:
    whole = make_classifier(RECIPES[recipe], precision=precision, device=GPU)
    whole.train_epoch()
    resumed = make_classifier(RECIPES[recipe], precision=precision, device=GPU)
    hand_over(whole, resumed, tmp_path)
    # Not bit for bit: cuDNN adds gradients up in an order of its own.
    assert resumed.train_epoch()["train_loss"] == pytest.approx(whole.train_epoch()["train_loss"], rel=0.02)


def test_what_a_gpu_trained_answers_alike_on_a_cpu(
    make_classifier: MakeClassifier, splits: SearchData, tmp_path: Path
) -> None:
    on_gpu = make_classifier(device=GPU)
    on_gpu.train_epoch()
    on_cpu = make_classifier()
    hand_over(on_gpu, on_cpu, tmp_path)
    np.testing.assert_allclose(on_cpu.probabilities(splits.dev), on_gpu.probabilities(splits.dev), atol=0.01)
