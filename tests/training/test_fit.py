"""Tests of `tuner.training.fit`: the loop against an independent one, and resumed against never stopped."""

from __future__ import annotations

import copy
import pickle
import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from tuner.data import load_dataset
from tuner.data.dataset import SearchData
from tuner.data.splits import Split
from tuner.models import get_model
from tuner.training import checkpoints
from tuner.training.batches import Batches
from tuner.training.evaluate import evaluate
from tuner.training.fit import EpochReport, NonFiniteLossError, Training, fit
from tuner.training.initialise import build_seeded

MakeTraining = Callable[..., Training]
CPU = torch.device("cpu")


def moments_of(data: SearchData) -> tuple[float, float]:
    mean, std = data.train.moments
    return mean, std


EVERYTHING_RANDOM = {
    "optimizer": "adamw",
    "weight_decay": 0.01,
    "label_smoothing": 0.1,
    "flip": True,
    "shift": 2,
    "erasing": 0.5,
}
"""Besides dropout, which the reference CNN has anyway."""


def linear() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(784, 10))


def state_of(training: Training) -> dict[str, Any]:
    """Return a copy of all that makes the training, without the time it took."""
    state = copy.deepcopy(training.state_dict())
    state["reports"] = [replace(report, seconds=0.0) for report in training.reports]
    return state


def assert_identical(one: Any, other: Any) -> None:
    """Compare nested states bit for bit."""
    assert type(one) is type(other)
    if isinstance(one, Tensor):
        assert one.dtype is other.dtype
        assert torch.equal(one, other)
    elif isinstance(one, dict):
        assert one.keys() == other.keys()
        for key in one:
            assert_identical(one[key], other[key])
    elif isinstance(one, list | tuple):
        assert len(one) == len(other)
        for pair in zip(one, other, strict=True):
            assert_identical(*pair)
    else:
        assert one == other


def random_states() -> bytes:
    """Return the state of all three global random generators."""
    return pickle.dumps((torch.get_rng_state().tolist(), random.getstate(), np.random.get_state()))


def report_of(epoch: int, dev_accuracy: float) -> EpochReport:
    return EpochReport(epoch, 1.0, 0.5, 1.0, dev_accuracy, 0.01, 1.0)


def differ(one: nn.Module, other: nn.Module) -> bool:
    return any(not torch.equal(*pair) for pair in zip(one.parameters(), other.parameters(), strict=True))


@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16])
def test_a_resumed_training_equals_an_uninterrupted_one_bit_for_bit(
    make_training: MakeTraining, tmp_path: Path, precision: torch.dtype
) -> None:
    whole = make_training(EVERYTHING_RANDOM, precision=precision)
    list(fit(whole))
    training = make_training(EVERYTHING_RANDOM, precision=precision)
    while not training.finished:
        training.run_epoch()
        path = tmp_path / f"{training.epoch}.pt"
        sha256 = checkpoints.save(training, path)
        torch.manual_seed(training.epoch)  # another process has another random state,
        training = make_training(EVERYTHING_RANDOM, precision=precision, model_seed=99)  # and other first weights
        checkpoints.load(training, path, sha256)
    assert whole.epoch == 4
    assert_identical(state_of(training), state_of(whole))


def test_another_seed_trains_otherwise(make_training: MakeTraining) -> None:
    one, other = make_training(seed=5), make_training(seed=6)
    assert not differ(one.model, other.model)
    one.run_epoch()
    other.run_epoch()
    assert differ(one.model, other.model)


def test_every_epoch_has_its_own_batch_order(make_training: MakeTraining) -> None:
    model = linear()
    seen: list[float] = []
    model.register_forward_hook(lambda _module, inputs, _logits: seen.append(float(inputs[0].sum())))
    training = make_training(model=model)
    epochs = []
    for _ in range(2):
        seen.clear()
        training.run_epoch()
        epochs.append(seen[:5])  # the rest is dev
    assert epochs[0] != epochs[1]


def test_every_epoch_has_its_own_dropout(make_training: MakeTraining, splits: SearchData) -> None:
    """All images are alike, so their order makes no difference."""
    half = np.full_like(splits.train.images, 255)
    half[:, :14] = 0
    white = Split(half, splits.train.labels)
    model = nn.Sequential(nn.Flatten(), nn.Dropout(0.5), nn.Linear(784, 10))
    dropped: list[Tensor] = []
    model[1].register_forward_hook(lambda module, _inputs, kept: dropped.append(kept == 0) if module.training else None)
    training = make_training({"batch_size": 150}, model=model, splits=replace(splits, train=white))
    training.run_epoch()
    training.run_epoch()
    first, second = dropped
    assert first.float().mean() == pytest.approx(0.5, abs=0.01)
    assert not torch.equal(first, second)


@pytest.mark.parametrize(("optimizer", "reference"), [("adam", torch.optim.Adam), ("adamw", torch.optim.AdamW)])
def test_the_steps_are_those_of_torchs_own_optimizer(
    splits: SearchData, optimizer: str, reference: Callable[..., torch.optim.Optimizer]
) -> None:
    """With all images in one batch the order does not matter, and a loop of a few lines must agree."""
    hparams = {
        "optimizer": optimizer, "learning_rate": 0.003, "decay_epochs": 2.0, "weight_decay": 0.1,
        "label_smoothing": 0.2, "batch_size": 1000,
    }  # fmt: skip
    training = Training(
        linear(), hparams, splits, seed=0, max_epochs=5, patience=None, device=CPU, precision=torch.float32,
        keep_best=False,
    )  # fmt: skip
    reports = list(fit(training))

    model = linear()
    mean, std = splits.train.moments
    images = (torch.from_numpy(splits.train.images).double() / 255 - mean).float() / std
    labels = torch.from_numpy(splits.train.labels)
    losses: list[float] = []
    for lr in (0.003, 0.003 * 0.1**0.5, 0.0003, 0.0003 * 0.1**0.5, 0.00003):
        if not losses:
            steps = reference(model.parameters(), lr=lr, weight_decay=0.1, fused=False, foreach=False)
        steps.param_groups[0]["lr"] = lr
        steps.zero_grad()
        logits = model(images)
        losses.append(functional.cross_entropy(logits, labels).item())
        torch.autograd.backward(functional.cross_entropy(logits, labels, label_smoothing=0.2))
        steps.step()

    assert [report.train_loss for report in reports] == pytest.approx(losses, rel=1e-4)
    torch.testing.assert_close(training.model.state_dict(), model.state_dict(), rtol=1e-4, atol=1e-6)
    assert differ(linear(), training.model)


def test_the_two_optimizers_differ_where_weights_decay(make_training: MakeTraining) -> None:
    one, other = (make_training({"optimizer": name, "weight_decay": 0.1}) for name in ("adam", "adamw"))
    one.run_epoch()
    other.run_epoch()
    assert differ(one.model, other.model)


def test_the_learning_rates_are_the_references(make_training: MakeTraining) -> None:
    # 0.01 x 0.1^(epoch / 10) for epochs 0 to 3, by hand.
    rates = [report.lr for report in fit(make_training())]
    assert rates == pytest.approx([0.01, 0.00794328, 0.00630957, 0.00501187], rel=1e-5)


def test_a_stopped_training_is_a_prefix_of_the_longer_one(make_training: MakeTraining) -> None:
    short, long = make_training(max_epochs=2), make_training(max_epochs=4)
    short_reports, long_reports = list(fit(short)), list(fit(long))
    assert [replace(report, seconds=0.0) for report in short_reports] == [
        replace(report, seconds=0.0) for report in long_reports[:2]
    ]


def test_fit_yields_every_epoch_up_to_the_last(make_training: MakeTraining) -> None:
    training = make_training(max_epochs=3)
    assert [report.epoch for report in fit(training)] == [1, 2, 3]
    assert training.finished
    assert list(fit(training)) == []


def test_the_report_holds_the_running_values_and_the_dev_evaluation(
    make_training: MakeTraining, splits: SearchData
) -> None:
    """The running values are means over the images in training mode, a short last batch counting as it has images."""
    training = make_training(model=linear())
    seen: list[tuple[Tensor, int]] = []
    labels = torch.from_numpy(splits.train.labels)
    pixels = Batches(splits.train, *moments_of(splits), CPU)
    ((images, _),) = pixels.in_order(len(labels))
    number = {image.numpy().tobytes(): index for index, image in enumerate(images)}
    training.model.register_forward_hook(
        lambda module, inputs, logits: seen.extend(
            (row.detach().clone(), number[image.contiguous().numpy().tobytes()])
            for image, row in zip(inputs[0], logits, strict=True)
        ) if module.training else None
    )  # fmt: skip
    report = training.run_epoch()
    logits = torch.stack([row for row, _ in seen])
    targets = labels[[index for _, index in seen]]
    assert sorted(index for _, index in seen) == list(range(len(labels)))
    assert report.train_loss == pytest.approx(functional.cross_entropy(logits, targets).item(), rel=1e-5)
    assert report.train_accuracy == pytest.approx((logits.argmax(1) == targets).double().mean().item())
    dev = evaluate(training.model, Batches(splits.dev, *moments_of(splits), CPU), device=CPU, precision=torch.float32)
    assert (report.dev_loss, report.dev_accuracy) == (dev.loss, dev.accuracy)
    assert report.seconds > 0


@pytest.mark.parametrize(
    ("accuracies", "best_epoch", "finished"),
    # Patience 2, at most 6 epochs.
    [
        ([], None, False),
        ([0.3], 1, False),
        ([0.3, 0.2], 1, False),
        ([0.3, 0.2, 0.1], 1, True),
        ([0.3, 0.5, 0.5], 2, False),  # an equal is nothing better
        ([0.3, 0.5, 0.5, 0.4], 2, True),
        ([0.3, 0.5, 0.4, 0.6], 4, False),
        ([0.1, 0.2, 0.3, 0.4, 0.5, 0.6], 6, True),
    ],
)
def test_patience_counts_the_epochs_since_the_best(
    make_training: MakeTraining, accuracies: list[float], best_epoch: int | None, finished: bool
) -> None:
    training = make_training(patience=2, max_epochs=6)
    training.reports = [report_of(epoch, accuracy) for epoch, accuracy in enumerate(accuracies, 1)]
    assert (training.best and training.best.epoch) == best_epoch
    assert training.finished is finished


def test_without_patience_only_the_epochs_end_a_training(make_training: MakeTraining) -> None:
    training = make_training(patience=None, max_epochs=6)
    training.reports = [report_of(epoch, 1.0 / epoch) for epoch in range(1, 6)]
    assert not training.finished


def misleading(splits: SearchData) -> SearchData:
    """Dev is train with every label one too high: whoever learns train gets dev wrong, soon always."""
    return replace(splits, dev=Split(splits.train.images, (splits.train.labels + 1) % 10))


@pytest.mark.parametrize("resumed", [False, True])
def test_early_stopping_restores_the_best_dev_weights(
    make_training: MakeTraining, splits: SearchData, tmp_path: Path, resumed: bool
) -> None:
    arguments = {"model": linear(), "splits": misleading(splits), "patience": 3, "max_epochs": 50}
    hparams = {"learning_rate": 0.0003, "decay_epochs": 1000.0}
    training = make_training(hparams, **arguments)
    weights = []
    for _ in fit(training):
        weights.append(copy.deepcopy(training.model.state_dict()))
    assert training.best is not None
    assert training.epoch == training.best.epoch + 3 < 50
    if resumed:
        sha256 = checkpoints.save(training, tmp_path / "last.pt")
        training = make_training(hparams, **{**arguments, "model": linear()})
        checkpoints.load(training, tmp_path / "last.pt", sha256)
    assert_identical(dict(training.model.state_dict()), dict(weights[-1]))
    training.restore_best()
    best = training.best
    assert best is not None
    assert_identical(dict(training.model.state_dict()), dict(weights[best.epoch - 1]))
    dev = Batches(misleading(splits).dev, *moments_of(splits), CPU)
    found = evaluate(training.model, dev, device=CPU, precision=torch.float32)
    assert (found.accuracy, found.loss) == (best.dev_accuracy, best.dev_loss)
    assert found.accuracy > training.reports[-1].dev_accuracy


def test_weights_of_the_best_epoch_are_kept_only_if_wanted(make_training: MakeTraining) -> None:
    training = make_training(keep_best=False)
    training.run_epoch()
    assert training.state_dict()["best_weights"] is None


def test_a_learning_rate_beyond_reason_ends_with_epoch_and_reason(make_training: MakeTraining) -> None:
    training = make_training({"learning_rate": 1e38}, model=linear())
    with pytest.raises(NonFiniteLossError, match=r"^the (train|dev) loss is (nan|inf) in epoch 1\.$"):
        training.run_epoch()
    assert training.epoch == 0


def test_the_epoch_that_diverged_is_named(make_training: MakeTraining) -> None:
    training = make_training()
    training.run_epoch()
    with torch.no_grad():
        next(training.model.parameters()).fill_(float("nan"))
    with pytest.raises(NonFiniteLossError, match=r"^the train loss is nan in epoch 2\.$"):
        training.run_epoch()
    assert [report.epoch for report in training.reports] == [1]


@pytest.mark.parametrize(("first_bad_step", "steps"), [(0, 1), (50, 101), (295, 300)])
def test_a_diverged_training_ends_soon_and_not_only_with_its_epoch(
    splits: SearchData, make_training: MakeTraining, first_bad_step: int, steps: int
) -> None:
    """300 steps an epoch; the loss is asked for after steps 0, 100, 200 and at the end."""
    large = replace(splits, train=Split(splits.train.images.repeat(4, axis=0), splits.train.labels.repeat(4)))
    model = linear()
    done = 0

    def poison(_module: nn.Module, _inputs: object, logits: Tensor) -> Tensor:
        nonlocal done
        done += 1
        return logits * float("inf") if done > first_bad_step else logits

    model.register_forward_hook(poison)
    with pytest.raises(NonFiniteLossError, match="the train loss is"):
        make_training({"batch_size": 2, "learning_rate": 1e-5}, model=model, splits=large).run_epoch()
    assert done == steps


def test_a_dev_loss_that_is_not_finite_is_a_divergence_too(make_training: MakeTraining) -> None:
    model = linear()
    model.register_forward_hook(lambda module, _inputs, logits: logits if module.training else logits * float("nan"))
    with pytest.raises(NonFiniteLossError, match=r"^the dev loss is nan in epoch 1\.$"):
        make_training(model=model).run_epoch()


@pytest.mark.parametrize("diverges", [False, True])
def test_the_callers_random_state_is_not_disturbed(make_training: MakeTraining, diverges: bool) -> None:
    training = make_training(EVERYTHING_RANDOM)
    if diverges:
        with torch.no_grad():
            next(training.model.parameters()).fill_(float("nan"))
    before = random_states()
    try:
        training.run_epoch()
    except NonFiniteLossError:
        assert diverges
    assert random_states() == before


def test_dropout_follows_the_trainings_seed_and_not_the_callers_random_state(make_training: MakeTraining) -> None:
    trainings = []
    for global_seed in (1, 2):
        torch.manual_seed(global_seed)
        trainings.append(make_training(EVERYTHING_RANDOM))
        trainings[-1].run_epoch()
    assert_identical(state_of(trainings[0]), state_of(trainings[1]))


def test_read_only_arrays_as_ray_gives_train_as_others_do(make_training: MakeTraining, splits: SearchData) -> None:
    def read_only(split: Split) -> Split:
        images, labels = split.images.copy(), split.labels.copy()
        images.setflags(write=False)
        labels.setflags(write=False)
        return Split(images, labels)

    sealed = replace(splits, train=read_only(splits.train), dev=read_only(splits.dev))
    one, other = make_training(EVERYTHING_RANDOM), make_training(EVERYTHING_RANDOM, splits=sealed)
    one.run_epoch()
    other.run_epoch()
    assert_identical(state_of(one), state_of(other))


@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16])
def test_the_model_computes_in_the_precision_while_its_weights_stay_float32(
    make_training: MakeTraining, precision: torch.dtype
) -> None:
    training = make_training(precision=precision)
    seen: set[torch.dtype] = set()
    training.model.register_forward_hook(lambda _module, _inputs, logits: seen.add(logits.dtype))
    training.run_epoch()
    assert seen == {precision}
    assert {parameter.dtype for parameter in training.model.parameters()} == {torch.float32}


def test_convolutions_run_channels_last(make_training: MakeTraining) -> None:
    model = make_training().model
    weights = [module.weight for module in model.modules() if isinstance(module, nn.Conv2d)]
    assert len(weights) == 11
    assert all(weight.is_contiguous(memory_format=torch.channels_last) for weight in weights)


def test_the_digits_are_learned_in_a_few_epochs() -> None:
    """Real images, through the whole loop."""
    splits = load_dataset("digits", None).search_data()
    hparams: dict[str, Any] = {name: 0.0 for name in get_model("cnn").defaults or {} if name.endswith("_dropout")}
    hparams |= {"block1_width": 8, "block2_width": 16, "block3_width": 16, "block4_width": 16}
    hparams |= {"stem1_width": 8, "stem2_width": 8, "head_width": 16, "dense1_width": 32, "dense2_width": 32}
    hparams |= {"learning_rate": 0.003, "batch_size": 32}
    training = Training(
        build_seeded(get_model("cnn"), hparams, 0), hparams, splits, seed=0, max_epochs=5, patience=10, device=CPU,
        precision=torch.float32, keep_best=False,
    )  # fmt: skip
    reports = list(fit(training))
    assert reports[-1].train_loss < reports[0].train_loss
    assert max(report.dev_accuracy for report in reports) > 0.85
