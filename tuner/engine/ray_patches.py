"""What we do to Ray Tune's inside: start soon, survive a worker's death, end in peace, and say what can start."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import ray
from ray.air._internal import usage
from ray.air.execution._internal.actor_manager import RayActorManager
from ray.exceptions import NodeDiedError, OutOfMemoryError, RayActorError, WorkerCrashedError
from ray.tune.execution.class_cache import _ActorClassCache
from ray.tune.impl import tuner_internal

if TYPE_CHECKING:
    from ray.tune.execution.tune_controller import TuneController
    from ray.tune.experiment import Trial

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


@contextmanager
def no_table_of_results() -> Iterator[None]:
    """Let Ray Tune end without a table of its results, for which the journal stands.

    Ray 2.60 makes it of all trainings, and raises a bare RuntimeError if one was given out and, as with Ctrl-C at that
    moment, never begun.
    """
    names = vars(tuner_internal)
    original = names["ResultGrid"]
    names["ResultGrid"] = lambda _: None
    try:
        yield
    finally:
        names["ResultGrid"] = original


@contextmanager
def no_count_of_callbacks() -> Iterator[None]:
    """Let Ray Tune begin without counting its users' callbacks for its statistics, which are off.

    To know them by their classes, Ray 2.60 imports MLflow, W&B, Comet and Aim if they are installed: 4 s.
    """
    original = usage.tag_callbacks
    usage.tag_callbacks = lambda callbacks: False  # noqa: ARG005 - the name is Ray's
    try:
        yield
    finally:
        usage.tag_callbacks = original


@contextmanager
def environment_of_the_session() -> Iterator[None]:
    """Let Ray Tune's workers be processes of the session as any others, with what this process had when it began it.

    Ray 2.60 gives them an environment of their own, with what it thinks they need of this process's. So none of the
    processes that wait for work will do, and each worker begins with the start of another.
    """
    original = _ActorClassCache.get

    def get(cache: _ActorClassCache, trainable: type[Any]) -> Any:
        if trainable not in cache._cache:
            cache._cache[trainable] = ray.remote(trainable)
        return cache._cache[trainable]

    _ActorClassCache.get = get  # type: ignore[method-assign]
    try:
        yield
    finally:
        _ActorClassCache.get = original  # type: ignore[method-assign]


def as_death(error: Exception) -> Exception:
    """Return a death as the error that Ray Tune knows, what happened in the last line as in a traceback.

    Other errors are returned as they are.
    """
    if not isinstance(error, _DEATHS):
        return error
    text = str(error)
    return RayActorError(error_msg=f"{text}\n{text.partition(chr(10))[0]}")


def has_resources(controller: TuneController, trial: Trial) -> bool:
    """Return whether CPUs and GPUs were found for the trial's process, which may still be starting."""
    inner = getattr(controller, "_tune_controller", controller)  # schedulers get it wrapped
    actor = inner._trial_to_actor.get(trial)
    return actor is not None and bool(inner._actor_manager.is_actor_started(actor))
