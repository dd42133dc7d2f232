"""TensorBoard: a TensorBoard run for each trial, with its hyperparameters, so that the HPARAMS tab compares them.

The event files are written without TensorFlow. What a trial's files hold already, also after a kill, is read back from
them, and what is lacking is written into a further file beside them. `tensorboard --logdir RUN/trackers/tensorboard`
shows it.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tuner.integrations.callback import (
    Callback,
    Epoch,
    RetrainEpoch,
    Retraining,
    StudyEnd,
    StudyStart,
    TrialEnd,
    TrialStart,
)
from tuner.integrations.trackers import FOLDER
from tuner.integrations.trackers.values import Scalar, finals, flat, retraining_name
from tuner.search.trial import TrialState


class Tracker(Callback):
    """Writes event files below `trackers/tensorboard` of the run's folder."""

    replays = True

    def __init__(self, folder: Path | None = None) -> None:
        """Write below `folder`, by default the run's."""
        self._folder = folder
        self._open: dict[str, _EventFiles] = {}
        """By the name of their folder, of the trials that have not ended and of the retrainings."""
        self._objective = ""

    def on_study_start(self, study: StudyStart) -> None:
        """Find the folder."""
        self._folder = self._folder or study.folder / FOLDER / "tensorboard"
        self._objective = study.objectives[0].metric

    def on_trial_start(self, trial: TrialStart) -> None:
        """Write the hyperparameters."""
        self._of(_of_trial(trial.trial)).start(flat(trial.hparams), trial.time)

    def on_epoch(self, epoch: Epoch) -> None:
        """Write the metrics."""
        self._of(_of_trial(epoch.trial)).scalars(epoch.metrics, epoch.epoch, epoch.time)

    def on_trial_end(self, trial: TrialEnd) -> None:
        """Write the best value, what was measured of the model, and how the trial ended."""
        files = self._of(_of_trial(trial.trial))
        if trial.best_epoch is not None:
            best = {f"best/{self._objective}": trial.metrics[self._objective]}
            files.scalars(best, trial.best_epoch, trial.time)
        files.scalars({f"model/{name}": value for name, value in trial.measures.items()}, 0, trial.time)
        files.end(trial.state is not TrialState.FAILED, trial.time)
        del self._open[_of_trial(trial.trial)]

    def on_retrain_epoch(self, epoch: RetrainEpoch) -> None:
        """Write the metrics."""
        self._of(_of_retraining(epoch)).scalars(epoch.metrics, epoch.epoch, epoch.time)

    def on_study_end(self, study: StudyEnd) -> None:
        """Write what the retrainings scored."""
        for one in study.retrainings if study.finished else ():
            self._of(_of_retraining(one)).scalars(finals(one.evaluations), one.best_epoch or 0, study.time)

    def _of(self, run: str) -> _EventFiles:
        if run not in self._open:
            assert self._folder is not None
            self._open[run] = _EventFiles(self._folder / run)
        return self._open[run]


def _of_trial(trial: int) -> str:
    return f"trial-{trial:05d}"


def _of_retraining(one: Retraining | RetrainEpoch) -> str:
    return f"retrained-{retraining_name(one)}"


class _EventFiles:
    """The event files of one TensorBoard run; none is kept open, for hundreds of trials may be paused."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._there = _read_back(folder)
        """Tags with their steps."""
        self._file: Path | None = None

    def scalars(self, values: Mapping[str, float], step: int, time: float) -> None:
        """Write those values that are not there yet."""
        from tensorboard.compat.proto.summary_pb2 import Summary

        self._add([Summary.Value(tag=name, simple_value=value) for name, value in values.items()], step, time)

    def start(self, hparams: Mapping[str, Scalar], time: float) -> None:
        """Write the hyperparameters, as TensorBoard's plugin for them has it."""
        from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData, SessionStartInfo

        started = SessionStartInfo(group_name=self._folder.name, start_time_secs=time)
        for name, value in hparams.items():
            kind = {bool: "bool_value", str: "string_value"}.get(type(value), "number_value")
            setattr(started.hparams[name], kind, value)
        self._add_session("session_start_info", HParamsPluginData(session_start_info=started), time)

    def end(self, succeeded: bool, time: float) -> None:
        """Write that the trial has ended."""
        from tensorboard.plugins.hparams.api_pb2 import Status
        from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData, SessionEndInfo

        status = Status.Value("STATUS_SUCCESS" if succeeded else "STATUS_FAILURE")
        ended = SessionEndInfo(status=status, end_time_secs=time)
        self._add_session("session_end_info", HParamsPluginData(session_end_info=ended), time)

    def _add_session(self, name: str, content: Any, time: float) -> None:
        from tensorboard.compat.proto.summary_pb2 import Summary
        from tensorboard.plugins.hparams import metadata

        described = metadata.create_summary_metadata(content)
        value = Summary.Value(tag=f"_hparams_/{name}", metadata=described, tensor=metadata.NULL_TENSOR)
        self._add([value], 0, time)

    def _add(self, values: Sequence[Any], step: int, time: float) -> None:
        from tensorboard.compat.proto.event_pb2 import Event
        from tensorboard.compat.proto.summary_pb2 import Summary

        lacking = [value for value in values if (value.tag, step) not in self._there]
        if lacking:
            self._write(Event(wall_time=time, step=step, summary=Summary(value=lacking)))
            self._there |= {(value.tag, step) for value in lacking}

    def _write(self, event: Any) -> None:
        from tensorboard.compat.proto.event_pb2 import Event
        from tensorboard.summary.writer.record_writer import RecordWriter

        is_new = self._file is None
        if self._file is None:
            self._folder.mkdir(parents=True, exist_ok=True)
            count = len(list(self._folder.iterdir()))
            # TensorBoard reads a folder's files in the order of their names.
            name = f"events.out.tfevents.{int(event.wall_time):010d}.{count:03d}.{socket.gethostname()}.{os.getpid()}"
            self._file = self._folder / name
        with self._file.open("ab") as handle:
            if is_new:
                opening = Event(wall_time=event.wall_time, file_version="brain.Event:2")
                RecordWriter(handle).write(opening.SerializeToString())
            RecordWriter(handle).write(event.SerializeToString())


def _read_back(folder: Path) -> set[tuple[str, int]]:
    """Return the tags and steps in the folder's event files; what a kill has torn counts as lacking."""
    if not folder.is_dir():
        return set()
    from tensorboard.backend.event_processing.event_file_loader import LegacyEventFileLoader

    events = (event for path in sorted(folder.iterdir()) for event in LegacyEventFileLoader(str(path)).Load())
    return {(value.tag, event.step) for event in events for value in event.summary.value}
