"""Which trainings follow the search, and how long each is: the rules by which they share the time that is left."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from tuner.engine.clock import CLOSING_SECONDS, FINAL_EVALUATION_EPOCHS, makespan

_USED = 0.97
"""Of the time to which trainings are fitted: epochs may turn out a little slower than those of the search."""
_STILL_WORTH_IT = 0.5
"""Of the least epochs: who was promised them all is rather trained for this part than not at all."""


@dataclass(frozen=True)
class PlannedRetraining:
    """One training that follows the search."""

    candidate: str
    seed: int
    epochs: int

    @property
    def key(self) -> tuple[str, int]:
        """Names it in the history."""
        return self.candidate, self.seed


@dataclass(frozen=True)
class Lengths:
    """How many epochs a retraining may have."""

    least: int
    most: int | None = None
    """None: neither more nor fewer than the least."""


def fit_retrainings(
    wanted: Sequence[tuple[str, int]],
    seconds_per_epoch: Mapping[str, float],
    lengths: Lengths,
    *,
    workers: int,
    seconds_left: float | None,
) -> list[PlannedRetraining]:
    """Return the retrainings that fit into the time left (None: no limit), of those `wanted`, the most important first.

    All get the same time, and in it as many epochs as theirs cost: a cheap winner is trained for longer. Where that is
    less than the least for one of them, all get the least. Where not even that fits, seeds go, then the baseline; the
    first that is wanted stays in any case, with as many epochs as there is time for.
    """
    if seconds_left is None:
        return [PlannedRetraining(*key, lengths.least) for key in wanted]
    time = max(0.0, seconds_left - CLOSING_SECONDS)
    for keys in _fewer_and_fewer(wanted):
        epochs = _epochs(keys, seconds_per_epoch, lengths, workers, time)
        if epochs is not None:
            return [PlannedRetraining(*key, epochs[key[0]]) for key in keys]
    return [_first_alone(PlannedRetraining(*wanted[0], lengths.least), time, seconds_per_epoch)]


def refit_retrainings(
    waiting: Sequence[PlannedRetraining],
    busy: Sequence[float],
    seconds_per_epoch: Mapping[str, float],
    lengths: Lengths,
    *,
    workers: int,
    seconds_left: float | None,
    keeps_first: bool = False,
) -> list[PlannedRetraining]:
    """Return what becomes of the retrainings that have not begun, the rest of the plan, if epochs turn out slower.

    `busy` are the seconds that those under way still need. While the plan holds nothing changes; else what is waiting
    is fitted to the time left, never to more epochs than planned; if need be to fewer than the least, down to half of
    it, and only then given up. Epochs that a person typed stay as they are. With `keeps_first` the first stays in any
    case, with as many epochs as there is time for.
    """
    if seconds_left is None or not waiting:
        return list(waiting)
    needed = [(one.epochs + FINAL_EVALUATION_EPOCHS) * seconds_per_epoch[one.candidate] for one in waiting]
    if _is_within(makespan(needed, workers, busy) + CLOSING_SECONDS, seconds_left):
        return list(waiting)
    most = None if lengths.most is None else max(one.epochs for one in waiting)
    least = lengths.least if most is None else min(lengths.least, most)
    worth_it = least if most is None else min(least, math.ceil(_STILL_WORTH_IT * lengths.least))
    time = max(0.0, seconds_left - CLOSING_SECONDS)
    planned = {one.key: one.epochs for one in waiting}
    for keys in _fewer_and_fewer(list(planned)):
        for fewer in range(least, worth_it - 1, -1):
            epochs = _epochs(keys, seconds_per_epoch, Lengths(fewer, most), workers, time, busy)
            if epochs is not None:
                return [PlannedRetraining(*key, min(planned[key], epochs[key[0]])) for key in keys]
    return [_first_alone(waiting[0], time, seconds_per_epoch)] if keeps_first else []


def is_last_epoch(seconds_per_epoch: float, seconds_left: float | None) -> bool:
    """Whether a retraining must end with the epoch that it has just had: another, and its evaluation, do not fit."""
    if seconds_left is None:
        return False
    return seconds_left - CLOSING_SECONDS < (1 + FINAL_EVALUATION_EPOCHS) * seconds_per_epoch


def scale_to_horizon(hparams: Mapping[str, Any], names: Sequence[str], factor: float) -> dict[str, Any]:
    """Return the hyperparameters for a training that is `factor` times as long: those of `names`, which count epochs.

    A whole number stays one, of at least 1; what is no number, or not there, stays as it is.
    """
    scaled = dict(hparams)
    for name in names:
        value = hparams.get(name)
        if isinstance(value, int) and not isinstance(value, bool):
            scaled[name] = max(1, round(value * factor)) if value > 0 else value
        elif isinstance(value, float):
            scaled[name] = value * factor
    return scaled


def _fewer_and_fewer(wanted: Sequence[tuple[str, int]]) -> Iterator[list[tuple[str, int]]]:
    """Yield what is wanted, then without the last seed of each candidate, and so on; then the first candidate alone."""
    by_candidate: dict[str, list[int]] = {}
    for candidate, seed in wanted:
        by_candidate.setdefault(candidate, []).append(seed)
    for count in range(max(map(len, by_candidate.values()), default=0), 0, -1):
        yield [(candidate, seed) for candidate, seeds in by_candidate.items() for seed in seeds[:count]]
    if len(by_candidate) > 1:
        yield [wanted[0]]


def _epochs(
    keys: Sequence[tuple[str, int]],
    costs: Mapping[str, float],
    lengths: Lengths,
    workers: int,
    time: float,
    busy: Sequence[float] = (),
) -> dict[str, int] | None:
    """Return the epochs of each candidate; None if the least does not fit."""
    candidates = dict.fromkeys(candidate for candidate, _ in keys)
    least = dict.fromkeys(candidates, lengths.least)

    def fits(epochs: Mapping[str, int]) -> bool:
        needed = [(epochs[candidate] + FINAL_EVALUATION_EPOCHS) * costs[candidate] for candidate, _ in keys]
        return _is_within(makespan(needed, workers, busy), time)

    if lengths.most is not None:
        each = _USED * time / -(-len(keys) // workers)
        while min(_fitting(each, costs[candidate]) for candidate in candidates) >= lengths.least:
            equal = {candidate: min(lengths.most, _fitting(each, costs[candidate])) for candidate in candidates}
            if fits(equal):
                return equal
            each -= min(costs[candidate] for candidate in candidates)  # a worker that is busy has less time for it
    return least if fits(least) else None


def _is_within(needed: float, time: float) -> bool:
    """Whether there is time for what is needed; the time kept for just that, summed in another order, is enough."""
    return needed <= time or math.isclose(needed, time)


def _first_alone(first: PlannedRetraining, time: float, seconds_per_epoch: Mapping[str, float]) -> PlannedRetraining:
    """Return the one that must not be given up, with as many of its epochs as there is time for, at least one."""
    return replace(first, epochs=max(1, min(first.epochs, _fitting(time, seconds_per_epoch[first.candidate]))))


def _fitting(seconds: float, seconds_per_epoch: float) -> int:
    return int(seconds / seconds_per_epoch - FINAL_EVALUATION_EPOCHS)
