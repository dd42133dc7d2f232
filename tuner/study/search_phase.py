"""Running the trials of a search under Ray Tune."""

from __future__ import annotations

import tempfile

import ray
from ray import tune

from tuner.config import ResourceConfig
from tuner.paths import RunPaths
from tuner.study.bridge import BridgeCallback, BridgeScheduler, BridgeSearcher, BridgeStopper
from tuner.study.checkpoint_store import CheckpointStore
from tuner.study.conductor import Conductor
from tuner.study.trainable import TrialTrainable
from tuner.study.worker import Job


def run_search(
    conductor: Conductor,
    job: ray.ObjectRef[Job],
    resources: ResourceConfig,
    paths: RunPaths,
    trainable: type[tune.Trainable] = TrialTrainable,
) -> None:
    """Give Ray the conductor's trials until the search is over; `trainable` trains them.

    Raises:
        TunerError: what made going on impossible; the run can then be resumed.
    """
    prepared = tune.with_parameters(trainable, job=job)
    with tempfile.TemporaryDirectory(prefix="tuner-ray-", ignore_cleanup_errors=True) as scratch:
        tuner = tune.Tuner(
            tune.with_resources(prepared, {"cpu": resources.cpus_per_trial, "gpu": resources.gpus_per_trial}),
            tune_config=tune.TuneConfig(
                search_alg=BridgeSearcher(conductor, paths),
                scheduler=BridgeScheduler(conductor, paths),
                num_samples=-1,
                reuse_actors=True,
                trial_name_creator=lambda trial: f"trial-{trial.config['trial']}",
                trial_dirname_creator=lambda trial: f"trial-{trial.config['trial']}",
            ),
            run_config=tune.RunConfig(
                # Ray's own files (its pickles among them) are scratch; the journal is the record.
                storage_path=scratch,
                name="search",
                stop=BridgeStopper(conductor),
                callbacks=[BridgeCallback(conductor)],
                checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),
                failure_config=tune.FailureConfig(max_failures=resources.max_failures),
                verbose=0,
            ),
        )
        tuner.fit()
    if conductor.fatal is not None:
        raise conductor.fatal
    unfinished = conductor.running
    conductor.finish()
    for trial in unfinished:
        CheckpointStore(paths.location(paths.trial_checkpoints(trial))).delete()
