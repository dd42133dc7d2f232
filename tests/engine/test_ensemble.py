"""Tests of `tuner.engine.ensemble`: the retrainings measured as one answer, kept in `best/` and used from there."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tuner.data.dataset import Dataset
from tuner.data.predictions import Predictions
from tuner.data.splits import Split
from tuner.engine.ensemble import measure_ensemble, weights_file
from tuner.engine.retrain import keep_best
from tuner.engine.worker import Job
from tuner.errors import TunerError
from tuner.io.arrays import read_arrays
from tuner.journal.events import EnsembleMeasured, Event, RetrainEnded, StudyStarted
from tuner.journal.history import History, fold
from tuner.journal.store import Entry
from tuner.models import build_model, get_model
from tuner.models.cnn import REFERENCE_SHAPE
from tuner.paths import RunPaths
from tuner.predict import load_model
from tuner.training.checkpoints import load_weights, save_model
from tuner.training.classifier import Classifier

NARROW = {name: 4 for name in get_model("cnn").defaults or {} if name.endswith("_width")}
DESCRIPTION = {"model": "cnn", "space": "cnn", "dataset": "bars", "class_names": list("0123456789")}


def history_of(events: list[Event], keep: str = "single") -> History:
    started = StudyStarted({"retrain": {"keep": keep}}, {})
    return fold(Entry(seq, 0.0, float(seq), event) for seq, event in enumerate([started, *events]))


Retrained = tuple[RunPaths, list[Event], Dataset]


def retrained_with(job: Job, root: Path, hparams: dict[str, Any]) -> Retrained:
    """Train the narrow CNN with two seeds for an epoch each, and leave what the retraining leaves."""
    paths = RunPaths(root)
    test = Split(job.splits.dev.images[:40].copy(), job.splits.dev.labels[:40].copy())
    events: list[Event] = []
    for seed in (2, 1):
        training = Classifier(
            get_model("cnn").build,
            hparams,
            job.splits,
            seed=seed,
            device=torch.device("cpu"),
            max_epochs=1,
            precision=torch.float32,
        )
        training.train_epoch()
        weights = paths.retrain_checkpoints("tuned", seed) / "model.safetensors"
        sha256 = save_model(training.model, weights, {})
        evaluations = {"dev": training.evaluate(job.splits.dev)}
        events.append(RetrainEnded("tuned", seed, hparams, 1, evaluations, str(weights.relative_to(root)), sha256))
    return paths, events, Dataset(job.splits.train, job.splits.dev, test)


@pytest.fixture(params=[False, True], ids=["", "tta"])
def retrained(job: Job, tmp_path: Path, request: pytest.FixtureRequest) -> Retrained:
    return retrained_with(job, tmp_path / "run", {**NARROW, "batch_size": 32, "tta": request.param})


def measure(retrained: Retrained) -> EnsembleMeasured | None:
    paths, events, dataset = retrained
    build = get_model("cnn").build
    return measure_ensemble(history_of(events), paths, dataset, build, precision="float32")


def probabilities_by_hand(retrained: Retrained, split: Split) -> np.ndarray[Any, Any]:
    """Average the probabilities of the retrainings' weights, and of mirror images if that is how they are measured."""
    paths, events, dataset = retrained
    mean, std = dataset.train.moments
    images = (torch.from_numpy(split.images).unsqueeze(1).float() / 255 - mean) / std
    found = []
    for one in events:
        if isinstance(one, RetrainEnded):
            model = build_model(get_model("cnn").build, one.hparams, REFERENCE_SHAPE).eval()
            model.load_state_dict(load_weights(paths.root / one.weights))
            views = [images, images.flip(-1)] if one.hparams["tta"] else [images]
            with torch.no_grad():
                found += [model(view).softmax(1) for view in views]
    average: np.ndarray[Any, Any] = torch.stack(found).mean(0).numpy()
    return average


def test_the_ensembles_answer_is_the_mean_of_its_members_probabilities(retrained: Retrained) -> None:
    _, _, dataset = retrained
    measured = measure(retrained)
    assert measured is not None
    assert measured.seeds == [1, 2]
    assert set(measured.evaluations) == {"dev", "test"}
    for name, split in (("dev", dataset.dev), ("test", dataset.test)):
        expected = probabilities_by_hand(retrained, split)
        right = expected[np.arange(len(split)), split.labels]
        assert measured.evaluations[name]["accuracy"] == pytest.approx((expected.argmax(1) == split.labels).mean())
        assert measured.evaluations[name]["loss"] == pytest.approx(-np.log(right).mean(), rel=1e-4)
        assert measured.evaluations[name]["n"] == len(split)


def test_a_schedule_longer_than_any_training_is_no_hindrance_to_an_answer(job: Job, tmp_path: Path) -> None:
    hparams = {**NARROW, "batch_size": 32, "lr_decay": "cosine", "warmup_epochs": 0.5}
    paths, events, dataset = retrained_with(job, tmp_path / "run", hparams)
    # As of a retraining that is ten times as long as the one epoch here.
    scaled = [
        replace(one, hparams={**hparams, "warmup_epochs": 5.0}) for one in events if isinstance(one, RetrainEnded)
    ]
    assert measure((paths, list(scaled), dataset)) == measure((paths, events, dataset))


def test_best_may_hold_the_ensemble_and_predict_answers_as_it_was_measured(retrained: Retrained) -> None:
    paths, events, dataset = retrained
    measured = measure(retrained)
    assert measured is not None
    mean, std = dataset.train.moments
    keep_best(history_of([*events, measured], "ensemble"), paths, {**DESCRIPTION, "mean": mean, "std": std})
    images = (torch.from_numpy(dataset.test.images).unsqueeze(1).float() / 255 - mean) / std
    with torch.no_grad():
        answer = load_model(paths)(images).softmax(1)
    np.testing.assert_allclose(answer.numpy(), probabilities_by_hand(retrained, dataset.test), rtol=1e-3, atol=1e-5)
    kept = Predictions.from_arrays(read_arrays(paths.best_predictions))
    expected = probabilities_by_hand(retrained, dataset.dev)
    assert kept.predicted.tolist() == expected.argmax(1).tolist()
    np.testing.assert_allclose(kept.confidence, expected.max(1), rtol=1e-3, atol=1e-5)


def test_a_single_retraining_is_no_ensemble(retrained: Retrained) -> None:
    paths, events, dataset = retrained
    alone = [event for event in events if not isinstance(event, RetrainEnded) or event.seed == 1]
    assert measure((paths, alone, dataset)) is None


def test_weights_that_are_damaged_are_named(retrained: Retrained) -> None:
    paths, events, _ = retrained
    one = next(event for event in events if isinstance(event, RetrainEnded))
    (paths.root / one.weights).write_bytes(b"")
    with pytest.raises(TunerError, match=r"model\.safetensors is missing or damaged: its sha256 must be"):
        measure(retrained)


def test_weights_that_are_not_the_runs_own_are_not_touched(retrained: Retrained) -> None:
    paths, events, _ = retrained
    one = next(event for event in events if isinstance(event, RetrainEnded))
    with pytest.raises(TunerError, match=r"'\.\./others/model\.safetensors', which is no file of the run"):
        weights_file(replace(one, weights="../others/model.safetensors"), paths)
