"""What is written is read back by TensorBoard itself."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.integrations.trackers.conftest import EPOCHS, Tell, places
from tuner.integrations.trackers.tensorboard import Tracker
from tuner.journal.events import EpochReported


def _read(folder: Path) -> Any:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator  # here, as it takes long

    return EventAccumulator(str(folder)).Reload()


def _steps(folder: Path, tag: str) -> list[int]:
    read = _read(folder)
    return [event.step for event in read.Scalars(tag)] if tag in read.Tags()["scalars"] else []


def test_a_study_that_was_killed_twice_has_every_epoch_once(tell_until: Tell, tmp_path: Path) -> None:
    second, fourth = places(EpochReported)[1], places(EpochReported)[4]
    for count in (second, fourth, None):
        tell_until(Tracker(), count)
    folder = tmp_path / "trackers" / "tensorboard"
    assert {trial: _steps(folder / f"trial-{trial:05d}", "dev_accuracy") for trial in EPOCHS} == EPOCHS
    assert _steps(folder / "retrained-tuned-seed-1", "test/accuracy") == [2]
    assert _steps(folder / "retrained-tuned-seed-1", "dev_accuracy") == [1, 2]
    files = sorted(folder.rglob("*"))
    tell_until(Tracker(), None)
    assert sorted(folder.rglob("*")) == files


def test_an_epoch_that_a_kill_has_torn_is_written_again(tell_until: Tell, tmp_path: Path) -> None:
    tell_until(Tracker(), places(EpochReported)[3])
    (file,) = (tmp_path / "trackers" / "tensorboard" / "trial-00000").iterdir()
    file.write_bytes(file.read_bytes()[:-5])
    tell_until(Tracker(), None)
    assert _steps(file.parent, "dev_accuracy") == EPOCHS[0]


def test_values_are_those_of_the_journal(tell_until: Tell, tmp_path: Path) -> None:
    tell_until(Tracker(), None)
    read = _read(tmp_path / "trackers" / "tensorboard" / "trial-00000")
    assert [event.value for event in read.Scalars("dev_accuracy")] == pytest.approx([0.80, 0.90, 0.85])
    assert [event.value for event in read.Scalars("best/dev_accuracy")] == pytest.approx([0.90])
    assert [event.value for event in read.Scalars("model/num_params")] == [1000.0]


def test_the_tab_of_the_hyperparameters_compares_the_trials(tell_until: Tell, tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.data_provider import MultiplexerDataProvider
    from tensorboard.backend.event_processing.plugin_event_multiplexer import EventMultiplexer
    from tensorboard.context import RequestContext
    from tensorboard.plugins.hparams import api_pb2, get_experiment, list_session_groups
    from tensorboard.plugins.hparams.backend_context import Context

    tell_until(Tracker(), None)
    multiplexer = EventMultiplexer()
    multiplexer.AddRunsFromDirectory(str(tmp_path / "trackers" / "tensorboard"))
    multiplexer.Reload()
    provider = MultiplexerDataProvider(multiplexer, str(tmp_path))
    tab = Context(SimpleNamespace(data_provider=provider))
    experiment = get_experiment.Handler(RequestContext(), tab, "", api_pb2.GetExperimentRequest()).run()
    assert {info.name for info in experiment.hparam_infos} >= {"lr", "flip", "widths"}
    assert "best/dev_accuracy" in {info.name.tag for info in experiment.metric_infos}
    asked = api_pb2.ListSessionGroupsRequest(allowed_statuses=api_pb2.Status.values(), slice_size=10)
    found = list_session_groups.Handler(RequestContext(), tab, "", asked).run().session_groups
    assert {group.name: group.hparams["lr"].number_value for group in found} == {
        "trial-00000": 1.0,
        "trial-00001": 0.5,
        "trial-00002": 2.5,
        "trial-00003": 0.25,
    }
