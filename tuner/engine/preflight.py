"""Before the first trial: every node of the cluster must reach the place in which the run is kept."""

from __future__ import annotations

import os
import uuid
from typing import Any

import ray
from ray.exceptions import GetTimeoutError, RayError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from tuner.engine.hardware import describe_hardware
from tuner.errors import ResourceError, StorageError
from tuner.io import storage

_SECONDS_TO_ANSWER = 60.0
"""A node that takes longer to start a process and write a few bytes would take no trial either."""


def check_storage(location: str, given: str) -> None:
    """Let every living node write a probe where the run is kept, read it back and delete it.

    `given` is what the user gave as `--storage`, for the error.

    Raises:
        StorageError: naming the nodes that cannot, each with its reason.
    """
    name = f".probe-{uuid.uuid4().hex}"
    place = storage.place(location)
    try:
        _write(place, name, name)
    except OSError as error:
        raise StorageError(f"--storage is {given!r}, but cannot be written: {storage.explain(error)}.") from error
    try:
        # The driver's own node answers for itself: the process that Ray would start to ask is better used for training.
        here = ray.get_runtime_context().get_node_id()
        answers = {"this machine": probe(location, name, here[:8])}
        answers |= ask_every_node(_probe_here, location, name, but=here)
    finally:
        place.delete(name)
    reasons = [f"{node} {reason}" for node, reason in answers.items() if reason]
    if reasons:
        law = "must be a folder that all nodes share, at the same path, or s3://bucket/prefix"
        raise StorageError(f"--storage is {given!r}, but {'; '.join(reasons)}: on a cluster it {law}.")


def probe(location: str, name: str, suffix: str) -> str | None:
    """Return why this machine cannot use the place in which the driver wrote the file `name`; None if it can."""
    place, ours = storage.place(location), f"{name}-{suffix}"
    try:
        if _read(place, name) != name:
            return "reads something else than the driver wrote there"
        _write(place, ours, suffix)
        if _read(place, ours) != suffix:
            return "reads something else than it wrote there"
        place.delete(ours)
    except FileNotFoundError:
        return "does not see what the driver wrote there"
    except OSError as error:
        return f"cannot use it ({storage.explain(error)})"
    return None


def _read(place: storage.Place, name: str) -> str:
    with place.local(name) as path:
        return path.read_text(encoding="utf-8")


def _write(place: storage.Place, name: str, text: str) -> None:
    with place.scratch() as folder:
        made = folder / f"{name}.made"
        with made.open("w", encoding="utf-8") as handle:
            handle.write(text)
            handle.flush()
            os.fsync(handle.fileno())
        place.put(made, name)


def hardware_of_nodes(precision: str) -> list[dict[str, Any]]:
    """Return the hardware of each living node of the cluster; of a node that does not answer, nothing."""
    answers = ask_every_node(_describe_here, precision)
    return [answer for answer in answers.values() if isinstance(answer, dict)]


def ask_every_node(question: Any, *arguments: Any, but: str | None = None) -> dict[str, Any]:
    """Return what `question`, a remote function, answers on each living node, by the node's title.

    `but` is the id of a node that is not asked.
    A node that gives no answer has an error in its place, which says why in a few words.
    """
    known: list[dict[str, Any]] = ray.nodes()  # type: ignore[no-untyped-call]
    asked = {}
    for node in known:
        if node["Alive"] and node["NodeID"] != but:
            here = NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
            title = f"node {node['NodeManagerHostname']} ({node['NodeManagerAddress']})"
            asked[title] = question.options(num_cpus=0, scheduling_strategy=here).remote(*arguments)
    if asked:  # all have the same time to answer, or who waits for twenty that are silent would take them for one
        ray.wait(list(asked.values()), num_returns=len(asked), timeout=_SECONDS_TO_ANSWER)
    return {title: _answer(answer) for title, answer in asked.items()}


def _answer(asked: ray.ObjectRef[Any]) -> Any:
    try:
        return ray.get(asked, timeout=0)
    except GetTimeoutError:
        return ResourceError(f"did not answer within {_SECONDS_TO_ANSWER:.0f}s")
    except RayError as error:
        return ResourceError(f"could not be asked ({' '.join(str(error).split())})")


@ray.remote
def _probe_here(location: str, name: str) -> str | None:
    return probe(location, name, ray.get_runtime_context().get_node_id()[:8])


@ray.remote(max_calls=1)
def _describe_here(precision: str) -> dict[str, Any]:
    # It asks for no GPU, so that it waits for none, and Ray hides them from it. The process ends with the answer.
    os.environ.pop("CUDA_VISIBLE_DEVICES", None)
    return describe_hardware(precision)
