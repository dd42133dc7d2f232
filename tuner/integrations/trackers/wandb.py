"""Weights & Biases: a group for the study, and in it a run for each trial and one for the study's result.

`WANDB_MODE`, `WANDB_PROJECT`, `WANDB_ENTITY`, `WANDB_DIR` and what else it reads from the environment say where.
Without a mode and without a key it works offline and writes below the run's folder, from where
`wandb sync RUN/trackers/wandb/*run-*` uploads it. A trial's run has an id made of the study's, so that a later driver
goes on with it. What is there is read back from W&B's own files; of a run that is online and had not ended, the server
says its last epoch.
"""

from __future__ import annotations

import json
import netrc
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlparse

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
from tuner.integrations.trackers.open_runs import OpenRuns
from tuner.integrations.trackers.values import finals, retraining_name, run_title
from tuner.search.trial import TrialState

_STUDY = "study"
"""In place of a trial's number."""
_STATE = "state"
"""The key in a run's summary that is written last."""
_PROJECT = "tuner"
_ADDRESS = "https://api.wandb.ai"
_EPOCH = "epoch"


@dataclass
class _Known:
    """What W&B has of a run."""

    epochs: set[int] = field(default_factory=set)
    state: str | None = None
    exited: bool = False

    @property
    def is_whole(self) -> bool:
        return self.state is not None and self.exited


class Tracker(Callback):
    """Logs to W&B; a run for each trial, for there its pages compare runs, of which one process may have several."""

    replays = True

    def __init__(self) -> None:
        """Begin without a study."""
        self._study: StudyStart
        self._folder = Path()
        self._mode: Literal["offline"] | None = None
        self._known: dict[str, _Known] = {}
        self._configs: dict[str, dict[str, Any]] = {}
        """Of runs that have not ended, by trial."""
        self._runs: OpenRuns[Any] = OpenRuns(self._open, lambda run: run.finish())

    def on_study_start(self, study: StudyStart) -> None:
        """Find what is there."""
        self._study = study
        self._folder = Path(os.environ.get("WANDB_DIR") or study.folder / FOLDER)
        self._folder.mkdir(parents=True, exist_ok=True)
        self._mode = None if os.environ.get("WANDB_MODE") or _has_key() else "offline"
        self._known = dict(_read_back(self._folder / "wandb", study.id))

    def on_trial_start(self, trial: TrialStart) -> None:
        """Take note of the trial's configuration; its run begins with its first epoch, or its end."""
        about = {"trial": trial.trial, "seed": trial.seed, "origin": trial.origin.value}
        self._configs[str(trial.trial)] = {**trial.hparams, "tuner": about}

    def on_epoch(self, epoch: Epoch) -> None:
        """Log the metrics; the step is the epoch."""
        self._log(str(epoch.trial), epoch)

    def _log(self, key: str, epoch: Epoch | RetrainEpoch) -> None:
        if self._of(key).is_whole or epoch.epoch in self._of(key).epochs:
            return
        run = self._runs[key]
        if epoch.epoch not in self._of(key).epochs:  # which opening it may have told
            run.log({**epoch.metrics, _EPOCH: epoch.epoch}, step=epoch.epoch, commit=True)
            self._of(key).epochs.add(epoch.epoch)

    def on_trial_end(self, trial: TrialEnd) -> None:
        """Put the best value, what was measured and how the trial ended into the summary, and finish its run."""
        key, objective = str(trial.trial), self._study.objectives[0].metric
        if not self._of(key).is_whole:
            summary: dict[str, Any] = {f"model/{name}": value for name, value in trial.measures.items()}
            if trial.best_epoch is not None:
                summary |= {f"best/{objective}": trial.metrics[objective], "best/epoch": trial.best_epoch}
            self._finish(key, {**summary, "reason": trial.reason, _STATE: trial.state.value})
        del self._configs[key]

    def on_retrain_epoch(self, epoch: RetrainEpoch) -> None:
        """Log the metrics; the step is the epoch."""
        self._configs.setdefault(retraining_name(epoch), _about(epoch))
        self._log(retraining_name(epoch), epoch)

    def on_study_end(self, study: StudyEnd) -> None:
        """Make a run of the result, if there is one, and finish what is open."""
        for one in study.retrainings if study.finished else ():
            key = retraining_name(one)
            if not self._of(key).is_whole:
                self._configs.setdefault(key, _about(one))
                self._finish(key, {**finals(one.evaluations), _STATE: TrialState.COMPLETE.value})
        if study.finished and not self._of(_STUDY).is_whole:
            summary: dict[str, Any] = {"winner": study.winner, "hparams": json.dumps(study.hparams)}
            if study.value is not None:
                summary[f"best/{self._study.objectives[0].metric}"] = study.value
            for one in study.retrainings:
                summary |= {
                    f"{retraining_name(one)}/{metric}": value for metric, value in finals(one.evaluations).items()
                }
            self._finish(_STUDY, {**summary, _STATE: TrialState.COMPLETE.value})
        self._runs.close_all()

    def _finish(self, key: str, summary: Mapping[str, Any]) -> None:
        self._runs[key].summary.update(dict(summary))
        self._runs.close(key)
        self._known[key] = _Known(self._of(key).epochs, str(summary[_STATE]), exited=True)

    def _of(self, key: str) -> _Known:
        return self._known.setdefault(key, _Known())

    def _open(self, key: str) -> Any:
        import wandb

        is_study = key == _STUDY
        run = wandb.init(
            project=os.environ.get("WANDB_PROJECT") or _PROJECT,
            group=os.environ.get("WANDB_RUN_GROUP") or self._study.name,
            job_type=_STUDY if is_study else "trial" if key.isdigit() else "retraining",
            id=_id(self._study.id, key),
            name=self._study.name if is_study else f"{self._study.name} {run_title(key)}",
            dir=str(self._folder),
            mode=self._mode,
            config=dict(self._study.config) if is_study else self._configs[key],
            resume="allow",
            reinit="create_new",
            # The driver's console, code and load say nothing of a trial, and what is logged must outlive a kill.
            settings=wandb.Settings(
                console="off",
                silent=True,
                disable_git=True,
                disable_code=True,
                x_disable_stats=True,
                x_save_requirements=False,  # else each run lists all packages, in a third of a second
                x_transaction_log_flush_interval=1.0,
            ),
        )
        if run.resumed and not run.offline:
            self._of(key).epochs |= set(range(1, int(run.summary.get(_EPOCH) or 0) + 1))
        return run


def _about(one: Retraining | RetrainEpoch) -> dict[str, Any]:
    return {"tuner": {"candidate": one.candidate, "seed": one.seed}}


def _id(study: str, key: str) -> str:
    return f"{study}-{key}"


def _has_key() -> bool:
    """Whether W&B has a key, so that it need not ask the user for one."""
    if os.environ.get("WANDB_API_KEY"):
        return True
    host = urlparse(os.environ.get("WANDB_BASE_URL") or _ADDRESS).hostname or ""
    try:
        return netrc.netrc(os.environ.get("NETRC")).authenticators(host) is not None
    except (OSError, netrc.NetrcParseError):
        return False


def _read_back(folder: Path, study: str) -> Iterator[tuple[str, _Known]]:
    """Yield what W&B's files say of each run of the study; one may have several, each of another driver."""
    from tuner.integrations.trackers.wandb_files import records

    found: dict[str, _Known] = {}
    for path in sorted(folder.glob(f"*run-*-{study}-*/run-*.wandb")):
        known = found.setdefault(path.stem.removeprefix(f"run-{study}-"), _Known())
        known.exited = False
        for record in records(path):
            kind = record.WhichOneof("record_type")
            if kind == "history":
                known.epochs |= {int(value) for name, value in _items(record.history.item) if name == _EPOCH}
            elif kind == "summary":
                known.state = dict(_items(record.summary.update)).get(_STATE, known.state)
            elif kind == "exit":
                known.exited = True
    yield from found.items()


def _items(items: Any) -> Iterator[tuple[str, Any]]:
    for item in items:
        yield item.key or "/".join(item.nested_key), json.loads(item.value_json)
