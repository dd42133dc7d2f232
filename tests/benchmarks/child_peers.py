"""Peers that need packages of their own, unmodified, each in a child process of an environment that `uv` makes for it.

They speak JSON lines: see `tests/benchmarks/child_protocol.py`. A trial that a peer pauses and takes up again goes on
where it was, so a peer is charged for the epochs alone that it really adds. A conditional space is handed over flat, as
their own users do: a parameter that a configuration does not have is drawn all the same, and ignored.

Of NePS, `hyperband` is what it chooses itself where epochs are given and no belief. Its `async_hb` compares those of a
rung that are not promoted yet with each other alone, so that it trains nearly all of them in full, as of 0.17.0.
`priorband-right` and `priorband-wrong` believe what `prior-right` and `prior-wrong` do: without a belief PriorBand is
Hyperband with random proposals. Left out: NePS's `ifbo`, whose model has weights that it would download.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import tempfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from tests.benchmarks.believing import right_belief, wrong_belief
from tests.benchmarks.environments import command, variables
from tests.benchmarks.problem import Problem
from tuner.search.quiet import quiet_study
from tuner.search.scheduler import Action, Decision
from tuner.search.searcher import NO_METRICS
from tuner.search.trial import Origin, Proposal

_DRAWS = 200
"""Random configurations in which every parameter of a space is met."""
_SECONDS_TO_END = 10.0


@dataclass(frozen=True)
class Peer:
    """A method of a library, and what runs it."""

    script: str
    """Module beside this one that the child runs."""
    requirement: str
    method: str
    """As the library calls it."""
    belief: Callable[[Problem, int], Mapping[str, Any]] | None = None
    """In what configuration it believes, if it is made for that."""


_SYNE_TUNE = "syne-tune[gpsearchers]==0.14.2"
_NEPS = "neural-pipeline-search==0.17.0"
PEERS: Mapping[str, Peer] = {
    "mobster": Peer("syne_tune_child", _SYNE_TUNE, "MOBSTER"),
    "hyper-tune": Peer("syne_tune_child", _SYNE_TUNE, "HyperTune"),
    "dyhpo": Peer("syne_tune_child", _SYNE_TUNE, "DyHPO"),
    "pasha": Peer("syne_tune_child", _SYNE_TUNE, "PASHA"),
    "smac": Peer("smac_child", "smac==2.4.1", "MultiFidelityFacade"),
    "neps-hyperband": Peer("neps_child", _NEPS, "hyperband"),
    "neps-async-hb": Peer("neps_child", _NEPS, "async_hb"),
    "priorband-right": Peer("neps_child", _NEPS, "priorband", right_belief),
    "priorband-wrong": Peer("neps_child", _NEPS, "priorband", wrong_belief),
    "ax": Peer("ax_child", "ax-platform==1.3.1", "Client"),
}
"""By the names that `tests.benchmarks.search_quality` has for them."""


class ChildPeer:
    """A peer in a child process behind the calls that the simulator makes."""

    def __init__(self, problem: Problem, seed: int, peer: Peer) -> None:
        """Start the child; the first time `uv` downloads what it needs."""
        self._problem = problem
        self._proposals: dict[int, Proposal] = {}
        self._folder = tempfile.TemporaryDirectory(prefix="peer-")
        self._child = _started(peer, self._folder.name)
        self._write(
            {
                "method": peer.method,
                "seed": seed % 2**31,  # NumPy's global generator takes no larger ones
                "epochs": problem.epochs,
                "space": _flat_space(problem),
                "belief": peer.belief(problem, seed) if peer.belief is not None else {},
            }
        )

    def __del__(self) -> None:
        """Let the child end, so that `uv` can remove its environment, or else end both."""
        assert self._child.stdin is not None
        with suppress(BrokenPipeError):
            self._child.stdin.close()
        try:
            self._child.wait(_SECONDS_TO_END)
        except subprocess.TimeoutExpired:
            os.killpg(self._child.pid, signal.SIGKILL)
            self._child.wait()
        self._folder.cleanup()

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
        answer = self._child.stdout.readline()
        if not answer:
            raise RuntimeError("the peer's process has ended; it says why above")
        return json.loads(answer)

    def _write(self, message: Mapping[str, Any]) -> None:
        assert self._child.stdin is not None
        self._child.stdin.write(json.dumps(message) + "\n")
        self._child.stdin.flush()


def _started(peer: Peer, folder: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        command(f"tests.benchmarks.{peer.script}", peer.requirement),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=folder,
        # NePS has the choices of a parameter in the order of a set; searches side by side should not take each other's
        # cores.
        env=variables(PYTHONHASHSEED="0", OMP_NUM_THREADS="1"),
        start_new_session=True,
    )


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
