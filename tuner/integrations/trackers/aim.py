"""Aim: an Aim run for each trial, in the experiment named after the study.

`AIM_REPO` names a repository's folder or the `aim://` address of a server; by default it lies below the run's folder:
`aim up --repo RUN/trackers/aim`. Runs are found again by what they hold under `tuner`. Aim keeps a value for each step,
so the epochs of a trial that had not ended are simply tracked again.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from tuner.integrations.callback import Callback, Epoch, RetrainEpoch, StudyEnd, StudyStart, TrialEnd, TrialStart
from tuner.integrations.trackers import FOLDER
from tuner.integrations.trackers.open_runs import OpenRuns
from tuner.integrations.trackers.values import finals, retraining_name, run_title

_STUDY = "study"
"""In place of a trial's number."""
_ABOUT = "tuner"
"""The key under which a run says what it is."""


class Tracker(Callback):
    """Tracks in an Aim repository."""

    replays = True

    def __init__(self, repo: str | None = None) -> None:
        """Track in the repository at `repo`, by default where the environment says."""
        self._given = repo
        self._study: StudyStart
        self._repo: Any = None
        self._hashes: dict[str, str] = {}
        """Aim's names of this study's runs, by trial."""
        self._ended: set[str] = set()
        self._runs: OpenRuns[Any] = OpenRuns(self._open, lambda run: run.close())

    def on_study_start(self, study: StudyStart) -> None:
        """Find the study's runs."""
        from aim import Repo

        default = study.folder / FOLDER / "aim"
        place = self._given or os.environ.get("AIM_REPO") or str(default)
        if place == str(default):
            default.mkdir(parents=True, exist_ok=True)
        # Not `from_path`, which would return what this process has open, and that knows none of the runs made since.
        self._repo = Repo(place, init=not Repo.is_remote_path(place))
        self._study = study
        for name in self._repo.list_all_runs():
            about = self._read(name)
            if about.get("study") == study.id:
                self._hashes[about["trial"]] = name
                self._ended |= {about["trial"]} if about.get("state") else set()

    def on_trial_start(self, trial: TrialStart) -> None:
        """Begin the trial's run with its hyperparameters."""
        key = str(trial.trial)
        if key not in self._ended:
            self._runs[key]["hparams"] = dict(trial.hparams)

    def on_epoch(self, epoch: Epoch) -> None:
        """Track the metrics; the step is the epoch."""
        if str(epoch.trial) not in self._ended:
            self._track(str(epoch.trial), epoch.metrics, epoch.epoch)

    def on_trial_end(self, trial: TrialEnd) -> None:
        """Add the best value, what was measured and how the trial ended."""
        key, objective = str(trial.trial), self._study.objectives[0].metric
        if key in self._ended:
            return
        found: dict[str, Any] = {"measures": dict(trial.measures), "reason": trial.reason}
        if trial.best_epoch is not None:
            found |= {"best_epoch": trial.best_epoch, "best": {objective: trial.metrics[objective]}}
        self._end(key, found, trial.state.value)

    def on_retrain_epoch(self, epoch: RetrainEpoch) -> None:
        """Track the metrics; the step is the epoch."""
        if retraining_name(epoch) not in self._ended:
            self._track(retraining_name(epoch), epoch.metrics, epoch.epoch)

    def on_study_end(self, study: StudyEnd) -> None:
        """Make a run of the result, if there is one, and close what is open."""
        for one in study.retrainings if study.finished else ():
            if retraining_name(one) not in self._ended:
                self._end(retraining_name(one), {"scores": finals(one.evaluations)}, "COMPLETE")
        if study.finished and _STUDY not in self._ended:
            self._runs[_STUDY]["config"] = dict(self._study.config)
            scores = {retraining_name(one): finals(one.evaluations) for one in study.retrainings}
            found = {"winner": study.winner, "hparams": dict(study.hparams), "value": study.value, "scores": scores}
            self._end(_STUDY, found, "COMPLETE")
        self._runs.close_all()

    def _read(self, name: str) -> Mapping[str, Any]:
        """Return what a run says that it is; Aim's index would not know those that were not closed."""
        tree = self._repo.request_tree("meta", name, read_only=True).subtree("meta")
        found: Mapping[str, Any] = tree.subtree("chunks").subtree(name).subtree("attrs").get(_ABOUT, {})
        return found

    def _track(self, key: str, metrics: Mapping[str, float], step: int) -> None:
        for name, value in metrics.items():
            self._runs[key].track(value, name=name, step=step, epoch=step)

    def _end(self, key: str, found: Mapping[str, Any], state: str) -> None:
        run = self._runs[key]
        run["result"] = dict(found)
        run[_ABOUT] = {**self._about(key), "state": state}
        self._ended.add(key)
        self._runs.close(key)

    def _open(self, key: str) -> Any:
        from aim import Run

        known = self._hashes.get(key)
        run = Run(
            known,
            repo=self._repo,
            experiment=self._study.name,
            force_resume=True,  # the lock of a driver that was killed
            system_tracking_interval=None,
            log_system_params=False,
            capture_terminal_logs=False,
        )
        if known is None:
            run[_ABOUT] = self._about(key)
            run.name = self._study.name if key == _STUDY else f"{self._study.name} {run_title(key)}"
            self._hashes[key] = run.hash
        return run

    def _about(self, key: str) -> dict[str, str]:
        return {"study": self._study.id, "trial": key}
