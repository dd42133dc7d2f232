"""What must hold of a study that was killed, judged from its journal, its tables and the workers' evidence."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from tests.chaos.study import ChaosStudy
from tests.chaos.torment import Toll
from tuner.engine.replay import DivergenceError
from tuner.journal.events import (
    DriverStarted,
    EpochReported,
    Event,
    PlanMade,
    RetrainEnded,
    RetrainEpochReported,
    StudyStarted,
    TrialEnded,
    TrialProposed,
    TrialRetried,
)
from tuner.journal.store import Entry
from tuner.replay import replay

MOST_EXTRA_EPOCHS = 0.03
"""Epochs begun above the undisturbed study's, as a share of those, for each kill."""

_CIRCUMSTANCES = (StudyStarted, DriverStarted, PlanMade, TrialRetried)
"""Events that tell of the drivers and the kills, not of the study."""
_MEASURED = ("seconds", "seconds_per_epoch", "worker", "error")
"""Fields that differ between two runs of the same study."""
_MEASUREMENT = ("measurement", 0)
_MOST_EPOCHS = 100


@dataclass(frozen=True)
class Verdict:
    """Figures and what was violated."""

    rows_lost: int
    rows_duplicated: int
    trials_repeated: int
    epochs_begun: int
    epochs_begun_undisturbed: int
    extra_epochs_per_kill: float
    """As a share of the undisturbed study's epochs."""
    orphaned_files: list[str]
    orphaned_processes: list[str]
    violations: list[str]


def judge(study: ChaosStudy, undisturbed: ChaosStudy, toll: Toll, most_seconds: float) -> Verdict:
    """Return the verdict on `study`, compared with the same study `undisturbed`."""
    entries = study.journal()
    rows = _rows(study)
    expected = _rows(undisturbed)
    begun, begun_undisturbed = _begun(study), _begun(undisturbed)
    files = _orphaned_files(study)
    trained, least = _trained(begun), _trained(begun_undisturbed)
    extra = (trained - least) / least / max(1, len(toll.kills))
    verdict = Verdict(
        rows_lost=len(set(expected) - set(rows)),
        rows_duplicated=sum(count - 1 for count in Counter(rows).values()) + _reported_twice(entries),
        trials_repeated=len(_repeated(study, entries)),
        epochs_begun=trained,
        epochs_begun_undisturbed=least,
        extra_epochs_per_kill=round(extra, 4),
        orphaned_files=files,
        orphaned_processes=toll.orphans,
        violations=[],
    )
    verdict.violations.extend(_violations(verdict, toll, most_seconds))
    verdict.violations.extend(_differences(entries, undisturbed.journal()))
    try:
        replay(study.paths.root)
    except DivergenceError as error:
        verdict.violations.append(f"a decision cannot be derived again: {error}")
    if set(rows) - set(expected):
        verdict.violations.append(f"rows that the undisturbed study lacks: {sorted(set(rows) - set(expected))[:5]}")
    return verdict


def _violations(verdict: Verdict, toll: Toll, most_seconds: float) -> Iterable[str]:
    if verdict.rows_lost or verdict.rows_duplicated:
        yield f"{verdict.rows_lost} rows lost, {verdict.rows_duplicated} duplicated"
    if verdict.trials_repeated:
        yield f"{verdict.trials_repeated} finished trainings were trained again"
    if verdict.extra_epochs_per_kill > MOST_EXTRA_EPOCHS:
        yield f"{verdict.extra_epochs_per_kill:.1%} more epochs per kill, allowed are {MOST_EXTRA_EPOCHS:.0%}"
    if verdict.orphaned_files:
        yield f"left behind: {', '.join(verdict.orphaned_files[:5])}"
    if verdict.orphaned_processes:
        yield f"still alive: {', '.join(verdict.orphaned_processes[:5])}"
    if toll.seconds > most_seconds:
        yield f"it took {toll.seconds:.0f}s, allowed were {most_seconds:.0f}s"
    yield from (f"a driver died by itself: {death}" for death in toll.deaths)


def _rows(study: ChaosStudy) -> list[tuple[Any, ...]]:
    """Return the keys of all rows of the tables of epochs."""
    epochs = pd.read_parquet(study.paths.epochs)
    retrain_epochs = pd.read_parquet(study.paths.retrain_epochs)
    return [
        *epochs[["trial", "epoch"]].itertuples(index=False, name=None),
        *retrain_epochs[["candidate", "seed", "epoch"]].itertuples(index=False, name=None),
    ]


def _reported_twice(entries: Iterable[Entry]) -> int:
    keys = Counter(
        (event.trial, event.epoch) if isinstance(event, EpochReported) else (event.candidate, event.seed, event.epoch)
        for event in (entry.event for entry in entries)
        if isinstance(event, EpochReported | RetrainEpochReported)
    )
    return sum(count - 1 for count in keys.values())


def _differences(entries: Iterable[Entry], expected: Iterable[Entry]) -> list[str]:
    """Return the first event in which the two differ, circumstances and measured times aside."""
    ours, theirs = list(map(_essence, _study_of(entries))), list(map(_essence, _study_of(expected)))
    for index, (one, other) in enumerate(zip(ours, theirs, strict=False)):
        if one != other:
            return [f"event {index} of the study is {one}, undisturbed it is {other}"]
    return [] if len(ours) == len(theirs) else [f"the study has {len(ours)} events, undisturbed {len(theirs)}"]


def _study_of(entries: Iterable[Entry]) -> list[Event]:
    return [entry.event for entry in entries if not isinstance(entry.event, _CIRCUMSTANCES)]


def _essence(event: Event) -> tuple[str, dict[str, Any]]:
    return type(event).__name__, {name: value for name, value in asdict(event).items() if name not in _MEASURED}


# Evidence.


def _begun(study: ChaosStudy) -> list[tuple[tuple[str, int], int, float]]:
    """Return training, epoch and time of all begun epochs; a training is named by its kind and seed."""
    names = _names_of_seeds(study.journal())
    return [(*names.get(begun.seed, (("unknown", begun.seed), 0)), begun.time) for begun in study.evidence()]


def _names_of_seeds(entries: Iterable[Entry]) -> Mapping[int, tuple[tuple[str, int], int]]:
    """Return training and epoch by the seed that torch has during it."""
    trainings = {_MEASUREMENT: 0}
    for entry in entries:
        match entry.event:
            case TrialProposed() as event:
                trainings["trial", event.trial] = event.seed
            case RetrainEpochReported() as event:
                # Winner and baseline are retrained with the same seed; their evidence cannot be told apart.
                trainings["retrain", event.seed] = event.seed
    return {
        int(np.random.SeedSequence([seed, epoch]).generate_state(2)[1]): (name, epoch + 1)
        for name, seed in trainings.items()
        for epoch in range(_MOST_EPOCHS)
    }


def _trained(begun: Iterable[tuple[tuple[str, int], int, float]]) -> int:
    return sum(name != _MEASUREMENT for name, _, _ in begun)


def _repeated(study: ChaosStudy, entries: Iterable[Entry]) -> set[tuple[str, int]]:
    """Return the trainings of which an epoch began after they had ended."""
    ended: dict[tuple[str, int], float] = {}
    for entry in entries:
        match entry.event:
            case TrialEnded() as event:
                ended["trial", event.trial] = entry.time
            case RetrainEnded() as event:
                ended["retrain", event.seed] = entry.time  # the last of the two
    return {name for name, _, when in _begun(study) if when > ended.get(name, float("inf"))}


def _orphaned_files(study: ChaosStudy) -> list[str]:
    """Return checkpoints and temporary files that are still there; Ray's own logs may stay."""
    root = study.paths.root
    left = [
        path for path in study.temporary.rglob("*") if not path.relative_to(study.temporary).parts[0].startswith("ray")
    ]
    left += [path for path in root.rglob("*") if ".tmp" in path.name or _is_checkpoint(path)]
    return sorted(str(path) for path in left if path.is_file())


def _is_checkpoint(path: Path) -> bool:
    return "checkpoints" in path.parts or path.suffix == ".pt"
