"""What a space returns is what every training of it gets: at first, promoted, resumed, retrained and in `predict`.

Real searches and journals over spaces that hypothesis draws; trainings by a formula, and no Ray.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.metrics import metrics
from tuner.config import DEFAULT_OBJECTIVE
from tuner.engine.clock import BudgetClock, RetrainLoad
from tuner.engine.coordinator import Coordinator
from tuner.engine.retrain import keep_best
from tuner.errors import SpaceError
from tuner.io.files import hash_file
from tuner.journal.events import RetrainEnded, RetrainEpochReported, StudyStarted, TrialEnded, TrialProposed
from tuner.journal.history import TrialHistory, read_history
from tuner.journal.store import JournalWriter, read_journal
from tuner.paths import RunPaths
from tuner.results.best import read_description
from tuner.results.selection import select
from tuner.results.tables import trials_table
from tuner.search.asha_promote import AshaPromote
from tuner.search.optuna_searcher import SAMPLERS, OptunaSearcher
from tuner.search.plain import plain
from tuner.search.quiet import quiet_study
from tuner.search.report import EpochReport
from tuner.search.scheduler import Action
from tuner.search.search import Search
from tuner.search.space import SearchSpace, load_space
from tuner.search.trial import TrialState

# A space is drawn as a tree: what `suggest` returns, with a parameter at some of its leaves.

Suggest = Callable[[Any], Any]

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=5)
    | st.sampled_from([np.int64(3), np.float32(0.1), np.bool_(True), np.str_("größe")])
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.lists(inner, max_size=3).map(tuple)
        | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=4,
)
NAMES = st.text(min_size=1, max_size=8) | st.sampled_from(["optimizer.lr", "opt", "größe", "units", "a.b.c", " "])


@st.composite
def parameters(draw: st.DrawFn, name: str) -> Suggest:
    match draw(st.sampled_from(["int", "float", "categorical"])):
        case "int":
            high = draw(st.integers(1, 1000))
            return lambda trial: trial.suggest_int(name, 0, high)
        case "float":
            log = draw(st.booleans())
            return lambda trial: trial.suggest_float(name, 1e-3, 1.0, log=log)
        case _:
            choices = draw(st.lists(VALUES, min_size=1, max_size=4))
            return lambda trial: trial.suggest_categorical(name, choices)


@st.composite
def leaf(draw: st.DrawFn, name: str) -> Suggest:
    """A constant, or a parameter: bare, in a dictionary, in a tuple, or only asked for in some configurations."""
    ask, constant = draw(parameters(name)), draw(VALUES)
    forms: dict[str, Suggest] = {
        "constant": lambda _: constant,
        "bare": ask,
        "nested": lambda trial: {"inner": {name: ask(trial)}},
        "tuple": lambda trial: (constant, ask(trial)),
        "conditional": lambda trial: ask(trial) if trial.suggest_categorical(f"{name}?", [False, True]) else None,
    }
    return forms[draw(st.sampled_from(sorted(forms)))]


@st.composite
def spaces(draw: st.DrawFn) -> Suggest:
    """A `suggest`: constants, parameters, parameters in tuples and dictionaries, and conditional ones."""
    names = draw(st.lists(NAMES, min_size=1, max_size=5, unique=True))
    leaves = {name: draw(leaf(name)) for name in names}
    shared: dict[str, Any] = {}

    def suggest(trial: Any) -> dict[str, Any]:
        # The dictionary is the file's own, and every call changes it.
        shared["x"] = trial.suggest_float("x", 0.0, 1.0)
        shared["all"] = {name: ask(trial) for name, ask in leaves.items()}
        return {"x": shared["x"], "shared": shared, **shared["all"]}

    return suggest


def space_of(suggest: Suggest) -> SearchSpace:
    """The space of a file that holds `suggest`, started from a random configuration."""
    asked: dict[str, Any] = {}

    def watched(trial: Any) -> dict[str, Any]:
        hparams: dict[str, Any] = suggest(trial)
        asked.update(trial.params)
        return hparams

    study = quiet_study(optuna.samplers.RandomSampler(seed=1))
    trying = SearchSpace("drawn", watched, ({},))
    trying.hparams_of(study.ask())
    return SearchSpace("drawn", suggest, (plain(asked),))


class Driver:
    """One driver process's work on a search: the first, or after the death of another."""

    def __init__(self, space: SearchSpace, folder: Path, trials: int = 7) -> None:
        self.journal = JournalWriter(folder)
        if not self.journal.entries:
            self.journal.append(StudyStarted({}, {}))
        searcher = OptunaSearcher(
            space, SAMPLERS["tpe"], (1, 2), seed=0, startup_trials=3, objectives=(DEFAULT_OBJECTIVE,)
        )
        search = Search(searcher, AshaPromote((1, 2), 2, DEFAULT_OBJECTIVE), trials)
        clock = BudgetClock(None, RetrainLoad(1, 0, 2, 1), 1.0, lambda: 0.0)
        self.coordinator = Coordinator(
            search,
            self.journal.append,
            clock,
            objectives=(DEFAULT_OBJECTIVE,),
            workers=1,
            seed=0,
            discard=lambda _: None,
        )
        self.coordinator.restore(self.journal.entries)

    def train(self, trial: TrialHistory) -> None:
        """Train until the trial pauses or ends; an earlier trial is better, so it is promoted later."""
        action, epoch = Action.CONTINUE, len(trial.epochs)
        while action is Action.CONTINUE:
            epoch += 1
            report = EpochReport(epoch, metrics(dev_accuracy=0.5 - 0.01 * trial.number), 1.0)
            action = self.coordinator.report(trial.number, report, "here", False)


def same(found: Mapping[str, Any], first: Mapping[str, Any]) -> bool:
    """Whether both are equal, in types (True is not 1, a tuple is no list) and in the order of their keys too."""
    return repr(dict(found)) == repr(dict(first))


@settings(max_examples=25, deadline=None)
@given(spaces())
def test_what_the_first_start_gets_every_later_training_gets(suggest: Suggest) -> None:
    with tempfile.TemporaryDirectory() as folder:
        paths = RunPaths(Path(folder))
        firsts = search_with_a_death(space_of(suggest), paths.journal)
        history = read_history(paths.journal)
        for number, trial in history.trials.items():
            assert same(trial.proposed.hparams, firsts[number])
        assert any(trial.promotions for trial in history.trials.values())
        trials_table(history)
        winner = select(history)
        assert winner is not None
        assert same(winner.hparams, firsts[winner.trial])
        assert same(kept_for_predict(paths, winner.hparams), firsts[winner.trial])


def search_with_a_death(space: SearchSpace, folder: Path) -> dict[int, dict[str, Any]]:
    """Search, one epoch after the other and with a new driver in the middle; return what each trial got at first."""
    firsts: dict[int, dict[str, Any]] = {}
    driver = Driver(space, folder)
    steps = 0
    while (trial := driver.coordinator.next_trial()) is not None:
        if trial.number not in firsts:
            firsts[trial.number] = deepcopy(dict(trial.proposed.hparams))
        assert same(trial.proposed.hparams, firsts[trial.number])
        steps += 1
        if steps == 5:  # given out, and not heard of again
            driver.journal.close()
            driver = Driver(space, folder)
            assert driver.coordinator.orphans == (trial.number,)
            continue
        driver.train(trial)
    driver.coordinator.finish()
    driver.journal.close()
    return firsts


def kept_for_predict(paths: RunPaths, hparams: Mapping[str, Any]) -> dict[str, Any]:
    """What `predict` reads after a retraining with these hyperparameters."""
    weights = paths.retrain_checkpoints("tuned", 1) / "model.safetensors"
    weights.parent.mkdir(parents=True)
    weights.write_bytes(b"weights")
    name = str(weights.relative_to(paths.root))
    evaluations = {split: {"accuracy": 0.5, "loss": 0.1, "n": 10.0} for split in ("train", "dev", "test")}
    with JournalWriter(paths.journal) as journal:
        journal.append(
            RetrainEpochReported("tuned", 1, 1, metrics(), 1.0),
            RetrainEnded("tuned", 1, hparams, 1, evaluations, name, hash_file(weights)),
        )
    description = {"model": "cnn", "space": "s", "dataset": "d", "class_names": ["a"], "mean": 0.0, "std": 1.0}
    keep_best(read_history(paths.journal), paths, description)
    return read_description(paths).hparams


# Infeasible configurations.

INFEASIBLE = """
import optuna

MODEL = "cnn"
START = [{"a": 1}]


def suggest(trial):
    a = trial.suggest_int("a", 1, 1000)
    if a > LIMIT:
        raise optuna.TrialPruned(f"{a} is too large")
    return {"x": a / 1000}
"""


def infeasible_space(tmp_path: Path, limit: int) -> SearchSpace:
    path = tmp_path / "space.py"
    path.write_text(INFEASIBLE.replace("LIMIT", str(limit)))
    return load_space(str(path))


def train_all(driver: Driver) -> set[int]:
    trained = set()
    while (trial := driver.coordinator.next_trial()) is not None:
        trained.add(trial.number)
        driver.train(trial)
    return trained


def test_an_infeasible_draw_is_drawn_again(tmp_path: Path) -> None:
    space = infeasible_space(tmp_path, 300)
    space.check({"x"})
    driver = Driver(space, tmp_path / "journal", trials=30)
    assert train_all(driver) == set(range(30))
    proposals = [entry.event for entry in read_journal(tmp_path / "journal")]
    drawn = [event.hparams["x"] for event in proposals if isinstance(event, TrialProposed)]
    assert max(drawn) <= 0.3
    assert len(set(drawn)) == 30


def test_where_nothing_feasible_is_found_a_trial_ends_at_once_and_the_study_goes_on(tmp_path: Path) -> None:
    driver = Driver(infeasible_space(tmp_path, 1), tmp_path / "journal", trials=30)
    assert train_all(driver) == {0}
    driver.coordinator.finish()
    history = read_history(tmp_path / "journal")
    assert select(history) is not None
    # After three such trials in a row there is no point in another.
    assert sorted(history.trials) == [0, 1, 2, 3]
    for trial in list(history.trials.values())[1:]:
        assert trial.state is TrialState.PRUNED
        assert trial.ended is not None
        assert trial.ended.reason == f"infeasible: {trial.proposed.params['a']} is too large"
        assert not trial.epochs


def test_a_driver_killed_before_it_ended_an_infeasible_trial_is_followed_by_one_that_does(tmp_path: Path) -> None:
    space, folder = infeasible_space(tmp_path, 1), tmp_path / "journal"
    first = Driver(space, folder)
    trial = first.coordinator.next_trial()
    assert trial is not None
    first.train(trial)
    first.coordinator.next_trial()
    first.journal.close()
    (segment,) = folder.glob("*.jsonl")
    lines = segment.read_bytes().splitlines(keepends=True)
    cut = next(place for place, line in enumerate(lines) if b"infeasible" in line and b"TrialEnded" in line)
    segment.write_bytes(b"".join(lines[:cut]))

    second = Driver(space, folder)
    assert 1 not in second.coordinator.orphans
    ended = [entry.event for entry in read_journal(folder) if isinstance(entry.event, TrialEnded)]
    assert [(event.trial, event.state) for event in ended] == [(0, TrialState.COMPLETE), (1, TrialState.PRUNED)]
    second.journal.close()


def test_a_start_configuration_must_be_feasible_and_so_must_most_others(tmp_path: Path) -> None:
    with pytest.raises(SpaceError, match=r"raised TrialPruned at \{'a': 1\}: it is infeasible: 1 is too large"):
        infeasible_space(tmp_path, 0).check(None)
    with pytest.raises(SpaceError, match=r"for 100 random configurations in a row, .*: most of a space must be"):
        infeasible_space(tmp_path, 1).check(None)
