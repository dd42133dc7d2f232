"""MLflow: a parent run for the study and a nested run for each trial and each retraining.

`MLFLOW_TRACKING_URI`, `MLFLOW_EXPERIMENT_NAME` and what else MLflow reads from the environment say where; without a URI
it is a SQLite file below the run's folder: `mlflow ui --backend-store-uri sqlite:///RUN/trackers/mlflow.db`. Runs are
found again by their tags `tuner.study` and `tuner.trial`, and the epochs of one that had not ended are asked for.
"""

from __future__ import annotations

import hashlib
import os
import posixpath
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
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
from tuner.paths import SQLITE
from tuner.search.trial import TrialState

_STUDY = "tuner.study"
_TRIAL = "tuner.trial"
_PARENT = "study"
"""The parent's `tuner.trial`."""
_RETRAINED = "retrained "
"""How the `tuner.trial` of a retraining begins."""
_EXPERIMENT = "tuner"
_MOST_PARAMS = 100
"""In one request."""
_LONGEST_PARAM = 6000
"""Characters of a value."""
_NOT_IN_NAMES = re.compile(r"[^\w\-. /:]")
_LONGEST_NAME = 250
_PAGE = 1000
_FINISHED, _FAILED, _KILLED, _RUNNING = "FINISHED", "FAILED", "KILLED", "RUNNING"


class Tracker(Callback):
    """Logs to MLflow, synchronously: what a call has returned from is there."""

    replays = True

    def __init__(self, uri: str | None = None) -> None:
        """Log to the tracking server or database at `uri`, by default where the environment says."""
        self.uri = uri or os.environ.get("MLFLOW_TRACKING_URI")
        """Where it logs; None is below the run's folder, which the start of a study tells."""
        self._client: Any = None
        self._study: StudyStart
        self._experiment = ""
        self._there: dict[str, Any] = {}
        """MLflow's runs of this study from before, by their `tuner.trial`."""
        self._runs: dict[str, _Run] = {}
        """Those that have not ended, by the same."""

    def on_study_start(self, study: StudyStart) -> None:
        """Find the study's runs, or begin its parent run."""
        # Nothing goes anywhere but to the tracking server, and nothing is written across the progress on the screen.
        os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
        os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "WARNING")
        from mlflow import MlflowClient

        folder = study.folder / FOLDER
        is_ours = self.uri is None
        if self.uri is None:
            folder.mkdir(parents=True, exist_ok=True)
            self.uri = f"{SQLITE}{folder / 'mlflow.db'}"
        self._client = MlflowClient(self.uri)
        self._study = study
        self._experiment = self._find_experiment(folder / "mlflow-artifacts" if is_ours else None)
        self._there = {run.data.tags[_TRIAL]: run for run in self._search()}
        parent = self._begin(_PARENT, study.name, study.time)
        self._client.update_run(parent.id, status=_RUNNING)
        parent.params(flat(study.config))

    def on_trial_start(self, trial: TrialStart) -> None:
        """Begin the trial's run."""
        if self._has_ended(str(trial.trial)):
            return
        run = self._begin(str(trial.trial), f"trial {trial.trial}", trial.time)
        run.params(flat(trial.hparams))

    def on_epoch(self, epoch: Epoch) -> None:
        """Log the metrics; the step is the epoch."""
        if str(epoch.trial) in self._runs:
            self._runs[str(epoch.trial)].metrics(epoch.metrics, epoch.epoch, epoch.time)

    def on_trial_end(self, trial: TrialEnd) -> None:
        """Log the best value, what was measured of the model, and how the trial ended."""
        run = self._runs.pop(str(trial.trial), None)
        if run is None:
            return
        objective = self._study.objectives[0].metric
        if trial.best_epoch is not None:
            run.metrics({f"best/{objective}": trial.metrics[objective]}, trial.best_epoch, trial.time)
        run.metrics({f"model/{name}": value for name, value in trial.measures.items()}, 0, trial.time)
        run.tags({"tuner.state": trial.state.value, "tuner.reason": trial.reason})
        run.end(_FAILED if trial.state is TrialState.FAILED else _FINISHED, trial.time)

    def on_retrain_epoch(self, epoch: RetrainEpoch) -> None:
        """Log the metrics; the step is the epoch."""
        run = self._retraining(_retrained(epoch), epoch.time)
        if run is not None:
            run.metrics(epoch.metrics, epoch.epoch, epoch.time)

    def on_study_end(self, study: StudyEnd) -> None:
        """Log what the winner is and what the retrainings scored."""
        parent = self._runs[_PARENT]
        if study.winner is not None and study.value is not None:
            parent.metrics({f"best/{self._study.objectives[0].metric}": study.value}, 0, study.time)
            parent.tags({"tuner.winner": str(study.winner), "tuner.winner_hparams": str(dict(study.hparams))})
        for one in study.retrainings if study.finished else ():
            self._log_retraining(one, study.time)
        for name in [name for name in self._runs if name.startswith(_RETRAINED)] if study.finished else ():
            self._runs.pop(name).end(_FAILED, study.time)
        parent.end(_FINISHED if study.finished else _KILLED, study.time)

    def _log_retraining(self, one: Retraining, time: float) -> None:
        run = self._retraining(_retrained(one), time)
        if run is not None:
            run.metrics(finals(one.evaluations), one.best_epoch or 0, time)
            self._runs.pop(_retrained(one)).end(_FINISHED, time)

    def _retraining(self, name: str, time: float) -> _Run | None:
        """Return a retraining's run, begun where it is not; None if it is whole already."""
        if self._has_ended(name):
            return None
        return self._runs[name] if name in self._runs else self._begin(name, name, time)

    def _find_experiment(self, artifacts: Path | None) -> str:
        named = os.environ.get("MLFLOW_EXPERIMENT_ID")
        if named:
            return named
        name = os.environ.get("MLFLOW_EXPERIMENT_NAME") or _EXPERIMENT
        found = self._client.get_experiment_by_name(name)
        if found is not None:
            return str(found.experiment_id)
        return str(self._client.create_experiment(name, artifact_location=artifacts and artifacts.as_uri()))

    def _search(self) -> Iterable[Any]:
        """Yield the study's runs, a page at a time."""
        wanted, token = f"tags.`{_STUDY}` = '{self._study.id}'", None
        while True:
            page = self._client.search_runs([self._experiment], wanted, max_results=_PAGE, page_token=token)
            yield from page
            token = page.token
            if not token:
                return

    def _has_ended(self, trial: str) -> bool:
        """Whether all of it is there: a run is ended last."""
        return trial in self._there and self._there[trial].info.status in (_FINISHED, _FAILED)

    def _begin(self, trial: str, name: str, time: float) -> _Run:
        found = self._there.get(trial)
        if found is None:
            tags = {_STUDY: self._study.id, _TRIAL: trial}
            if trial != _PARENT:
                tags["mlflow.parentRunId"] = self._runs[_PARENT].id
            made = self._client.create_run(self._experiment, _milliseconds(time), tags, name)
            self._runs[trial] = _Run(self._client, made.info.run_id, is_new=True)
        else:
            self._runs[trial] = _Run(self._client, found.info.run_id, is_new=False)
        return self._runs[trial]


class _Run:
    """One of MLflow's runs; logs what is not there yet."""

    def __init__(self, client: Any, run: str, *, is_new: bool) -> None:
        self._client = client
        self.id = run
        self._is_new = is_new
        self._steps: defaultdict[str, set[int]] = defaultdict(set)
        """By metric."""

    def params(self, values: Mapping[str, Scalar]) -> None:
        """Log parameters; the same again is nothing to MLflow."""
        from mlflow.entities import Param

        known = [Param(_name(name), str(value)[:_LONGEST_PARAM]) for name, value in values.items()]
        for first in range(0, len(known), _MOST_PARAMS):
            self._client.log_batch(self.id, params=known[first : first + _MOST_PARAMS])

    def metrics(self, values: Mapping[str, float], step: int, time: float) -> None:
        """Log those metrics that lack this step."""
        from mlflow.entities import Metric

        lacking = {_name(name): value for name, value in values.items() if step not in self._steps_of(_name(name))}
        if lacking:
            moment = _milliseconds(time)
            self._client.log_batch(self.id, [Metric(name, value, moment, step) for name, value in lacking.items()])
        for name in lacking:
            self._steps[name].add(step)

    def tags(self, values: Mapping[str, str]) -> None:
        """Set tags."""
        from mlflow.entities import RunTag

        self._client.log_batch(self.id, tags=[RunTag(name, value) for name, value in values.items()])

    def end(self, status: str, time: float) -> None:
        """End it; nothing follows."""
        self._client.set_terminated(self.id, status, _milliseconds(time))

    def _steps_of(self, metric: str) -> set[int]:
        if not self._is_new and metric not in self._steps:
            self._steps[metric] = {one.step for one in self._client.get_metric_history(self.id, metric)}
        return self._steps[metric]


def _retrained(one: Retraining | RetrainEpoch) -> str:
    return f"{_RETRAINED}{retraining_name(one).replace('-', ' ')}"


def _name(name: str) -> str:
    """Return a name that MLflow takes.

    One that had to change ends with a digest of what it was, so that no two become the same.
    """
    if _is_taken(name):
        return name
    digest = hashlib.sha256(name.encode(errors="backslashreplace")).hexdigest()[:8]
    plain = _NOT_IN_NAMES.sub("_", name).replace("/", "_").lstrip(".")
    return f"{plain[: _LONGEST_NAME - 9]}-{digest}"


def _is_taken(name: str) -> bool:
    """Return whether MLflow takes a name as it is, which to some of its stores is a path and must have one spelling."""
    is_path = posixpath.normpath(name) == name and not name.startswith(("/", "..")) and name != "."
    return is_path and len(name) <= _LONGEST_NAME and not _NOT_IN_NAMES.search(name)


def _milliseconds(time: float) -> int:
    return int(time * 1000)
