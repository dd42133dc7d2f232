from __future__ import annotations

from dataclasses import asdict

import pytest

from tuner.journal.events import SCHEMA_VERSION
from tuner.search.rules import TODAYS, Rules


def test_a_run_that_begins_today_has_todays_rules() -> None:
    assert Rules.of(SCHEMA_VERSION) == TODAYS
    assert all(asdict(TODAYS).values())


@pytest.mark.parametrize(("version", "holds"), [(6, False), (7, True)])
def test_a_rule_holds_from_a_version_of_the_journal_on(version: int, holds: bool) -> None:
    assert Rules.of(version).best_goes_on is holds
