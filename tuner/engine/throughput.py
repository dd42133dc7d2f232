"""How fast this machine trains, measured before the plan is made."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, assert_never

from tuner.engine.checkpoint_store import CheckpointStore
from tuner.engine.executor import Key
from tuner.engine.outcome import Concluded, Crashed, Failed, Infeasible, Outcome, Reported, WorkerLost
from tuner.engine.traces import with_trace
from tuner.engine.worker import Assignment
from tuner.errors import SpaceError
from tuner.paths import MEASURED
from tuner.results.wording import hparams_text
from tuner.search.objective import MEASURES, Objective
from tuner.search.report import evaluated, evaluation_name
from tuner.training.lr_decay import without_schedule

_SAMPLE_EXAMPLES = 1280
_SAMPLE_BATCHES = 4
"""At least so many: on a GPU the fourth step of a training is recorded, and only those after it have its true speed."""
_MOST_MEASURED = 8
"""Workers measured at the same time; they share a machine's memory and caches, so one alone would flatter."""
_UNTRAINABLE = "the space's first start configuration cannot be trained"
_UNFINISHABLE = "a search would be in vain, for what it finds could not be retrained to its end"
_MOST_INFEASIBLE = 30
"""Trainings that may declare their configuration impossible, of one that asks for another with each seed."""
_MOST_UNTRAINABLE = 20
"""Random configurations that may fail, one after the other, before a space counts as having no other: where four in
five fail, as they may where a range is far too wide, there is one that does not among so many."""
_ENOUGH_UNTRAINABLE = 3
_SECONDS_OF_TRYING = 60.0
"""After so long, enough of them are enough: of a mistake in the code that a slow epoch shows, the user soon hears."""
_OF_A_SAMPLE: Mapping[str, Any] = {
    # The speed does not depend on it, and a configuration that diverges is a failed trial, not the end of the study.
    "learning_rate": 1e-6,
    # Their batch norm is measured on as many examples whatever an epoch has: next to nothing of a whole one, but a
    # fifth of a sample.
    "averaged_epochs": 0.0,
}
_EPOCHS = 2
"""The first is slower: it warms up."""
_ENOUGH_SECONDS = 300.0
"""A first epoch that takes so long is the last that is measured: the second would cost the user minutes and say hardly
more. In one of a minute or two most may be its warming up, as where a model is compiled; so long hardly any takes."""


def sample(hparams: Mapping[str, Any], examples: int | None, scratch: str) -> Assignment:
    """Return a short training of `hparams` on a part of `examples` train examples; if None, on all there is.

    Its checkpoints lie below `scratch`.
    """
    # Only of our own loop's examples a part is ours to take, and only its learning rate ours to change.
    return Assignment(
        hparams if examples is None else {**without_schedule(hparams), **_OF_A_SAMPLE},
        seed=0,
        max_epochs=_EPOCHS,
        checkpoints=f"{scratch}/{MEASURED}{uuid.uuid4().hex}",
        is_measured=True,  # so that what cannot be measured is found before the search
        share=1.0 if examples is None else min(1.0, _sample_size(hparams) / examples),
        is_rehearsed=examples is None,  # our own loop's state is known to go both ways
        enough_seconds=_ENOUGH_SECONDS if examples is None else None,  # the warm-up of a sample would be scaled, too
    )


def _sample_size(hparams: Mapping[str, Any]) -> int:
    batch_size = hparams.get("batch_size")
    return max(_SAMPLE_EXAMPLES, _SAMPLE_BATCHES * batch_size if isinstance(batch_size, int) else 0)


class Probe:
    """Trains a configuration on a sample, several times side by side, to tell the seconds of a full epoch."""

    def __init__(
        self,
        hparams: Mapping[str, Any],
        examples: int | None,
        scratch: str,
        *,
        workers: int,
        max_failures: int,
        others: Iterator[Mapping[str, Any]] | None = None,
    ) -> None:
        """Measure `hparams` with `workers` trainings on a part of `examples` train examples; if None, on all there is.

        Their checkpoints lie below `scratch`, a place on the storage that the study will use, until each is done; one
        whose process is killed leaves some under a name that begins with `MEASURED`. `max_failures` deaths of a
        process are forgiven. Where `hparams` are a random configuration, `others` are more of them, of which one is
        measured instead if it cannot be trained; where they are the user's first start configuration, that must be.
        """
        self._hparams = hparams
        self._examples = examples
        self._scratch = scratch
        self._others = others
        self._given_up = 0
        """Random configurations that could not be trained; the seed of the trainings of the next."""
        self._began = time.monotonic()
        self._waiting = [self._sample() for _ in range(min(workers, _MOST_MEASURED))]
        self._running: dict[Key, Assignment] = {}
        self._max_failures = max_failures
        self._failures = 0
        self._infeasible = 0
        self._found: list[float] = []
        self.is_single = False
        """Whether the training has a single epoch, as one that fits in one go."""
        self.evaluation: Mapping[str, float] | str | None = None
        """What the training's `evaluate` found on dev, or why it failed; None if it was not asked."""

    @property
    def seconds_per_epoch(self) -> float:
        """The mean seconds of one full epoch, once all is measured."""
        return sum(self._found) / len(self._found)

    @property
    def is_over(self) -> bool:
        """Whether all is measured."""
        return not self._waiting and not self._running

    def next(self) -> tuple[Key, Assignment] | None:
        """Return a training to measure, named by its checkpoints; None if all are under way."""
        if not self._waiting:
            return None
        assignment = self._waiting.pop()
        self._running[assignment.checkpoints] = assignment
        return assignment.checkpoints, assignment

    def take(self, key: Key, outcome: Outcome) -> bool:
        """Take the seconds of the last epoch; return whether that is still to come.

        Raises:
            SpaceError: if the training's end fails by its code, or the configuration cannot be trained, is impossible
                whatever the seed, or processes die too often; of random configurations, if that is so of many.
        """
        if self._is_outdated(key):
            self._replace(key)
            return False
        match outcome:
            case Reported():
                return self._report(key, outcome)
            case Failed(is_rehearsal=True):
                CheckpointStore(str(key)).delete()
                raise with_trace(SpaceError(f"{_UNFINISHABLE}: {_in_one_line(outcome.reason)}"), outcome.error)
            case Failed() | Crashed():
                self._refuse(key, _in_one_line(outcome.reason), outcome.error)
                return False
            case Infeasible():
                self._try_another_seed(key, outcome.reason)
                return False
            case WorkerLost():
                self._failures += outcome.charged
                if self._failures > self._max_failures:
                    self._refuse(key, f"its worker died {self._failures} times: {_in_one_line(outcome.error)}")
                    return False
                return True
            case Concluded():
                raise AssertionError(key)  # nobody has asked for it
            case _:
                assert_never(outcome)

    def give_back(self, key: Key) -> None:
        """Take back a training that could not be begun."""
        if self._is_outdated(key):
            self._replace(key)
        else:
            self._waiting.append(self._running.pop(key))

    def _report(self, key: Key, reported: Reported) -> bool:
        if not reported.finished and (reported.report.epoch < _EPOCHS):
            return True
        self.is_single = reported.is_over and reported.report.epoch < _EPOCHS
        self.evaluation = reported.evaluation
        self._found.append(reported.report.seconds / self._running.pop(key).share)
        CheckpointStore(str(key)).delete()
        return False

    def _sample(self) -> Assignment:
        return replace(sample(self._hparams, self._examples, self._scratch), seed=self._given_up)

    def _is_outdated(self, key: Key) -> bool:
        """Whether a training is of a configuration that another training has shown to be of no use."""
        return self._others is not None and self._running[key].seed != self._given_up

    def _replace(self, key: Key) -> None:
        """Let the configuration that is measured now take the place of the one that a training was of."""
        CheckpointStore(str(key)).delete()
        del self._running[key]
        self._waiting.append(self._sample())

    def _refuse(self, key: Key, reason: str, trace: str | None = None) -> None:
        """Go on with another random configuration; raises SpaceError for one of the user's, or if none will do."""
        if self._others is None:
            CheckpointStore(str(key)).delete()
            raise with_trace(SpaceError(f"{_UNTRAINABLE}: {reason}"), trace)
        tried, waited = self._given_up + 1, time.monotonic() - self._began
        if tried >= _MOST_UNTRAINABLE or (tried >= _ENOUGH_UNTRAINABLE and waited > _SECONDS_OF_TRYING):
            CheckpointStore(str(key)).delete()
            last = f"the last ({hparams_text(self._hparams)})" if self._hparams else "the last"
            tried_in_vain = f"none of {tried} random configurations can be trained, {last} because: {reason}"
            raise with_trace(SpaceError(tried_in_vain), trace)
        self._try_another(key)

    def _try_another(self, key: Key) -> None:
        """Let all that measure the random configuration of `key` measure the next one."""
        assert self._others is not None
        self._hparams = next(self._others)
        self._given_up, self._failures = self._given_up + 1, 0
        self._waiting = [self._sample() for _ in (*self._waiting, *self._found)]
        self._found.clear()
        self._replace(key)

    def _try_another_seed(self, key: Key, reason: str) -> None:
        """Let another seed be measured: what asks for its parameters as it runs then asks for others.

        Without a start configuration it is another random one, too.
        """
        self._infeasible += 1
        if self._infeasible == _MOST_INFEASIBLE:
            CheckpointStore(str(key)).delete()
            tried = f"none of {_MOST_INFEASIBLE} first configurations can be trained, the last because it is infeasible"
            raise SpaceError(f"{tried}: {_in_one_line(reason)}")
        if self._others is None:
            CheckpointStore(str(key)).delete()
            self._waiting.append(replace(self._running.pop(key), seed=self._infeasible))
        else:
            self._try_another(key)


def evaluation_notice(found: Mapping[str, float] | str | None, objective: Objective, *, has_test: bool) -> str | None:
    """Return what a user should know of what `evaluate` found on dev; None if it has the objective or was not asked."""
    if isinstance(found, str):
        return f"{found} If it does so after the retraining, nothing of the winner will be measured."
    if found is None or objective.metric in MEASURES or evaluated(found, objective) is not None:
        return None
    name = evaluation_name(objective)
    wanted = name if name == objective.metric else f"{name} (or {objective.metric})"
    if found:
        return f"evaluate() gives {', '.join(found)}, but not {wanted}: the final table has no value of the objective."
    lost = "neither train nor test is measured" if has_test else "train is not measured"
    return (
        f"evaluate(), or the function that a generator returns, gives nothing, but should give {wanted}: after the "
        f"retraining {lost}, and dev is what the last epoch reports."
    )


def _in_one_line(text: str) -> str:
    return " ".join(text.split())
