from __future__ import annotations

from typing import Any

import pytest

from tuner.engine.provenance import changes_to_tell, check_unchanged
from tuner.errors import ConfigError

THEN: dict[str, Any] = {
    "commit": "aaa",
    "python": "3.11.7",
    "precision": "float32",
    "packages": {"torch": "2.15.0", "ray": "2.60.0"},
    "data_hashes": {"images": "11"},
    "space_sha256": "22",
    "host": "desk",
    "cpus": 2,
}


def test_an_equal_environment_is_accepted_without_a_word() -> None:
    check_unchanged(THEN, THEN)
    assert changes_to_tell(THEN, THEN) is None


@pytest.mark.parametrize(
    ("change", "what"), [({"data_hashes": {"images": "12"}}, "data set"), ({"space_sha256": "23"}, "search space")]
)
def test_other_data_or_another_space_is_refused_with_both_hashes(change: dict[str, Any], what: str) -> None:
    with pytest.raises(
        ConfigError, match=rf"the {what} has changed since it began \(.*(11|22).* then, .*(12|23).* now"
    ):
        check_unchanged(THEN, THEN | change)


def test_other_code_packages_or_numbers_are_told_in_one_line() -> None:
    now = THEN | {"commit": "bbb-dirty", "precision": "bfloat16", "packages": {"torch": "2.15.1", "ray": "2.60.0"}}
    check_unchanged(THEN, now)
    assert changes_to_tell(THEN, now) == (
        "NOTICE: the run began with commit aaa (now bbb-dirty), precision float32 (now bfloat16), "
        "torch 2.15.0 (now 2.15.1); numbers from here on may differ a little."
    )


def test_another_processor_is_told_with_what_it_means_for_times() -> None:
    then = THEN | {"cpu": "a slow one", "gpus": []}
    assert changes_to_tell(then, then | {"cpu": "a fast one", "gpus": ["a GPU"]}) == (
        "NOTICE: the run began with cpu a slow one (now a fast one), gpus [] (now ['a GPU']); numbers from here on may "
        "differ a little. The plan, and rungs by cost, go on with the seconds that an epoch took there."
    )


def test_another_machine_of_the_kind_is_not_worth_a_word() -> None:
    assert changes_to_tell(THEN, THEN | {"host": "attic", "cpus": 64}) is None
    assert changes_to_tell(THEN | {"gpus": ["a GPU"] * 8}, THEN | {"gpus": ["a GPU"] * 4}) is None


def test_a_journal_that_tells_no_versions_is_no_reason_to_fail() -> None:
    check_unchanged({"space_sha256": "22"}, {"space_sha256": "22"})
    text = changes_to_tell({}, THEN)
    assert text is not None
    assert "torch None (now 2.15.0)" in text
