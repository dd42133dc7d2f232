"""Tests of `tuner.training.classifier`: the loop against an independent one, and resumed against never stopped."""

from __future__ import annotations

import math
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

from tests.training.conftest import NARROW
from tests.training.states import assert_identical
from tuner.data import load_dataset
from tuner.data.dataset import SearchData
from tuner.data.splits import Split
from tuner.errors import ConfigError, DataError
from tuner.models import DataShape, get_model
from tuner.models.summary import trainable_parameters
from tuner.training import checkpoints
from tuner.training.batches import Batches, Normalisation
from tuner.training.classifier import Classifier, NonFiniteLossError, check_splits, check_test, data_shape
from tuner.training.ensemble import Mirrored
from tuner.training.evaluate import evaluate

MakeClassifier = Callable[..., Classifier]
CPU = torch.device("cpu")

EVERYTHING_RANDOM = {
    "optimizer": "adamw",
    "weight_decay": 0.01,
    "label_smoothing": 0.1,
    "flip": True,
    "shift": 2,
    "erasing": 0.5,
}
"""Besides dropout, which the reference CNN has anyway."""

RECIPES = {
    "as the reference": {},
    "everything random": EVERYTHING_RANDOM,
    "averaged": {"optimizer": "sgd", "lr_decay": "constant", "averaged_epochs": 0.5, "warmup_epochs": 0.5, "tta": True},
    "mixed": {"lr_decay": "cosine", "warmup_epochs": 1.0, "mixup": 0.4, "cutmix": 1.0, "averaged_epochs": 1.0},
}


def linear() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(784, 10))


def other_model() -> nn.Module:
    torch.manual_seed(99)
    return get_model("cnn").build(NARROW)


def train(training: Classifier, epochs: int) -> list[dict[str, float]]:
    return [training.train_epoch() for _ in range(epochs)]


def nesterov(parameters: Any, **options: Any) -> torch.optim.Optimizer:
    return torch.optim.SGD(parameters, momentum=0.9, nesterov=True, **options)


def random_states() -> bytes:
    """Return the state of all three global random generators."""
    return pickle.dumps((torch.get_rng_state().tolist(), random.getstate(), np.random.get_state()))


def differ(one: nn.Module, other: nn.Module) -> bool:
    return any(not torch.equal(*pair) for pair in zip(one.parameters(), other.parameters(), strict=True))


@pytest.mark.parametrize(
    ("recipe", "precision"),
    [*((recipe, torch.float32) for recipe in RECIPES), ("mixed", torch.bfloat16)],  # slow where no processor has it
)
def test_a_resumed_training_equals_an_uninterrupted_one_bit_for_bit(
    make_classifier: MakeClassifier, tmp_path: Path, precision: torch.dtype, recipe: str
) -> None:
    whole = make_classifier(RECIPES[recipe], precision=precision)
    expected = train(whole, 4)
    metrics = []
    training = make_classifier(RECIPES[recipe], precision=precision)
    for epoch in range(4):
        metrics.append(training.train_epoch())
        path = tmp_path / f"{epoch}.pt"
        sha256 = checkpoints.save(training, path)
        torch.manual_seed(epoch)  # another process has another random state,
        training = make_classifier(RECIPES[recipe], precision=precision, model=other_model())  # and other first weights
        training.load_state_dict(checkpoints.load_state(path, sha256))
    assert metrics == expected
    assert_identical(training.state_dict(), whole.state_dict())


def test_another_seed_trains_otherwise(make_classifier: MakeClassifier) -> None:
    one, other = (make_classifier(seed=seed, model=linear()) for seed in (5, 6))
    assert not differ(one.model, other.model)
    one.train_epoch()
    other.train_epoch()
    assert differ(one.model, other.model)


def test_every_epoch_has_its_own_batch_order(make_classifier: MakeClassifier) -> None:
    model = linear()
    seen: list[float] = []
    model.register_forward_hook(lambda _module, inputs, _logits: seen.append(float(inputs[0].sum())))
    training = make_classifier(model=model)
    epochs = []
    for _ in range(2):
        seen.clear()
        training.train_epoch()
        epochs.append(seen[:5])  # the rest is dev
    assert epochs[0] != epochs[1]


def test_every_epoch_has_its_own_dropout(make_classifier: MakeClassifier, splits: SearchData) -> None:
    """All images are alike, so their order makes no difference."""
    alike = Split(splits.train.images[:1].repeat(150, axis=0), splits.train.labels)
    model = nn.Sequential(nn.Flatten(), nn.Dropout(0.5), nn.Linear(784, 10))
    dropped: list[Tensor] = []
    model[1].register_forward_hook(lambda module, _inputs, kept: dropped.append(kept == 0) if module.training else None)
    training = make_classifier({"batch_size": 150}, model=model, data=replace(splits, train=alike))
    training.train_epoch()
    training.train_epoch()
    first, second = dropped
    assert first.float().mean() == pytest.approx(0.5, abs=0.01)
    assert not torch.equal(first, second)


@pytest.mark.parametrize(
    ("optimizer", "reference"), [("adam", torch.optim.Adam), ("adamw", torch.optim.AdamW), ("sgd", nesterov)]
)
def test_the_steps_are_those_of_torchs_own_optimizer(
    splits: SearchData, optimizer: str, reference: Callable[..., torch.optim.Optimizer]
) -> None:
    """With all images in one batch the order does not matter, and a loop of a few lines must agree."""
    hparams = {
        "optimizer": optimizer, "learning_rate": 0.003, "decay_epochs": 2.0, "weight_decay": 0.1,
        "label_smoothing": 0.2, "batch_size": 1000,
    }  # fmt: skip
    training = Classifier(
        lambda _hparams: linear(), hparams, splits, seed=0, max_epochs=5, device=CPU, precision=torch.float32
    )
    reports = train(training, 5)

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

    assert [report["train_loss"] for report in reports] == pytest.approx(losses, rel=1e-4)
    torch.testing.assert_close(training.model.state_dict(), model.state_dict(), rtol=1e-4, atol=1e-6)
    assert differ(linear(), training.model)


def test_the_two_optimizers_differ_where_weights_decay(make_classifier: MakeClassifier) -> None:
    one, other = (make_classifier({"optimizer": name, "weight_decay": 0.1}) for name in ("adam", "adamw"))
    one.train_epoch()
    other.train_epoch()
    assert differ(one.model, other.model)


def test_the_learning_rates_are_the_references(make_classifier: MakeClassifier) -> None:
    # 0.01 x 0.1^(epoch / 10) for epochs 0 to 3, by hand.
    rates = [report["lr"] for report in train(make_classifier(), 4)]
    assert rates == pytest.approx([0.01, 0.00794328, 0.00630957, 0.00501187], rel=1e-5)


def test_the_report_holds_the_running_values_and_the_dev_evaluation(
    make_classifier: MakeClassifier, splits: SearchData
) -> None:
    """The running values are means over the images in training mode, a short last batch counting as it has images."""
    training = make_classifier(model=linear())
    seen: list[tuple[Tensor, int]] = []
    labels = torch.from_numpy(splits.train.labels)
    pixels = Batches(splits.train, Normalisation.of(splits.train), CPU)
    ((images, _),) = pixels.in_order(len(labels))
    number = {image.numpy().tobytes(): index for index, image in enumerate(images)}
    training.model.register_forward_hook(
        lambda module, inputs, logits: seen.extend(
            (row.detach().clone(), number[image.contiguous().numpy().tobytes()])
            for image, row in zip(inputs[0], logits, strict=True)
        ) if module.training else None
    )  # fmt: skip
    report = training.train_epoch()
    logits = torch.stack([row for row, _ in seen])
    targets = labels[[index for _, index in seen]]
    assert sorted(index for _, index in seen) == list(range(len(labels)))
    assert report["train_loss"] == pytest.approx(functional.cross_entropy(logits, targets).item(), rel=1e-5)
    assert report["train_accuracy"] == pytest.approx((logits.argmax(1) == targets).double().mean().item())
    dev_batches = Batches(splits.dev, Normalisation.of(splits.train), CPU)
    dev = evaluate(training.model, dev_batches, device=CPU, precision=torch.float32)
    assert (report["dev_loss"], report["dev_accuracy"]) == (dev.loss, dev.accuracy)
    assert training.evaluate(splits.dev) == {"accuracy": dev.accuracy, "loss": dev.loss, "n": 60}


def test_a_learning_rate_beyond_reason_ends_with_epoch_and_reason(make_classifier: MakeClassifier) -> None:
    training = make_classifier({"learning_rate": 1e38}, model=linear())
    with pytest.raises(NonFiniteLossError, match=r"^the (train|dev) loss is (nan|inf) in epoch 1\.$"):
        training.train_epoch()


def test_the_epoch_that_diverged_is_named(make_classifier: MakeClassifier) -> None:
    training = make_classifier()
    training.train_epoch()
    with torch.no_grad():
        next(training.model.parameters()).fill_(float("nan"))
    with pytest.raises(NonFiniteLossError, match=r"^the train loss is nan in epoch 2\.$"):
        training.train_epoch()


@pytest.mark.parametrize(("first_bad_step", "steps"), [(0, 1), (50, 101), (295, 300)])
def test_a_diverged_training_ends_soon_and_not_only_with_its_epoch(
    splits: SearchData, make_classifier: MakeClassifier, first_bad_step: int, steps: int
) -> None:
    """300 steps an epoch; the loss is asked for after steps 0, 100, 200 and at the end."""
    large = replace(splits, train=Split(splits.train.images.repeat(4, axis=0), splits.train.labels.repeat(4)))
    model = linear()
    done = 0

    def poison(_module: nn.Module, _inputs: object, logits: Tensor) -> Tensor:
        nonlocal done
        done += 1
        return logits * float("inf") if done > first_bad_step else logits

    training = make_classifier({"batch_size": 2, "learning_rate": 1e-5}, model=model, data=large)
    model.register_forward_hook(poison)
    with pytest.raises(NonFiniteLossError, match="the train loss is"):
        training.train_epoch()
    assert done == steps


def test_a_dev_loss_that_is_not_finite_is_a_divergence_too(make_classifier: MakeClassifier) -> None:
    model = linear()
    model.register_forward_hook(lambda module, _inputs, logits: logits if module.training else logits * float("nan"))
    with pytest.raises(NonFiniteLossError, match=r"^the dev loss is nan in epoch 1\.$"):
        make_classifier(model=model).train_epoch()


@pytest.mark.parametrize("diverges", [False, True])
def test_the_callers_random_state_is_not_disturbed(make_classifier: MakeClassifier, diverges: bool) -> None:
    training = make_classifier(EVERYTHING_RANDOM)
    if diverges:
        with torch.no_grad():
            next(training.model.parameters()).fill_(float("nan"))
    before = random_states()
    try:
        training.train_epoch()
    except NonFiniteLossError:
        assert diverges
    assert random_states() == before


def test_dropout_follows_the_trainings_seed_and_not_the_callers_random_state(make_classifier: MakeClassifier) -> None:
    trainings = []
    for global_seed in (1, 2):
        torch.manual_seed(global_seed)
        trainings.append(make_classifier(EVERYTHING_RANDOM))
        trainings[-1].train_epoch()
    assert_identical(trainings[0].state_dict(), trainings[1].state_dict())


def test_read_only_arrays_as_ray_gives_train_as_others_do(make_classifier: MakeClassifier, splits: SearchData) -> None:
    def read_only(split: Split) -> Split:
        images, labels = split.images.copy(), split.labels.copy()
        images.setflags(write=False)
        labels.setflags(write=False)
        return Split(images, labels)

    sealed = replace(splits, train=read_only(splits.train), dev=read_only(splits.dev))
    one, other = make_classifier(EVERYTHING_RANDOM), make_classifier(EVERYTHING_RANDOM, data=sealed)
    one.train_epoch()
    other.train_epoch()
    assert_identical(one.state_dict(), other.state_dict())


@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16])
def test_the_model_computes_in_the_precision_while_its_weights_stay_float32(
    make_classifier: MakeClassifier, precision: torch.dtype
) -> None:
    training = make_classifier(precision=precision)
    seen: set[torch.dtype] = set()
    training.model.register_forward_hook(lambda _module, _inputs, logits: seen.add(logits.dtype))
    training.train_epoch()
    assert seen == {precision}
    assert {parameter.dtype for parameter in training.model.parameters()} == {torch.float32}


def test_convolutions_run_channels_last(make_classifier: MakeClassifier) -> None:
    model = make_classifier().model
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
    training = Classifier(
        get_model("cnn").build, hparams, splits, seed=0, max_epochs=5, device=CPU, precision=torch.float32
    )
    reports = train(training, 5)
    assert reports[-1]["train_loss"] < reports[0]["train_loss"]
    assert max(report["dev_accuracy"] for report in reports) > 0.85


def classifier_of(build: Callable[..., nn.Module], data: SearchData, **hparams: Any) -> Classifier:
    return Classifier(build, hparams, data, seed=0, device=CPU, max_epochs=20, precision=torch.float32)


def build_for(hparams: Any, data: DataShape) -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(math.prod(data.input_shape), data.classes))


def build_embedding(hparams: Any, data: DataShape) -> nn.Module:
    assert data.tokens is not None
    return nn.Sequential(nn.Embedding(data.tokens, 8), nn.Flatten(), nn.Linear(8 * data.input_shape[0], data.classes))


def test_rows_of_floats_are_learned_as_they_are() -> None:
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(300, 4))
    pair = (rows, (rows[:, 1] > 0).astype(np.int32))
    training = classifier_of(build_for, SearchData(pair, pair), batch_size=16, learning_rate=0.05, mixup=0.2)
    assert train(training, 10)[-1]["dev_accuracy"] > 0.95
    assert training.evaluate(pair)["n"] == 300


def test_tokens_are_learned_and_the_model_is_told_how_many_there_are() -> None:
    rng = np.random.default_rng(0)
    tokens = rng.integers(0, 30, (300, 5))
    pair = (tokens, (tokens == 7).any(1).astype(np.int64))
    training = classifier_of(build_embedding, SearchData(pair, pair), batch_size=16, learning_rate=0.05)
    assert train(training, 20)[-1]["dev_accuracy"] > 0.95


def test_colour_images_are_normalised_by_channel_and_the_cnn_fits_their_size_and_classes() -> None:
    rng = np.random.default_rng(0)
    images = rng.integers(0, 100, (40, 3, 32, 32), dtype=np.uint8)
    images[:, 2] += 100
    split = Split(images, np.arange(40) % 4)
    seen: list[Tensor] = []

    def build(hparams: Any, data: DataShape) -> nn.Module:
        assert data == DataShape((3, 32, 32), classes=4)
        model = get_model("cnn").build({**NARROW}, data)
        model.register_forward_pre_hook(lambda _module, inputs: seen.append(inputs[0]))
        return model

    classifier_of(build, SearchData(split, split), batch_size=40).train_epoch()
    assert seen[-1].shape == (40, 3, 32, 32)
    torch.testing.assert_close(seen[-1].mean((0, 2, 3)), torch.zeros(3), atol=1e-5, rtol=0)
    torch.testing.assert_close(seen[-1].std((0, 2, 3), correction=0), torch.ones(3))


class Viewing(nn.Module):
    """Flattens with `view`, which does not take channels_last."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 4, 3, padding=1)
        self.logits = nn.Linear(4 * 28 * 28, 10)

    def forward(self, images: Tensor) -> Tensor:
        features = self.conv(images)
        return self.logits(features.view(len(images), -1))  # type: ignore[no-any-return]


def test_a_model_that_does_not_take_channels_last_is_trained_without(make_classifier: MakeClassifier) -> None:
    training = make_classifier(model=Viewing())
    training.train_epoch()
    assert next(training.model.parameters()).is_contiguous()


@pytest.mark.parametrize(
    ("hparams", "message"),
    [
        ({"flip": True}, r"^flip is True, but the inputs have shape \[4\], and only images"),
        ({"cutmix": 1.0}, r"^cutmix is 1\.0, but the inputs have shape \[4\]"),
        ({"tta": True}, r"^tta is True, but the inputs have shape \[4\]"),
    ],
)
def test_what_only_images_can_have_is_refused_for_other_inputs(hparams: dict[str, Any], message: str) -> None:
    pair = (np.zeros((10, 4)), np.arange(10) % 2)
    with pytest.raises(ConfigError, match=message):
        classifier_of(build_for, SearchData(pair, pair), **hparams)


def test_a_model_fits_what_dev_has_too() -> None:
    train = Split(np.zeros((10, 3), np.int64), np.arange(10) % 2)
    dev = Split(np.full((10, 3), 6), np.arange(10) % 4)
    assert data_shape(train, dev) == DataShape((3,), classes=4, tokens=7)


ROWS, WORDS = DataShape((4,), classes=2), DataShape((4,), classes=2, tokens=5)


@pytest.mark.parametrize(
    ("test", "shape", "message"),
    [
        ((np.zeros((6, 4)), np.arange(6) % 2 * 1.0), ROWS, "the test split does not fit: labels are float64"),
        ((np.zeros((6, 5)), np.arange(6) % 2), ROWS, r"inputs have shape \[5\], but those of the train split \[4\]"),
        ((np.zeros((6, 4)), np.arange(6) % 3), ROWS, "has class 2, but train and dev have classes from 0 to 1"),
        ((np.full((6, 4), 5), np.arange(6) % 2), WORDS, "has token 5, but train and dev have tokens from 0 to 4"),
    ],
)
def test_a_test_split_that_no_model_could_be_measured_on_is_refused(test: Any, shape: DataShape, message: str) -> None:
    with pytest.raises(DataError, match=message):
        check_test(test, shape)


def test_a_test_split_of_fewer_classes_is_taken() -> None:
    check_test((np.zeros((6, 4), np.int64), np.zeros(6, np.int64)), WORDS)


def test_splits_whose_labels_mean_different_classes_are_refused() -> None:
    inputs, labels = np.zeros((6, 4)), np.arange(6) % 2
    train, other = Split(inputs, labels, ("a", "b")), Split(inputs, labels, ("b", "c"))
    check_splits({"train": train, "dev": (inputs, labels), "test": train})
    for name in ("dev", "test"):
        with pytest.raises(DataError, match=rf"class names differ: train has a, b; .*{name} has b, c[.;]"):
            check_splits({"train": train, "dev": train, "test": train} | {name: other})


@pytest.mark.parametrize("name", ["dev", "test"])
@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        (
            np.zeros((6, 3, 32, 32)),
            r"are numbers as they are \(float64\), but those of the train split pixels \(uint8\)",
        ),
        (np.zeros((6, 3, 32, 32), dtype=np.int64), r"are tokens \(int64\), but those of the train split pixels"),
        (np.zeros((6, 3, 64, 64), dtype=np.uint8), r"have shape \[3, 64, 64\], but those of the train split"),
    ],
)
def test_splits_whose_inputs_are_taken_for_something_else_are_refused(name: str, inputs: Any, message: str) -> None:
    labels = np.arange(6) % 2
    train = Split(np.zeros((6, 3, 32, 32), dtype=np.uint8), labels)
    check_splits({"train": train, "dev": train, "test": train})
    with pytest.raises(DataError, match=rf"^the {name} split's inputs {message}"):
        check_splits({"train": train, "dev": train, "test": train} | {name: Split(inputs, labels)})


def test_what_is_evaluated_of_its_own_data_takes_no_more_room(
    make_classifier: MakeClassifier, splits: SearchData
) -> None:
    training = make_classifier()
    assert training._batches_of(splits.train) is training._train
    assert training._batches_of(splits.dev) is training._dev


def test_what_answers_is_what_was_measured(make_classifier: MakeClassifier) -> None:
    assert isinstance(make_classifier({"tta": True}).answering_model, Mirrored)
    plain = make_classifier()
    assert plain.answering_model is plain.model


def test_a_split_that_is_none_is_named() -> None:
    inputs, labels = np.zeros((6, 4)), np.arange(6) % 3
    with pytest.raises(DataError, match=r"^the dev split does not fit: labels hold 2, but there are names for 2 "):
        check_splits({"train": (inputs, labels), "dev": Split(inputs, labels, ("a", "b"))})


def test_tokens_are_not_blended() -> None:
    pair = (np.zeros((10, 4), dtype=np.int64), np.arange(10) % 2)
    with pytest.raises(ConfigError, match=r"^mixup is 0\.5, but the inputs are tokens"):
        classifier_of(build_embedding, SearchData(pair, pair), mixup=0.5)


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (nn.Linear(5, 2), r"the model does not take inputs of shape \[2, 4\] of 2 classes: RuntimeError: .*shapes"),
        (nn.Linear(4, 1), r"the model's answer to .* is Tensor \[2, 1\], but must be \[2, 2\] or wider"),
    ],
)
def test_a_model_that_does_not_fit_the_data_is_refused_before_anything_is_trained(
    model: nn.Module, message: str
) -> None:
    pair = (np.zeros((10, 4)), np.arange(10) % 2)
    with pytest.raises(ConfigError, match=message):
        classifier_of(lambda hparams: model, SearchData(pair, pair))


@pytest.mark.parametrize(
    ("split", "message"),
    [
        ([1, 2], r"the split is a list, but the built-in training takes a Split or \(inputs, labels\)"),
        ((np.zeros((2, 3)), np.array([0.0, 1.0])), "labels are float64, but must be integers"),
        ((np.zeros((2, 3)), np.array([0, -1])), "labels hold -1, but must be classes from 0"),
        ((np.zeros((0, 3)), np.zeros(0, dtype=np.int64)), "labels are empty"),
        ((np.array([["a"], ["b"]]), np.array([0, 1])), "inputs are <U1, but must be numbers"),
    ],
)
def test_splits_that_are_no_arrays_with_classes_are_refused(split: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        classifier_of(build_for, SearchData(split, split))


def test_dev_is_measured_on_the_averaged_weights(make_classifier: MakeClassifier, splits: SearchData) -> None:
    plain, averaged = make_classifier(), make_classifier({"averaged_epochs": 1.0})
    one, other = plain.train_epoch(), averaged.train_epoch()
    assert one["train_loss"] == other["train_loss"]  # the training is the same
    assert one["dev_loss"] != other["dev_loss"]
    assert averaged.evaluate(splits.dev)["loss"] == other["dev_loss"]
    assert trainable_parameters(averaged.model) == trainable_parameters(plain.model)
