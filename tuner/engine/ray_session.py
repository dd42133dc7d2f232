"""Starting Ray quietly and safely, and asking it what there is."""

from __future__ import annotations

import logging
import os
import secrets
import socket
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from importlib import import_module
from pathlib import Path
from typing import Any

import ray
from ray._private import ray_constants

from tuner.config import AUTO, ResourceConfig
from tuner.engine import autoscaler
from tuner.engine.early_start import EarlyStart
from tuner.engine.interrupt import sigterm_kept
from tuner.engine.processors import usable_cpus
from tuner.engine.ray_folder import ray_folder
from tuner.engine.ray_onlookers import without_onlookers
from tuner.engine.run_log import ray_logged
from tuner.engine.sharing import fitting, of_a_trial, settle, share_gpus, share_in_words
from tuner.errors import ResourceError

_NICENESS = "RAY_worker_niceness"
_ENVIRONMENT = {
    # A trial that was given no GPU sees none.
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "1",
    "RAY_AIR_NEW_OUTPUT": "0",
    # A trial's working directory is the user's: a task may read files by relative paths.
    "RAY_CHDIR_TO_TRIAL_DIR": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
    # Added to the driver's own. Ray's 15 would leave a trial a thirtieth of a CPU on which anything else computes.
    _NICENESS: "0",
    # As Ray Tune tells workers: Lightning must not fork a process in which Ray has threads.
    "PL_DISABLE_FORK": "1",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    # By itself Ray starts one process after another, each only when the one before has begun to work.
    "TUNE_MAX_PENDING_TRIALS_PG": "1000000",
    "TUNE_DISABLE_SIGINT_HANDLER": "1",
    # A failed trial's result has a reason in place of a metric.
    "TUNE_DISABLE_STRICT_METRIC_CHECKING": "1",
    "TUNE_PRINT_ALL_TRIAL_ERRORS": "0",
    "TUNE_WARN_INSUFFICENT_RESOURCE_THRESHOLD_S": "0",
    # Ray's own record of the experiment is not ours; write it rarely.
    "TUNE_GLOBAL_CHECKPOINT_S": "86400",
}
"""Environment of Ray, unless the user's says otherwise: our journal, signal handler, progress and errors stand in for
its own."""

_SIGNS_OF_A_LOST_NODE = ("its node has died", "actor's node was terminated", "died by preemption")

_STARTS = 3
"""Times that a local Ray is started before the user is told that it cannot be."""
_TOO_SLOW = "timed out during startup"

_PRELOADED = {
    "RAY_preload_python_modules": "tuner.engine.lean_tune,tuner.engine.trainable,tuner.training.classifier",
    # Ray would end those that wait as soon as Ray Tune reserves CPUs for a trial, and start others for it.
    "RAY_idle_worker_killing_time_threshold_ms": "600000",
}
"""Lets the processes that wait for work import what a training needs, while the driver is busy with its own imports."""
_MOST_PRELOADED = 16
"""CPUs of a machine on which that is done: with more of them most trials of a short study would have no use for it."""

_TOKEN = secrets.token_hex(32)
"""Of all local sessions of this process: Ray reads the token once, and would be refused with an earlier session's."""


_SECONDS_TO_END_EARLY = 15.0
"""For a Ray that starts to come up and go again."""

_started_early: list[EarlyStart] = []
"""What the next session takes over."""


def start_early(resources: ResourceConfig) -> None:
    """Begin to start Ray on this machine; the next `ray_session` waits for it and takes it over.

    For the command's own process, which has enough to do meanwhile, and nothing else once the session is over.
    """
    if resources.address is None and not resources.in_process and not ray.is_initialized():
        _prepare_environment()
        _started_early.append(EarlyStart(_connected_and_imported(resources), "ray"))


@contextmanager
def _connected_and_imported(resources: ResourceConfig) -> Iterator[None]:
    with _connected(resources):
        import_module("ray.tune")  # takes as long as Ray itself, and is needed next
        yield


def end_early() -> bool:
    """End what was started early; return whether it has ended: a process that exits while Ray starts would hang in it.

    An interrupt in the midst of an import may leave a lock behind, for which the other thread's imports wait for ever.
    """
    until = time.monotonic() + _SECONDS_TO_END_EARLY
    return all(start.leave(max(0.0, until - time.monotonic())) for start in _started_early)


@contextmanager
def ray_session(resources: ResourceConfig, log: Path) -> Iterator[None]:
    """Start Ray on this machine, or join the cluster at `address`, and leave it at the end.

    A local Ray listens on the loopback interface and wants a token, made anew in every process and never written down.
    Its files lie where no other user can look. What Ray logs goes to the file `log`.

    Raises:
        ResourceError: if there is no cluster at `address`, or this process has joined another; or if there is no place
            for a local Ray's files.
    """
    _prepare_environment()
    with ray_logged(log):
        if _started_early:
            early = _started_early.pop()
            try:
                with early.entered(), _own():
                    yield
            finally:
                if early.is_held:  # a second interrupt; now it is for `end_early`
                    _started_early.append(early)
        elif ray.is_initialized():  # a notebook's own session is used, and left as it is
            _check_address(resources.address)
            yield
        else:
            with _connected(resources), _own() if resources.address is None else nullcontext():
                yield


def _check_address(address: str | None) -> None:
    here: str = ray.get_runtime_context().gcs_address
    if address not in (None, AUTO) and _resolved(str(address)) != _resolved(here):
        raise ResourceError(
            f"--address is {address!r}, but this process has joined the Ray at {here}: leave that with ray.shutdown(), "
            "or give no address."
        )


def _resolved(address: str) -> tuple[str, str]:
    """Return where a Ray is as an IP address and a port."""
    host, _, port = address.rpartition(":")
    try:
        found = socket.gethostbyname(host)
    except OSError:
        return host, port
    here: str = ray.util.get_node_ip_address()  # type: ignore[no-untyped-call]
    return (here if found.startswith("127.") else found), port


@contextmanager
def _own() -> Iterator[None]:
    """Of a Ray that this process started for itself alone."""
    from tuner.engine.ray_patches import environment_of_the_session  # imports Ray Tune

    with environment_of_the_session():
        yield


def _prepare_environment() -> None:
    os.environ.update({name: value for name, value in _ENVIRONMENT.items() if name not in os.environ})


def settled(resources: ResourceConfig) -> ResourceConfig:
    """Return the resources with numbers in place of `auto`, by the machines there are or may come."""
    return settle(resources, [*_living_nodes(), *_coming_nodes(resources)])


def shared(resources: ResourceConfig, *, peak_bytes: int, gpu_bytes: int) -> ResourceConfig:
    """Return the resources with numbers in place of `auto`, and trials side by side on each GPU if it has room."""
    nodes = [*_living_nodes(), *_coming_nodes(resources)]
    return share_gpus(resources, nodes, peak_bytes=peak_bytes, gpu_bytes=gpu_bytes)


def cpus_and_gpus(resources: ResourceConfig) -> tuple[int, float]:
    """Return how many CPUs and GPUs a trial gets."""
    return of_a_trial(settled(resources))


def workers_available(resources: ResourceConfig) -> int:
    """Return how many trials can train at the same time, once a cluster that grows has grown.

    Raises:
        ResourceError: if not even one can, or fewer than `--workers`; with the numbers.
    """
    if resources.workers is not None and autoscaler.grows_unseen():
        return resources.workers
    resources = settled(resources)
    nodes = _largest_nodes(resources)
    # A trial runs on one node, so nodes are counted one by one.
    fits = sum(fitting(node, resources) for node in nodes)
    cpus = max((node.get("CPU", 0.0) for node in nodes), default=0.0)
    gpus = max((node.get("GPU", 0.0) for node in nodes), default=0.0)
    if fits == 0:
        raise ResourceError(
            f"--cpus-per-trial is {resources.cpus_per_trial} and --gpus-per-trial "
            f"{resources.gpus_per_trial:g}, but the largest machine has {cpus:g} CPUs and {gpus:g} GPUs."
        )
    if resources.workers is not None and resources.workers > fits:
        raise ResourceError(
            f"--workers is {resources.workers}, but with {resources.cpus_per_trial} CPUs and "
            f"{resources.gpus_per_trial:g} GPUs per trial only {fits} fit at the same time."
        )
    return resources.workers or fits


def is_lost_node(error: str) -> bool:
    """Return whether Ray says of a worker's death that its whole node was lost, as by pre-emption."""
    return any(sign in error for sign in _SIGNS_OF_A_LOST_NODE)


def workers_of_one_node(resources: ResourceConfig) -> int:
    """Return how many trials share a machine where most do, at least 1."""
    resources = settled(resources)
    return max([1, *(fitting(node, resources) for node in _largest_nodes(resources))])


def workers_in_words(resources: ResourceConfig) -> str:
    """Return why so many trials train side by side, and on this machine how politely."""
    known = settled(resources)
    words = share_in_words(resources, known, _largest_nodes(known))
    if resources.address is not None:
        return words
    niceness = os.nice(0) + int(os.environ.get(_NICENESS, "0"))
    return f"{words}, at niceness {min(niceness, 19)}"


def _largest_nodes(resources: ResourceConfig) -> list[dict[str, float]]:
    """Return the resources of the nodes there are, or of those there may be if they hold more trials."""
    alive, coming = _living_nodes(), _coming_nodes(resources)
    if not coming:
        return alive
    heads = [node for node in alive if "node:__internal_head__" in node]
    return max(alive, heads + coming, key=lambda nodes: sum(fitting(node, resources) for node in nodes))


def _living_nodes() -> list[dict[str, float]]:
    known: list[dict[str, Any]] = ray.nodes()  # type: ignore[no-untyped-call]
    return [node["Resources"] for node in known if node["Alive"]]


def _coming_nodes(resources: ResourceConfig) -> list[dict[str, float]]:
    return [] if resources.address is None else autoscaler.largest_workers()


@contextmanager
def _connected(resources: ResourceConfig) -> Iterator[None]:
    address = resources.address
    # Ray turns token authentication on for a local cluster of its own accord, unless $RAY_AUTH_MODE says otherwise. It
    # reads that variable when it is imported, so here it is too late to set; what we add is a token that is never
    # written to the user's home.
    ours = {"RAY_AUTH_TOKEN": _TOKEN} if address is None and not _token_is_given() else {}
    if address is None and _all_will_train(resources):
        ours |= {name: value for name, value in _PRELOADED.items() if name not in os.environ}
    held: AbstractContextManager[Path | None] = ray_folder() if address is None else nullcontext()
    with held as folder:  # until Ray has ended
        os.environ.update(ours)
        try:
            with _this_environment(), _loopback_only() if address is None else nullcontext():
                # Ray takes SIGTERM for itself and would end this process with a code and no word of its own.
                with without_onlookers() if address is None else nullcontext(), sigterm_kept():
                    _init(address, folder)
                yield
        finally:
            ray.shutdown()
            for name in ours:
                del os.environ[name]


def _all_will_train(resources: ResourceConfig) -> bool:
    """Return whether each of the processes that Ray starts on this machine, one for each CPU, will have a trial."""
    cpus = usable_cpus()
    is_one_each = resources.cpus_per_trial in (AUTO, 1) and (resources.workers or cpus) >= cpus
    return cpus <= _MOST_PRELOADED and is_one_each and not _has_gpus()


def _has_gpus() -> bool:
    """Return whether this machine may have GPUs, which trials would share out and not its CPUs."""
    return any(Path("/dev").glob("nvidia[0-9]*")) or Path("/dev/kfd").exists()


@contextmanager
def _this_environment() -> Iterator[None]:
    """Let workers run in the Python environment of their node, which has the project installed.

    Below `uv run`, Ray would else upload the working directory and install an environment in the copy, anew for each
    session. It read its setting when it was imported.
    """
    before = ray_constants.RAY_ENABLE_UV_RUN_RUNTIME_ENV
    ray_constants.RAY_ENABLE_UV_RUN_RUNTIME_ENV = False
    try:
        yield
    finally:
        ray_constants.RAY_ENABLE_UV_RUN_RUNTIME_ENV = before


@contextmanager
def _loopback_only() -> Iterator[None]:
    """Keep a local Ray off the network: by itself it replaces 127.0.0.1 by the machine's address and listens on all.

    Ray has no setting for it but the one with which it forbids clusters on other systems than Linux. This process read
    that when Ray was imported, those that Ray starts read it from the environment.
    """
    before = ray_constants.ENABLE_RAY_CLUSTER
    ray_constants.ENABLE_RAY_CLUSTER = False
    os.environ[ray_constants.ENABLE_RAY_CLUSTERS_ENV_VAR] = "0"
    try:
        yield
    finally:
        ray_constants.ENABLE_RAY_CLUSTER = before
        del os.environ[ray_constants.ENABLE_RAY_CLUSTERS_ENV_VAR]


def _token_is_given() -> bool:
    return "RAY_AUTH_TOKEN" in os.environ or "RAY_AUTH_TOKEN_PATH" in os.environ


def _init(address: str | None, folder: Path | None) -> None:
    """Start Ray with its files in `folder`, or join the cluster, which has its own.

    A machine so busy that Ray gives up after half a minute gets another chance.
    """
    local: dict[str, Any] = {}
    if address is None:
        local = {"num_cpus": usable_cpus(), "_temp_dir": str(folder)}
        local |= {"_node_ip_address": "127.0.0.1", "include_dashboard": False}
    for start in range(1, _STARTS + 1):
        try:
            ray.init(address=address or "local", log_to_driver=False, logging_level=logging.ERROR, **local)
            return
        # A machine too busy to start Ray in time makes it raise a bare Exception.
        except Exception as error:
            if address is None and start < _STARTS and _TOO_SLOW in str(error):
                ray.shutdown()
                continue
            reason = " ".join(str(error).split())
            if address is None and _TOO_SLOW in reason:
                raise ResourceError(
                    f"Ray did not start in time in {_STARTS} tries, for this machine is too busy: try again when less "
                    f"else computes here, or train without Ray, with --in-process; Ray says: {reason}"
                ) from error
            where = "this machine" if address is None else f"--address {address!r}"
            raise ResourceError(f"Ray cannot be reached at {where}: {reason}") from error
