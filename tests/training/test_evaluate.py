"""Tests of `tuner.training.evaluate` against values computed by hand and with NumPy."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from tuner.data.dataset import SearchData
from tuner.data.splits import Split
from tuner.training.batches import Batches, Normalisation
from tuner.training.evaluate import evaluate
from tuner.training.session import Session

CPU = torch.device("cpu")


class MeanAgainstZero(nn.Module):
    """Two classes: class 0's logit is the image's mean, class 1's is 0."""

    def forward(self, images: Tensor) -> Tensor:
        mean = images.mean((1, 2, 3))
        return torch.stack([mean, torch.zeros_like(mean)], dim=1)


def test_accuracy_and_loss_are_those_computed_by_hand() -> None:
    # White is (1 - 0.5) / 0.25 = 2, black is -2.
    images = np.array([255, 0, 0], dtype=np.uint8)[:, None, None].repeat(28, axis=1).repeat(28, axis=2)
    batches = Batches(Split(images, np.array([0, 0, 1])), Normalisation((0.5,), (0.25,)), CPU)
    found = evaluate(MeanAgainstZero(), batches, device=CPU, precision=torch.float32)
    # Right, wrong, right; ln(1 + e^-2) = 0.126928 and ln(1 + e^2) = 2.126928.
    assert found.accuracy == pytest.approx(2 / 3)
    assert found.loss == pytest.approx((0.126928 + 2.126928 + 0.126928) / 3, abs=1e-6)
    assert found.n == 3


def test_a_split_of_several_batches_counts_every_image_alike() -> None:
    rng = np.random.default_rng(0)
    split = Split(rng.integers(0, 256, (601, 28, 28), dtype=np.uint8), rng.integers(0, 10, 601))
    layer = nn.Linear(784, 10)
    model = nn.Sequential(nn.Flatten(), layer)
    found = evaluate(model, Batches(split, Normalisation((0.4,), (0.3,)), CPU), device=CPU, precision=torch.float32)
    pixels = (split.images.reshape(601, 784) / 255 - 0.4) / 0.3
    logits = pixels @ layer.weight.detach().double().numpy().T + layer.bias.detach().double().numpy()
    log_likelihood = logits[np.arange(601), split.labels] - np.log(np.exp(logits).sum(axis=1))
    assert found.loss == pytest.approx(-log_likelihood.mean(), rel=1e-5)
    assert found.accuracy == pytest.approx((logits.argmax(axis=1) == split.labels).mean())
    assert found.n == 601


@pytest.mark.parametrize("training_mode", [True, False])
def test_measuring_changes_neither_the_model_nor_its_mode(
    make_training: Callable[..., Session], splits: SearchData, training_mode: bool
) -> None:
    model = make_training().model
    model.train(training_mode)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    batches = Batches(splits.dev, Normalisation.of(splits.train), CPU)
    first = evaluate(model, batches, device=CPU, precision=torch.float32)
    assert model.training is training_mode
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    # Dropout is off, else two measurements would differ.
    assert evaluate(model, batches, device=CPU, precision=torch.float32) == first


@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16])
def test_the_model_computes_in_the_precision_asked_for(splits: SearchData, precision: torch.dtype) -> None:
    model = nn.Sequential(nn.Flatten(), nn.Linear(784, 10))
    seen: set[torch.dtype] = set()
    model.register_forward_hook(lambda _module, _inputs, logits: seen.add(logits.dtype))
    evaluate(
        model,
        Batches(splits.dev, Normalisation.of(splits.train), CPU),
        device=CPU,
        precision=precision,
    )
    assert seen == {precision}
    assert model[1].weight.dtype is torch.float32


class Watched(nn.Module):
    """Keeps the sizes of the batches that it is given; one of more than `room` is too much for it."""

    def __init__(self, room: int = 10_000) -> None:
        super().__init__()
        self.room = room
        self.sizes: list[int] = []

    def forward(self, images: Tensor) -> Tensor:
        self.sizes.append(len(images))
        if len(images) > self.room:
            raise torch.OutOfMemoryError
        return images.flatten(1)[:, :2]


def of_noise(n: int, side: int) -> Split:
    rng = np.random.default_rng(0)
    return Split(rng.standard_normal((n, 1, side, side)).astype(np.float32), rng.integers(0, 2, n))


def test_large_images_are_measured_in_small_batches() -> None:
    small, large = Watched(), Watched()
    for model, side in ((small, 28), (large, 400)):
        evaluate(model, Batches(of_noise(10, side), None, CPU), device=CPU, precision=torch.float32)
    assert small.sizes == [10]
    assert large.sizes == [4, 4, 2]


def test_a_batch_that_finds_no_room_is_measured_in_parts() -> None:
    batches = Batches(of_noise(10, 4), None, CPU)
    narrow = Watched(room=3)
    found, expected = (evaluate(model, batches, device=CPU, precision=torch.float32) for model in (narrow, Watched()))
    assert found.accuracy == expected.accuracy
    assert found.loss == pytest.approx(expected.loss)
    assert sum(size for size in narrow.sizes if size <= 3) == 10
    with pytest.raises(torch.OutOfMemoryError):
        evaluate(Watched(room=0), batches, device=CPU, precision=torch.float32)
