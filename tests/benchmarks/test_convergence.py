"""The measurement in small, without data files."""

from __future__ import annotations

from tests.benchmarks.convergence import Arguments, Result, Search, main, run, summarise


def test_what_is_saved_and_given_up_is_the_difference_to_the_search_that_goes_on() -> None:
    results = {
        Search("1", 0, None): Result(1.0, 0.1, 0.90, 40),
        Search("1", 0, 0.01): Result(0.4, 0.2, 0.88, 20),
        Search("2", 0, None): Result(1.0, 0.0, 0.70, 60),
        Search("2", 0, 0.01): Result(1.0, 0.0, 0.70, 60),
    }
    found = summarise(results, 0.01)
    assert (found["searches"], found["ended_early"], found["trials"], found["trials_without"]) == (2, 1, 40.0, 50.0)
    assert (found["share_of_time_saved"]["mean"], found["share_of_time_saved"]["largest"]) == (0.3, 0.6)
    assert (found["regret_given_up"]["mean"], found["objective_given_up"]["mean"]) == (0.05, 0.01)


def test_a_search_is_ended_early_where_hardly_anything_counts_as_an_improvement_and_else_goes_on() -> None:
    ended, whole = (
        run(Search("0", 0, threshold), family="power-law", surrogate=None, workers=2, trainings=12)
        for threshold in (1.0, None)
    )
    assert ended.time < whole.time == 1.0
    assert 10 < ended.trials < whole.trials


def test_the_summary_is_by_threshold() -> None:
    found = main(Arguments(seeds=1, workers=2, trainings=2, thresholds="0.001,1"))
    assert list(found["thresholds"]) == ["0.001", "1"]
    assert found["thresholds"]["1"]["searches"] == 1
