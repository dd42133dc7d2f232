"""Running the trials of a search under Ray Tune."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import ray
from ray import tune
from ray.tune.experiment import Trial

from tuner.config import ResourceConfig
from tuner.engine.coordinator import Coordinator
from tuner.engine.ray_patches import every_death_survived
from tuner.engine.ray_session import cpus_and_gpus
from tuner.engine.ray_tune import TuneCallback, TuneScheduler, TuneSearcher, TuneStopper
from tuner.engine.trainable import TRIAL, TrialTrainable
from tuner.engine.worker import Job
from tuner.errors import StorageError
from tuner.paths import RunPaths


def run_search(
    coordinator: Coordinator,
    job: ray.ObjectRef[Job],
    resources: ResourceConfig,
    paths: RunPaths,
    say: Callable[[str], None],
    trainable: type[tune.Trainable] = TrialTrainable,
) -> None:
    """Give Ray the coordinator's trials until the search is over; `trainable` trains them.

    What cannot wait is told with `say`.

    Raises:
        TunerError: what made going on impossible; the run can then be resumed.
    """
    prepared = tune.with_parameters(trainable, job=job)
    cpus, gpus = cpus_and_gpus(resources)
    with _scratch(paths) as scratch:
        tuner = tune.Tuner(
            tune.with_resources(prepared, {"cpu": cpus, "gpu": gpus}),
            tune_config=tune.TuneConfig(
                search_alg=TuneSearcher(coordinator, paths),
                scheduler=TuneScheduler(coordinator, say),
                num_samples=-1,
                # Ray would start one process after another, each only when the one before has begun to work.
                max_concurrent_trials=coordinator.workers,
                reuse_actors=True,
                trial_name_creator=_name,
                trial_dirname_creator=_name,
            ),
            run_config=tune.RunConfig(
                # Ray's own files (its pickles among them) are scratch; the journal is the record.
                storage_path=str(scratch),
                name="search",
                stop=TuneStopper(coordinator),
                callbacks=[TuneCallback(coordinator, paths, resources.max_failures)],
                checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),
                failure_config=tune.FailureConfig(max_failures=-1),  # the coordinator counts, over all drivers
                verbose=0,
            ),
        )
        with every_death_survived():
            tuner.fit()
    if coordinator.fatal is not None:
        raise coordinator.fatal
    coordinator.finish()


def _name(trial: Trial) -> str:
    """Return a name that is unique although a promoted trial runs as several of Ray's."""
    return f"trial-{trial.config[TRIAL]}-{trial.trial_id}"


@contextmanager
def _scratch(paths: RunPaths) -> Iterator[Path]:
    """Make a folder for Ray on the local disk, where it does not suffer if the run's storage is away.

    It is named after the run, so that a resume removes what a driver killed on this machine has left.
    """
    run = hashlib.sha256(str(paths.root.resolve()).encode()).hexdigest()[:12]
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
