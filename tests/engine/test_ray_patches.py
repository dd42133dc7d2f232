"""Tests of `tuner.engine.ray_patches`; a worker that really runs out of memory is in `tests/chaos/test_failures.py`."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from ray.air._internal import usage
from ray.air.execution._internal.actor_manager import RayActorManager
from ray.exceptions import OutOfMemoryError, RayActorError
from ray.tune.impl.tuner_internal import TunerInternal

from tuner.engine.ray_patches import as_death, every_death_survived, no_count_of_callbacks, no_table_of_results

OUT_OF_MEMORY = OutOfMemoryError(  # type: ignore[no-untyped-call]
    "2 workers were killed, for the node runs low on memory\nTop users: ...\nRefer to ..."
)


def test_what_happened_is_in_the_last_line() -> None:
    death = as_death(OUT_OF_MEMORY)
    assert isinstance(death, RayActorError)
    assert str(death).splitlines() == [
        *str(OUT_OF_MEMORY).splitlines(),
        "2 workers were killed, for the node runs low on memory",
    ]


def test_other_errors_stay_what_they_are() -> None:
    error = ValueError("no")
    assert as_death(error) is error


def test_ray_tune_is_told_of_a_death_and_is_as_it_was_afterwards() -> None:
    told: list[Exception] = []
    actor: Any = SimpleNamespace(actor_id=1, _on_error=None)
    task: Any = SimpleNamespace(_tracked_actor=actor, _on_error=lambda actor, error: told.append(error))
    manager: Any = object.__new__(RayActorManager)  # its __init__ would start a Ray
    manager._failed_actor_ids, manager._cleanup_actor = set(), lambda tracked_actor: None
    with every_death_survived():
        manager._actor_task_failed(tracked_actor_task=task, exception=OUT_OF_MEMORY)
    assert [type(error) for error in told] == [RayActorError]
    with pytest.raises(RuntimeError, match="unexpected"):
        manager._actor_task_failed(tracked_actor_task=task, exception=OUT_OF_MEMORY)


class NeverBegun:
    checkpoint = None

    @property
    def path(self) -> str:
        raise RuntimeError("Should not access `trial_fs_path`")


def test_a_training_that_was_given_out_and_never_begun_is_no_error_at_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(TunerInternal, "_fit_internal", lambda *_: SimpleNamespace(trials=[NeverBegun()]))
    internal: Any = object.__new__(TunerInternal)  # its __init__ would start a Ray
    internal._is_restored, internal._converted_trainable, internal._param_space = False, None, {}
    with no_table_of_results():
        internal.fit()
    with pytest.raises((RuntimeError, AttributeError)):
        internal.fit()


def test_no_tracker_is_imported_to_count_callbacks(monkeypatch: pytest.MonkeyPatch) -> None:
    counted: list[object] = []
    monkeypatch.setattr(usage, "_count_callbacks", counted.append)
    callbacks: Any = [object()]
    with no_count_of_callbacks():
        usage.tag_callbacks(callbacks)
    assert not counted
    usage.tag_callbacks(callbacks)
    assert counted == [callbacks]
