"""Letting Ray Tune survive every death of a worker, not only those it has a name for."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ray.air.execution._internal.actor_manager import RayActorManager
from ray.exceptions import NodeDiedError, OutOfMemoryError, RayActorError, WorkerCrashedError

_DEATHS = (NodeDiedError, OutOfMemoryError, WorkerCrashedError)
"""Of a worker, besides `RayActorError`."""


@contextmanager
def every_death_survived() -> Iterator[None]:
    """Let Ray Tune take a worker that ran out of memory, or whose node died, for one that died.

    Ray 2.60 knows a death by one name, `RayActorError`, and ends the whole search with a traceback at any other.
    """
    original = RayActorManager._actor_task_failed

    def failed(manager: RayActorManager, tracked_actor_task: Any, exception: Exception) -> None:
        original(manager, tracked_actor_task, as_death(exception))

    RayActorManager._actor_task_failed = failed  # type: ignore[method-assign,assignment]
    try:
        yield
    finally:
        RayActorManager._actor_task_failed = original  # type: ignore[method-assign]


def as_death(error: Exception) -> Exception:
    """Return a death as the error that Ray Tune knows, what happened in the last line as in a traceback.

    Other errors are returned as they are.
    """
    if not isinstance(error, _DEATHS):
        return error
    text = str(error)
    return RayActorError(error_msg=f"{text}\n{text.partition(chr(10))[0]}")
