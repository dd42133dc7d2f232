"""Training the winner afresh with several seeds, and reading the test set once.

The dev set chooses the epoch of each retraining and the seed whose weights are kept; the test set chooses nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, assert_never

from tuner.engine.after_search import Retraining, RetrainTimes
from tuner.engine.coordinator import Record
from tuner.engine.ensemble import weights_file
from tuner.engine.executor import Key
from tuner.engine.outcome import FORGIVEN_NODES, Concluded, Crashed, Failed, Infeasible, Outcome, Reported, WorkerLost
from tuner.engine.worker import Assignment, Conclusion
from tuner.errors import StorageError, TunerError
from tuner.io import storage
from tuner.io.files import hash_file, write_json, write_whole
from tuner.journal.events import EnsembleMeasured, RetrainEnded, RetrainEpochReported, RetrainFailed
from tuner.journal.history import History, RetrainHistory
from tuner.paths import RunPaths
from tuner.results.selection import ENSEMBLE, TUNED, kept_ensemble, kept_retraining
from tuner.results.wording import last_line
from tuner.search.report import fault_of, finite

_WORKER_FAILED = "its worker failed"
"""So begins the reason of what another time may not fail: what ended the process, or raised an exception."""


class RetrainPhase:
    """Gives out the retrainings that are not done, each to go on from its last checkpoint, and writes down their ends.

    One whose process dies is taken up again up to `max_failures` times, not counting lost nodes. One that diverges ends
    with the best epoch it has had, and has failed if it had none. A driver that goes on with the run tries once more
    what failed under an earlier one.
    """

    def __init__(
        self,
        retrainings: Sequence[Retraining],
        test: Callable[[], Any],
        *,
        artefact: str | None,
        workers: int,
        max_failures: int,
        history: History,
        record: Record,
        paths: RunPaths,
        times: RetrainTimes,
    ) -> None:
        """Do what `history` does not show as done, `workers` at a time; `test` fetches the test set.

        What each has trained is kept in a file named `artefact`; None if there is nothing to keep. `times` keeps them
        within the budget.
        """
        self._test = test
        self._artefact = artefact
        self._workers = workers
        self._max_failures = max_failures
        self._history = history
        self._record = record
        self._paths = paths
        self._times = times
        self._waiting = [one for one in retrainings if not self._is_done(one)]
        if not times.saves_state:  # it begins anew, perhaps for fewer epochs
            for one in self._waiting:
                self._known(one).epochs.clear()
        self._late: list[Retraining] = []
        """Those that must end with the epochs they have had."""
        self._running: dict[Key, Retraining] = {}
        self._failures: Counter[Key] = Counter()
        self._nodes: Counter[Key] = Counter()
        """Lost, by retraining and by the epochs that it had then."""

    @property
    def is_over(self) -> bool:
        """Whether every retraining has ended, well or not."""
        return not self._waiting and not self._late and not self._running

    def next(self) -> tuple[Key, Assignment] | None:
        """Return the next retraining, None if as many as may are under way."""
        if len(self._running) >= self._workers:
            return None
        if not self._late:
            self._waiting = self._times.fit(self._waiting)
        queue = self._late or self._waiting
        if not queue:
            return None
        retraining = queue.pop(0)
        self._times.begin(retraining)
        self._running[retraining.key] = retraining
        folder = self._paths.retrain_checkpoints(*retraining.key)
        return retraining.key, Assignment(
            retraining.hparams,
            retraining.seed,
            retraining.max_epochs,
            self._paths.location(self._paths.retrain_checkpoints(*retraining.key)),
            keep_best=True,
            known_epochs=len(self._known(retraining).epochs),
            ends_after=retraining.ends_after,
            conclusion=Conclusion(
                self._test,
                self._paths.location(folder),
                self._artefact or "",
                self._paths.best_predictions.name if retraining.candidate == TUNED else None,
            ),
        )

    def take(self, key: Key, outcome: Outcome) -> bool:
        """Write down what came of a retraining; return whether it goes on."""
        retraining = self._running[key]
        match outcome:
            case Reported():
                return self._report(retraining, outcome)
            case Crashed():
                return self._is_forgiven(retraining, outcome.reason, charged=True)
            case WorkerLost():
                return self._is_forgiven(retraining, last_line(outcome.error), charged=outcome.charged)
            case Concluded():
                self._conclude(retraining, outcome)
            case Failed() | Infeasible():
                self._fail_by_itself(retraining, outcome.reason)
            case _:
                assert_never(outcome)
        return False

    def give_back(self, key: Key) -> None:
        """Take back a retraining that could not be begun."""
        self._waiting.insert(0, self._running[key])
        self._leave(self._running[key])

    def _is_done(self, retraining: Retraining) -> bool:
        """Return whether it has ended, and what it has left is there; else the run could never come to its end."""
        ended = self._known(retraining).ended
        if ended is None or not ended.weights:
            return ended is not None
        try:
            weights_file(ended, self._paths)
        except StorageError:
            raise
        except TunerError as error:
            self._times.say(
                f"NOTICE: {retraining.candidate} seed {retraining.seed} is retrained once more, for {error}"
            )
            return False
        return True

    def _known(self, retraining: Retraining) -> RetrainHistory:
        new = RetrainHistory(*retraining.key, self._history.objective)
        return self._history.retrains.setdefault(retraining.key, new)

    def _report(self, retraining: Retraining, outcome: Reported) -> bool:
        known, report = self._known(retraining), outcome.report
        fault = fault_of(report, [known.objective])
        if fault is not None:
            self._fail_by_itself(retraining, fault)
            return False
        if report.epoch not in known.epochs:
            event = RetrainEpochReported(*retraining.key, report.epoch, finite(report.metrics), report.seconds)
            self._record(event)
            known.epochs[report.epoch] = event
            if self._times.epoch(retraining, report.epoch, report.seconds) and not outcome.finished:
                self._leave(retraining)
                self._end_with(retraining, report.epoch)
                return False
        return True  # if it was the last, to the conclusion

    def _conclude(self, retraining: Retraining, concluded: Concluded) -> None:
        folder = self._paths.retrain_checkpoints(*retraining.key).relative_to(self._paths.root)
        self._record(
            RetrainEnded(
                *retraining.key,
                retraining.hparams,
                concluded.epoch,
                concluded.evaluations,
                str(folder / self._artefact) if self._artefact else "",
                concluded.weights_sha256,
            )
        )
        self._leave(retraining)

    def _is_forgiven(self, retraining: Retraining, reason: str, *, charged: bool) -> bool:
        lost = (*retraining.key, len(self._known(retraining).epochs))
        self._nodes[lost] += not charged
        self._failures[retraining.key] += charged or self._nodes[lost] > FORGIVEN_NODES
        failures = self._failures[retraining.key]
        if failures <= self._max_failures:
            return True
        self._fail(retraining, f"{_WORKER_FAILED} {failures} times: {reason}")
        return False

    def _fail_by_itself(self, retraining: Retraining, reason: str) -> None:
        """Let one that cannot go on end with the epochs it has had, if there are any to go back to."""
        had = len(self._known(retraining).epochs)
        if not had or retraining.ends_after is not None or not self._times.saves_state:
            self._fail(retraining, reason)
            return
        self._fail(retraining, f"{reason.rstrip('.')}; it ends with the best of its {had} epochs")
        self._end_with(retraining, had)

    def _end_with(self, retraining: Retraining, epochs: int) -> None:
        """Give out again for what it has had: so it is through, and comes to its conclusion."""
        self._late.append(replace(retraining, ends_after=epochs))

    def _fail(self, retraining: Retraining, reason: str) -> None:
        self._record(RetrainFailed(*retraining.key, " ".join(reason.split())))
        self._leave(retraining)

    def _leave(self, retraining: Retraining) -> None:
        del self._running[retraining.key]
        self._times.end(retraining)


def failed_before(history: History) -> list[RetrainFailed]:
    """Return the retrainings that failed and have not been done since."""
    return [known.failed for known in history.retrains.values() if known.failed and not known.ended]


def keep_best(history: History, paths: RunPaths, description: Mapping[str, Any]) -> None:
    """Move the weights chosen by `KEEP_RULE` to `best`, with what is needed to use them.

    `description` says how to build the model and feed it; see `tuner.predict`.

    Raises:
        TunerError: if no retraining of the winner succeeded, its weights are damaged, or the storage is away.
    """
    chosen = kept_retraining(history)
    if chosen is None:
        failed = [one.reason for one in failed_before(history)]
        reason = failed[0].rstrip(".") if failed else "none was run"
        raise TunerError(f"no retraining of the winner succeeded: {reason}{_what_next(history, paths, failed)}.")
    ensemble = kept_ensemble(history)
    weights = ensemble or chosen
    if weights.weights:
        _move_to_best(paths, weights)
    _move_predictions(paths, ENSEMBLE if ensemble else TUNED, ensemble.seeds[0] if ensemble else chosen.seed)
    of = {"members": len(ensemble.seeds), "seeds": list(ensemble.seeds)} if ensemble else {"seed": chosen.seed}
    write_json(paths.best_hparams, {**description, "hparams": dict(chosen.hparams), **of})


def _what_next(history: History, paths: RunPaths, failed: Sequence[str]) -> str:
    """Return what to do about retrainings that failed for these reasons, as the end of a sentence.

    To try again what failed by its own code is in vain, and mended code is another study.
    """
    if not failed:
        return ""
    again = "--resume tries it again; " if any(reason.startswith(_WORKER_FAILED) for reason in failed) else ""
    anew = "a new run"
    if history.config.get("objective") is None:  # an Optuna objective takes no warm start
        anew += f" with --warm-start {paths.remote or paths.root} makes use of what was found"
    else:
        anew += " is needed"
    return f"; {again}after a change of the code {anew}"


def _move_to_best(paths: RunPaths, kept: RetrainEnded | EnsembleMeasured) -> None:
    best = paths.best / Path(kept.weights).name
    if not best.exists() or hash_file(best) != kept.weights_sha256:
        source = weights_file(kept, paths)
        paths.best_predictions.unlink(missing_ok=True)  # before: another model's answers must not stand beside it
        write_whole(best, lambda temporary: temporary.write_bytes(source.read_bytes()))


def _move_predictions(paths: RunPaths, candidate: str, seed: int) -> None:
    """Move to `best` what the model kept there answers on dev, if that was written down."""
    best = paths.best_predictions
    source = paths.retrain_checkpoints(candidate, seed) / best.name
    place = storage.place(paths.location(source.parent))
    try:
        if best.exists() or best.name not in place.names():
            return
        with place.local(best.name) as copy:
            content = copy.read_bytes()
    except FileNotFoundError:
        return
    except OSError as error:
        raise storage.unreadable(source, error) from error
    write_whole(best, lambda temporary: temporary.write_bytes(content))
