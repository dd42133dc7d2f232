"""The files of a run beside its journal, on this machine and, if it is kept in a bucket, there."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tuner.data.dataset import Dataset
from tuner.data.sample import DataSample
from tuner.engine.checkpoint_store import CheckpointStore
from tuner.engine.task import Task
from tuner.io import storage
from tuner.io.arrays import write_arrays
from tuner.io.files import remove_unfinished, write_json, write_whole
from tuner.io.mirror import Mirror
from tuner.journal.history import History
from tuner.paths import MEASURED, RunPaths


class RunFiles:
    """What the one driver that works on a run keeps, brings to the bucket, and clears away."""

    def __init__(self, paths: RunPaths) -> None:
        """Look after the files of the run at `paths`."""
        self._paths = paths
        self._mirror = None if paths.remote is None else Mirror(paths)

    def write_down(self, path: Path, values: Mapping[str, Any]) -> None:
        """Write a dictionary as JSON."""
        write_json(path, values)
        self._publish(path)

    def keep_sources(self, task: Task) -> None:
        """Keep a copy of the code, so that the run can be gone on with and used when the original has gone."""
        sources, copy = task.sources, self._paths.space
        # A driver may have been killed between two files, or before the journal said which version of them it is.
        if not (sources.path.is_relative_to(copy) or sources.are_in(copy)):
            shutil.rmtree(copy, ignore_errors=True)
            sources.write(copy)
            self._publish(*(copy / name for name in sources.files))

    def keep_data_sample(self, task: Task, dataset: Dataset) -> None:
        """Keep a little of the data for the report, which is made without them."""
        path = self._paths.data_sample
        is_wanted = task.trainable.tells_probabilities and not path.exists()
        sample = DataSample.of(dataset) if is_wanted else None
        if sample is not None:
            arrays = sample.to_arrays()
            write_whole(path, lambda temporary: write_arrays(temporary, arrays))
            self._publish(path)

    def publish_journal(self) -> None:
        """Bring what was appended to the journal into the bucket."""
        if self._mirror is not None:
            self._mirror.publish_journal()

    def publish_best(self) -> None:
        """Bring the best model into the bucket."""
        if self._mirror is not None:
            self._mirror.publish(*(path for path in self._paths.best.iterdir() if path.is_file()))

    def publish_all(self) -> None:
        """Bring the whole folder into the bucket; the driver's last act."""
        if self._mirror is not None:
            self._mirror.push()

    def clear_away(self, history: History | None) -> None:
        """Remove what a killed driver left: half-written files, and checkpoints of trials that had just ended."""
        remove_unfinished(self._paths.root)
        remove_unfinished(self._paths.best)
        checkpoints = self._paths.location(self._paths.checkpoints)
        left = {name.partition("/")[0] for name in storage.place(checkpoints).names()}
        for measured in left:
            if measured.startswith(MEASURED):
                CheckpointStore(f"{checkpoints}/{measured}").delete()
        ended = [one.number for one in history.trials.values() if one.state.is_finished] if history is not None else []
        self.delete_checkpoints([one for one in ended if self._paths.trial_checkpoints(one).name in left])

    def delete_checkpoints(self, trials: Sequence[int]) -> None:
        """Delete the checkpoints of trials."""
        storage.side_by_side(self._delete_checkpoints, trials)

    def _delete_checkpoints(self, trial: int) -> None:
        CheckpointStore(self._paths.location(self._paths.trial_checkpoints(trial))).delete()

    def delete_all_checkpoints(self) -> None:
        """Delete the checkpoints of all trainings, which have ended."""
        shutil.rmtree(self._paths.checkpoints, ignore_errors=True)
        if self._mirror is not None:
            self._mirror.delete_checkpoints()

    def delete_run(self) -> None:
        """Delete a run that never began; in the bucket only what no other driver has taken over."""
        shutil.rmtree(self._paths.root, ignore_errors=True)
        if self._mirror is not None:
            self._mirror.delete_run()

    def _publish(self, *files: Path) -> None:
        if self._mirror is not None:
            self._mirror.publish(*files)
