"""Training under Ray Tune: one of its runs does all works of a study, with the same processes from first to last."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Generic, TypeVar

import ray
from ray import tune
from ray.tune.experiment import Trial

from tuner.config import AUTO, ResourceConfig, StudyConfig
from tuner.data.dataset import Dataset
from tuner.engine.executor import Agenda, Work
from tuner.engine.gpu_memory import measure_gpu_memory
from tuner.engine.preflight import check_storage, hardware_of_nodes
from tuner.engine.ray_patches import every_death_survived, no_count_of_callbacks, no_table_of_results
from tuner.engine.ray_session import (
    cpus_and_gpus,
    ray_session,
    shared,
    workers_available,
    workers_in_words,
    workers_of_one_node,
)
from tuner.engine.ray_tune import Processes, TuneCallback, TuneScheduler, TuneSearcher, TuneStopper
from tuner.engine.sending import check_code_travels, check_data_fit, send_by_value
from tuner.engine.task import Task
from tuner.engine.trainable import ORDER, TrialTrainable
from tuner.engine.training_logs import TrainingLogs
from tuner.engine.worker import Assignment, Job
from tuner.errors import StorageError
from tuner.paths import RunPaths

T = TypeVar("T")


@contextmanager
def ray_executor(
    config: StudyConfig,
    paths: RunPaths,
    task: Task,
    dataset: Dataset,
    say: Callable[[str], None],
    logs: TrainingLogs | None = None,
) -> Iterator[RayExecutor]:
    """Start Ray, or join a cluster, see that all its nodes can keep checkpoints, and yield what trains `task` there.

    What cannot wait is told with `say`; what trainings print is kept in `logs`.

    Raises:
        ResourceError: if there is no cluster, or no room for as many workers as are wanted.
        StorageError: naming the nodes that cannot use the run's storage.
    """
    with ray_session(config.resources, paths.log):
        resources = config.resources
        workers = workers_available(resources)
        check_storage(paths.location(paths.root), config.storage)
        send_by_value(task.sources)
        check_code_travels(task.trainable.factory, task.trainable.name)
        check_data_fit(dataset.splits)
        # The driver's own machine is known without asking.
        nodes = hardware_of_nodes(resources.precision) if resources.address is not None else []
        yield RayExecutor(resources, workers=workers, nodes=nodes, name=str(paths.root.resolve()), say=say, logs=logs)


class RayExecutor:
    """Trains on the nodes of the running Ray, one training a process."""

    def __init__(
        self,
        resources: ResourceConfig,
        *,
        workers: int,
        name: str,
        say: Callable[[str], None],
        nodes: Sequence[Mapping[str, Any]] = (),
        trainable: type[tune.Trainable] = TrialTrainable,
        logs: TrainingLogs | None = None,
    ) -> None:
        """Use at most `workers` processes, each with the CPUs and GPUs of a trial.

        `name` is the run's, by which what a driver killed on this machine has left is found and removed. What cannot
        wait is told with `say`; what trainings print is kept in `logs`.
        """
        self._resources = resources
        self.workers = workers
        """Trainings that go on at the same time."""
        self.nodes = list(nodes)
        """Hardware of the cluster's machines; empty if trainings go on at the driver's alone."""
        self.cpus_a_trial, self._gpus_a_trial = cpus_and_gpus(resources)
        self._name = name
        self._say = say
        self._trainable = trainable
        self._logs = logs

    def share_gpus(self, job: Job, assignment: Assignment) -> None:
        """Let several trainings share each GPU if it has room, by the memory that `assignment` takes.

        Not if the user has said how many GPUs each has, or how many go on at the same time.
        """
        asked = self._resources
        if asked.gpus_per_trial != AUTO or asked.workers is not None or self._gpus_a_trial != 1:
            return
        found = measure_gpu_memory(job, assignment)
        if found is not None:
            peak_bytes, gpu_bytes = found
            self._resources = shared(asked, peak_bytes=peak_bytes, gpu_bytes=gpu_bytes)
            self.workers = workers_available(self._resources)
            self.cpus_a_trial, self._gpus_a_trial = cpus_and_gpus(self._resources)

    @property
    def workers_in_words(self) -> str:
        """Why they are so many."""
        return workers_in_words(self._resources)

    @property
    def workers_a_node(self) -> int:
        """Of them, those that share a machine, where most do."""
        return min(self.workers, workers_of_one_node(self._resources))

    def share(self, value: T) -> Callable[[], T]:
        """Put `value` into Ray's object store and return what fetches it there."""
        return _Shared(ray.put(value))

    def run(self, job: Job, works: Iterator[Work]) -> None:
        """Do the works as `Executor` says; SIGUSR1 is like a second Ctrl-C."""
        processes = Processes(self.workers)
        resources = {"cpu": self.cpus_a_trial, "gpu": self._gpus_a_trial}
        with _scratch(self._name) as scratch, every_death_survived(), no_count_of_callbacks(), no_table_of_results():
            agenda = Agenda(works, self._say, self._logs, hang_reports=scratch)
            tune.Tuner(
                tune.with_resources(tune.with_parameters(self._trainable, job=job), resources),
                tune_config=tune.TuneConfig(
                    search_alg=TuneSearcher(agenda, processes),
                    scheduler=TuneScheduler(agenda, processes),
                    num_samples=-1,
                    reuse_actors=True,
                    trial_name_creator=_name,
                    trial_dirname_creator=_name,
                ),
                run_config=tune.RunConfig(
                    # Ray's own files (its pickles among them) are scratch; the journal is the record.
                    storage_path=str(scratch),
                    name="study",
                    stop=TuneStopper(agenda),
                    callbacks=[TuneCallback(agenda, processes)],
                    checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),
                    failure_config=tune.FailureConfig(max_failures=-1),  # the works count, over all drivers
                    verbose=0,
                ),
            ).fit()
        if agenda.error is not None:
            raise agenda.error
        if not agenda.is_over:  # Ray ends without a word at SIGUSR1, by which schedulers say that time is up
            raise KeyboardInterrupt


class _Shared(Generic[T]):
    """Fetches a value from Ray's object store."""

    def __init__(self, reference: ray.ObjectRef[T]) -> None:
        self._reference = reference

    def __call__(self) -> T:
        value: T = ray.get(self._reference)
        return value

    def __deepcopy__(self, memo: object) -> _Shared[T]:
        return self  # Ray copies configurations


def _name(trial: Trial) -> str:
    return f"training-{trial.config[ORDER]}"


@contextmanager
def _scratch(name: str) -> Iterator[Path]:
    """Make a folder that nobody else can open, for Ray and for where trainings hung.

    It is on the local disk, where neither suffers if the run's storage is away.
    """
    run = hashlib.sha256(name.encode()).hexdigest()[:12]
    folder = Path(tempfile.gettempdir()) / f"tuner-ray-{os.getuid()}-{run}"
    shutil.rmtree(folder, ignore_errors=True)
    try:
        folder.mkdir(mode=0o700)
    except OSError as error:
        raise StorageError(f"{folder} cannot be made: {error.strerror}.") from error
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
