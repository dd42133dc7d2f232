"""Tests of `tuner.search.scheduler`: the reasons that its decisions give."""

import pytest

from tuner.search.scheduler import NONE_YET, after_all, had_all, reworded


@pytest.mark.parametrize(("epochs", "reason"), [(1, "0.9 after its only epoch"), (3, "0.9 after all 3 epochs")])
def test_who_had_all_epochs_is_known_by_the_reason(epochs: int, reason: str) -> None:
    assert after_all("0.9", epochs) == reason
    assert had_all(reason)


@pytest.mark.parametrize("reason", ["0.9 after all 1 epochs", "0.9 after all 12 epochs"])
def test_older_reasons_are_known(reason: str) -> None:
    assert had_all(reason)


def test_who_stopped_early_had_not_all() -> None:
    assert not had_all("no improvement in 3 epochs")


def test_a_reason_of_an_older_version_reads_as_one_of_today() -> None:
    assert reworded("0.7 is number 1 of 1, of which the best 0 go on") == f"0.7 is number 1 of 1, of which {NONE_YET}"
    assert reworded("0.7 is number 1 of 30, of which the best 10 go on").endswith("of which the best 10 go on")
