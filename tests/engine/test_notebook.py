from __future__ import annotations

from typing import Any

from tests.engine import own_task
from tuner.engine.notebook import task_of_objects


def own(**more: Any) -> dict[str, Any]:
    return {"trainable": own_task.Task, "suggest": own_task.suggest, "load_data": own_task.load_data, **more}


def test_what_an_author_believes_belongs_to_the_space_and_to_what_a_run_is_known_again_by() -> None:
    without, believing = (task_of_objects(**own(prior=prior)) for prior in (None, {"step": 0.1}))
    assert (without.space.prior, believing.space.prior) == ({}, {"step": 0.1})
    assert without.sources.sha256 != believing.sources.sha256
