from __future__ import annotations

import pytest

from tuner.engine.known_results import KnownResults
from tuner.search.earlier import EarlierEpoch, EarlierTrial, WarmStart
from tuner.search.trial import TrialState


def trial(number: int, epochs: int, state: TrialState = TrialState.PRUNED, *, stalled: bool = False) -> EarlierTrial:
    reports = [EarlierEpoch(epoch, {"dev_accuracy": 0.1 * epoch}, 1.0, "there:1") for epoch in range(1, epochs + 1)]
    return EarlierTrial(number, {}, {"x": 0.5}, 100 + number, state, reports, stalled)


def known(*trials: EarlierTrial, max_epochs: int = 9, reusable: bool = True) -> KnownResults:
    return KnownResults(WarmStart(trials, {"decay": 0.1}, reusable), max_epochs)


@pytest.mark.parametrize("hparams", [{"x": 0.5}, {"x": 0.5, "decay": 0.1}, {"decay": 0.1, "x": 0.5}])
def test_a_configuration_is_equal_if_it_trains_alike(hparams: dict[str, float]) -> None:
    assert known(trial(4, 3)).seed(hparams) == 104
    assert [report.epoch for report in known(trial(4, 3)).reports(hparams)] == [1, 2, 3]


@pytest.mark.parametrize("hparams", [{"x": 0.6}, {"x": 0.5, "decay": 0.2}, {"x": 0.5, "more": 1}])
def test_any_other_configuration_is_not_known(hparams: dict[str, float]) -> None:
    assert known(trial(4, 3)).seed(hparams) is None
    assert known(trial(4, 3)).reports(hparams) == ()


def test_nothing_is_known_of_another_model_of_a_failed_trial_or_of_one_without_results() -> None:
    for nothing in (
        known(trial(4, 3), reusable=False),
        known(trial(4, 3, TrialState.FAILED)),
        known(trial(4, 0)),
        KnownResults(None, 9),
    ):
        assert nothing.seed({"x": 0.5}) is None


@pytest.mark.parametrize(("horizon", "is_known"), [(None, True), (9, True), (27, False), (3, False)])
def test_where_trainings_depend_on_their_length_only_equally_long_ones_are_known(
    horizon: int | None, is_known: bool
) -> None:
    warm_start = WarmStart([trial(4, 3)], {}, reusable=True, horizon=horizon)
    assert bool(KnownResults(warm_start, 9).reports({"x": 0.5})) is is_known


def test_of_equal_trials_the_longest_is_known() -> None:
    assert known(trial(1, 3), trial(2, 5), trial(3, 1)).seed({"x": 0.5}) == 102


def test_of_a_longer_training_the_beginning_is_known_and_ends_where_this_one_ends() -> None:
    results = known(trial(4, 9, TrialState.COMPLETE), max_epochs=3)
    assert len(results.reports({"x": 0.5})) == 3
    assert [results.is_last({"x": 0.5}, epoch) for epoch in (2, 3)] == [False, True]


def test_a_shorter_training_that_completed_has_more_to_train_unless_it_stalled() -> None:
    assert not known(trial(4, 3, TrialState.COMPLETE)).is_last({"x": 0.5}, 3)
    assert known(trial(4, 3, TrialState.COMPLETE, stalled=True)).is_last({"x": 0.5}, 3)
