"""Tests of `tuner.engine.throughput`: a sample stands for the whole epoch."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from tuner.data.dataset import SearchData
from tuner.data.splits import Split
from tuner.engine.in_process import InProcessExecutor
from tuner.engine.outcome import Failed, Infeasible, Reported, WorkerLost
from tuner.engine.throughput import Probe, sample
from tuner.engine.worker import Job
from tuner.errors import SpaceError
from tuner.models import get_model
from tuner.search.report import EpochReport
from tuner.training.classifier import classifier_of
from tuner.training.trainable import trainable_of

SECONDS = {"first": 50.0, "second": 3.0}
"""Of the two epochs that are measured."""


class Seeing(nn.Module):
    """Remembers how many images it was shown in training."""

    shown = 0

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(784, 10)

    def forward(self, images: Tensor) -> Tensor:
        if self.training:
            Seeing.shown += len(images)
        logits: Tensor = self.layer(images.flatten(1))
        return logits


def seeing(hparams: Mapping[str, Any]) -> nn.Module:
    return Seeing()


def broken(hparams: Mapping[str, Any]) -> nn.Module:
    raise ValueError("no such layer:\n  conv7")


def of_size(job: Job, n: int) -> Job:
    images = np.zeros((n, 28, 28), np.uint8)
    images[:, :14] = 255
    splits = SearchData(Split(images, np.zeros(n, np.int64)), job.splits.dev)
    return replace(job, splits=splits, trainable=classifier_of(get_model(seeing)))


def probe(tmp_path: Path, job: Job, hparams: Mapping[str, Any], workers: int = 1) -> Probe:
    images = len(job.splits.train)
    return Probe(hparams, examples=images, workers=workers, scratch=str(tmp_path / "checkpoints"), max_failures=1)


def measure(tmp_path: Path, job: Job, hparams: Mapping[str, Any] | None = None, workers: int = 1) -> float:
    (tmp_path / "checkpoints").mkdir(exist_ok=True)
    measuring = probe(tmp_path, job, hparams or {}, workers)
    InProcessExecutor(print).run(job, iter([measuring]))
    assert list((tmp_path / "checkpoints").iterdir()) == []
    return measuring.seconds_per_epoch


@pytest.fixture
def readings(monkeypatch: pytest.MonkeyPatch) -> None:
    """The clock as the training reads it, at the start and the end of each epoch."""
    times: Iterator[float] = iter([0.0, SECONDS["first"], 100.0, 100.0 + SECONDS["second"]])
    monkeypatch.setattr(time, "perf_counter", lambda: next(times))


@pytest.mark.usefixtures("readings")
@pytest.mark.parametrize(("images", "sample"), [(2560, 1280), (5120, 1280), (1280, 1280), (100, 100)])
def test_the_second_epoch_of_a_sample_is_scaled_to_all_images(
    job: Job, images: int, sample: int, tmp_path: Path
) -> None:
    Seeing.shown = 0
    assert measure(tmp_path, of_size(job, images)) == pytest.approx(SECONDS["second"] * images / sample)
    assert Seeing.shown == 2 * sample


class Lasting:
    """A training of one's own that saves a state."""

    def __init__(self, hparams: Mapping[str, Any], data: Any, *, seed: int, device: Any) -> None:
        self.trained = 0

    def train_epoch(self) -> dict[str, float]:
        self.trained += 1
        return {"dev_accuracy": 0.5}

    def evaluate(self, split: Any) -> dict[str, float]:
        return {"accuracy": float(self.trained)}

    def state_dict(self) -> dict[str, Any]:
        return {"trained": self.trained}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.trained = state["trained"]


def once(hparams: Mapping[str, Any], data: Any, *, seed: int, device: Any) -> Iterator[dict[str, float]]:
    yield {"dev_accuracy": 0.5}


def twice(hparams: Mapping[str, Any], data: Any, *, seed: int, device: Any) -> Iterator[dict[str, float]]:
    yield {"dev_accuracy": 0.5}
    yield {"dev_accuracy": 0.5}


@pytest.mark.parametrize(
    ("trainable", "first", "measured", "is_single", "evaluation"),
    [
        (Lasting, 300.0, 300.0, False, {"accuracy": 1.0}),
        # Most of it may have been warming up.
        (Lasting, 299.0, SECONDS["second"], False, {"accuracy": 2.0}),
        # Of what saves no state only the next epoch shows whether there is one.
        (once, 600.0, 600.0, True, {}),
        (twice, 600.0, SECONDS["second"], False, None),
    ],
)
def test_of_a_training_of_ones_own_a_first_epoch_of_five_minutes_is_enough(
    job: Job,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    trainable: Any,
    first: float,
    measured: float,
    is_single: bool,
    evaluation: dict[str, float] | None,
) -> None:
    times = iter([0.0, first, 1000.0, 1000.0 + SECONDS["second"]])
    monkeypatch.setattr(time, "perf_counter", lambda: next(times))
    (tmp_path / "checkpoints").mkdir()
    measuring = Probe({}, None, str(tmp_path / "checkpoints"), workers=1, max_failures=0)
    InProcessExecutor(print).run(replace(job, trainable=trainable_of(trainable)), iter([measuring]))
    assert measuring.seconds_per_epoch == pytest.approx(measured)
    assert (measuring.is_single, measuring.evaluation) == (is_single, evaluation)


def test_both_epochs_of_a_sample_are_measured_however_long_they_take() -> None:
    assert sample({}, 10_000, "scratch").enough_seconds is None


def test_a_sample_has_the_batches_after_which_a_gpu_is_at_speed() -> None:
    shares = [sample({"batch_size": size}, 10_000, "scratch").share for size in (64, 512, 8192)]
    assert shares == [0.128, 0.2048, 1.0]
    assert sample({"batch_size": "large"}, None, "scratch").share == 1.0


def test_a_first_configuration_that_diverges_has_a_speed_all_the_same(job: Job, tmp_path: Path) -> None:
    assert measure(tmp_path, job, {"learning_rate": 1e38}) > 0


def test_a_schedule_that_is_longer_than_the_measuring_is_no_hindrance(job: Job, tmp_path: Path) -> None:
    assert measure(tmp_path, job, {"lr_decay": "cosine", "warmup_epochs": 5.0}) > 0


def test_averaged_weights_are_left_out_of_a_sample_for_an_epoch_has_hardly_more_of_their_cost() -> None:
    assert sample({"averaged_epochs": 2.0}, 10_000, "scratch").hparams["averaged_epochs"] == 0.0
    assert sample({"averaged_epochs": 2.0}, None, "scratch").hparams["averaged_epochs"] == 2.0


def test_every_worker_measures_and_the_mean_counts(job: Job, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    times = iter([0.0, 9.0, 10.0, 11.0, 20.0, 29.0, 30.0, 33.0])
    monkeypatch.setattr(time, "perf_counter", lambda: next(times))
    assert measure(tmp_path, job, workers=2) == pytest.approx(2.0)


@pytest.mark.parametrize(
    ("model", "hparams", "reason", "where"),
    [
        (broken, {}, "ValueError: no such layer: conv7", ["in broken"]),
        (seeing, {"batch_size": 1}, "batch_size is 1, but must be at least 2.", []),
    ],
)
def test_a_first_configuration_that_cannot_be_trained_at_all_is_told_in_a_line(
    job: Job, model: Any, hparams: dict[str, Any], reason: str, where: list[str], tmp_path: Path
) -> None:
    with pytest.raises(SpaceError) as caught:
        measure(tmp_path, replace(job, trainable=classifier_of(get_model(model))), hparams)
    assert str(caught.value) == f"the space's first start configuration cannot be trained: {reason}"
    traces = getattr(caught.value, "__notes__", [])
    assert len(traces) == len(where)
    assert all(line in trace and "stepper.py" not in trace for line, trace in zip(where, traces, strict=True))


def test_a_process_that_dies_is_forgiven_as_often_as_that_of_a_trial(job: Job, tmp_path: Path) -> None:
    measuring = probe(tmp_path, job, {}, workers=2)
    first, second = measuring.next(), measuring.next()
    assert first is not None
    assert second is not None
    assert measuring.take(first[0], WorkerLost("killed", charged=True))
    with pytest.raises(SpaceError, match="cannot be trained: its worker died 2 times: killed again"):
        measuring.take(second[0], WorkerLost("killed\nagain", charged=True))


def test_the_loss_of_a_node_is_not_the_configurations_fault(job: Job, tmp_path: Path) -> None:
    measuring = probe(tmp_path, job, {}, workers=3)
    for _ in range(3):
        given = measuring.next()
        assert given is not None
        assert measuring.take(given[0], WorkerLost("its node has died", charged=False))


def test_where_a_first_configuration_is_impossible_others_are_tried_for_a_while(job: Job, tmp_path: Path) -> None:
    measuring = probe(tmp_path, job, {})
    for seed in range(29):
        given = measuring.next()
        assert given is not None
        assert given[1].seed == seed
        assert not measuring.take(given[0], Infeasible("too wide"))
    given = measuring.next()
    assert given is not None
    with pytest.raises(SpaceError) as caught:
        measuring.take(given[0], Infeasible("too\nwide"))
    assert str(caught.value) == (
        "none of 30 first configurations can be trained, the last because it is infeasible: too wide"
    )


def among_random_ones(tmp_path: Path, workers: int = 1, max_failures: int = 0) -> Probe:
    others = iter([{"n": n} for n in range(1, 50)])
    return Probe({"n": 0}, None, str(tmp_path), workers=workers, max_failures=max_failures, others=others)


def given(measuring: Probe, count: int) -> list[tuple[Any, Any]]:
    found = [measuring.next() for _ in range(count)]
    assert measuring.next() is None
    return [(one[0], one[1].hparams["n"]) for one in found if one is not None]


def second_epoch(seconds: float) -> Reported:
    return Reported(EpochReport(2, {}, seconds), "here:1", finished=True, measures={})


def test_a_random_configuration_that_fails_is_replaced_wherever_it_is_measured(tmp_path: Path) -> None:
    measuring = among_random_ones(tmp_path, workers=3)
    (first, _), (second, _), (third, n) = given(measuring, 3)
    assert n == 0
    assert not measuring.take(first, second_epoch(100.0))
    assert not measuring.take(second, Failed("'dev_loss' is nan"))
    assert [n for _, n in given(measuring, 2)] == [1, 1]  # that of the first says nothing of another's speed
    assert not measuring.take(third, Failed("'dev_loss' is nan"))  # which is known
    assert [n for _, n in given(measuring, 1)] == [1]
    for key in list(measuring._running):
        assert not measuring.take(key, second_epoch(2.0))
    assert measuring.is_over
    assert measuring.seconds_per_epoch == 2.0


def test_a_training_of_a_replaced_configuration_that_cannot_be_begun_is_replaced_too(tmp_path: Path) -> None:
    measuring = among_random_ones(tmp_path, workers=2)
    (first, _), (second, _) = given(measuring, 2)
    assert not measuring.take(first, WorkerLost("killed", charged=True))
    measuring.give_back(second)
    assert [n for _, n in given(measuring, 2)] == [1, 1]


def test_after_many_random_configurations_the_last_is_told_with_its_hyperparameters(tmp_path: Path) -> None:
    measuring = among_random_ones(tmp_path)
    for expected in range(19):
        ((key, n),) = given(measuring, 1)
        assert n == expected
        assert not measuring.take(key, Failed("'dev_loss' is nan"))
    with pytest.raises(SpaceError) as caught:
        measuring.take(given(measuring, 1)[0][0], Failed("'dev_loss'\nis nan"))
    assert str(caught.value) == (
        "none of 20 random configurations can be trained, the last (n 19) because: 'dev_loss' is nan"
    )


def test_where_it_takes_long_to_see_that_random_configurations_fail_few_are_tried(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    measuring = among_random_ones(tmp_path)
    now = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: now + 100.0)
    for _ in range(2):
        assert not measuring.take(given(measuring, 1)[0][0], Failed("no 'dev_loss'"))
    with pytest.raises(SpaceError, match="none of 3 random configurations can be trained"):
        measuring.take(given(measuring, 1)[0][0], Failed("no 'dev_loss'"))


def test_the_latency_of_a_model_of_rows_is_measured_too(job: Job, tmp_path: Path) -> None:
    def of_rows(hparams: Mapping[str, Any]) -> nn.Module:
        return nn.Linear(3, 2)

    blocks = Split(np.zeros((20, 3), np.float32), np.arange(20) % 2)
    fitting = replace(
        job,
        splits=SearchData(blocks, blocks),
        trainable=classifier_of(get_model(of_rows)),
        measures_latency=True,
    )
    assert measure(tmp_path, fitting) > 0


def test_the_measuring_leaves_torchs_random_state_alone(job: Job, tmp_path: Path) -> None:
    torch.manual_seed(3)
    before = torch.get_rng_state()
    measure(tmp_path, job)
    assert torch.equal(torch.get_rng_state(), before)
