"""Peers that need packages of their own, unmodified, each in a child process of an environment that `uv` makes for it.

They speak JSON lines: see `tests/benchmarks/syne_tune_child.py`. A trial that a peer pauses and takes up again goes on
where it was, so a peer is charged for the epochs alone that it really adds. A conditional space is handed over flat, as
their own users do: a parameter that a configuration does not have is drawn all the same, and ignored.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from tests.benchmarks.problem import Problem
from tuner.search.quiet import quiet_study
from tuner.search.scheduler import Action, Decision
from tuner.search.searcher import NO_METRICS
from tuner.search.trial import Origin, Proposal

SYNE_TUNE = "syne-tune[gpsearchers]==0.14.2"
_DRAWS = 200
"""Random configurations in which every parameter of a space is met."""


class SyneTune:
    """A method of Syne Tune behind the calls that the simulator makes."""

    def __init__(self, problem: Problem, seed: int, method: Literal["MOBSTER", "HyperTune", "DyHPO"]) -> None:
        """Start the child; the first time `uv` downloads what it needs."""
        self._problem = problem
        self._proposals: dict[int, Proposal] = {}
        script = Path(__file__).with_name("syne_tune_child.py")
        command = ["uv", "run", "--quiet", "--isolated", "--no-project", "--python", "3.11", "--with", SYNE_TUNE]
        self._child = subprocess.Popen(
            [*command, "python", str(script)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self._write({"method": method, "seed": seed, "epochs": problem.epochs, "space": _flat_space(problem)})

    def __del__(self) -> None:
        """End the child, and what `uv` started for it."""
        with suppress(ProcessLookupError):
            os.killpg(self._child.pid, signal.SIGKILL)
        self._child.wait()

    def next_trial(self) -> Proposal | None:
        """Return the trial that a free worker should train, new or paused."""
        found = self._ask({"op": "next"})
        if found is None:
            return None
        number = found["number"]
        if number not in self._proposals:
            hparams = self._problem.suggest(optuna.trial.FixedTrial(found["config"]))
            self._proposals[number] = Proposal(number, found["config"], {}, hparams, Origin.MODEL)
        return self._proposals[number]

    def measured(self, number: int, measures: Mapping[str, float]) -> None:
        """Do nothing: there is one objective."""

    def timed(self, number: int, seconds: float) -> None:
        """Do nothing: the peers are told epochs and values."""

    def report(self, number: int, epoch: int, score: float, metrics: Mapping[str, float] = NO_METRICS) -> Decision:
        """Hand a result over."""
        return Decision(Action(self._ask({"op": "report", "number": number, "epoch": epoch, "value": score})))

    def give_up(self) -> None:
        """Do nothing: what waits, waits."""

    def _ask(self, message: Mapping[str, Any]) -> Any:
        self._write(message)
        assert self._child.stdout is not None
        return json.loads(self._child.stdout.readline())

    def _write(self, message: Mapping[str, Any]) -> None:
        assert self._child.stdin is not None
        self._child.stdin.write(json.dumps(message) + "\n")
        self._child.stdin.flush()


def _flat_space(problem: Problem) -> dict[str, dict[str, Any]]:
    study = quiet_study(optuna.samplers.RandomSampler(seed=0))
    met: dict[str, BaseDistribution] = {}
    for _ in range(_DRAWS):
        trial = study.ask()
        problem.suggest(trial)
        met |= trial.distributions
    return {name: _parameter(distribution) for name, distribution in met.items()}


def _parameter(distribution: BaseDistribution) -> dict[str, Any]:
    if isinstance(distribution, CategoricalDistribution):
        return {"choices": list(distribution.choices)}
    assert isinstance(distribution, FloatDistribution | IntDistribution), distribution
    is_int = isinstance(distribution, IntDistribution)
    return {"is_int": is_int, "low": distribution.low, "high": distribution.high, "log": distribution.log}
