"""A run's results in Python: tables as pandas frames, the configuration, the retrained model."""

from __future__ import annotations

import json
import weakref
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from tuner.errors import JournalError, StorageError
from tuner.io import parquet
from tuner.io.reading import reading_run
from tuner.journal.history import read_history
from tuner.paths import RunPaths
from tuner.results.best import read_description

if TYPE_CHECKING:
    from torch import nn

    from tuner.results.plots import Plots


@dataclass(frozen=True)
class LoadedRun:
    """The results of a run, finished or not; the tables are read when they are first asked for.

    The frames have pandas' nullable types (Int64, Float64, boolean, string): a hyperparameter that only some trials
    have stays an integer or a boolean and is missing, as in the file, where NumPy's types would make it a float or
    an object.
    """

    path: Path
    """The run's folder; of a run in a bucket, a copy on this machine that lasts as long as this object."""
    config: dict[str, Any]
    """The resolved configuration."""
    _copy: ExitStack | None = field(default=None, repr=False, compare=False)

    def __post_init__(self) -> None:
        if self._copy is not None:
            weakref.finalize(self, self._copy.close)

    @cached_property
    def trials(self) -> pd.DataFrame:
        """One row per trial."""
        return self._table(self._paths.trials)

    @cached_property
    def epochs(self) -> pd.DataFrame:
        """One row per (trial, epoch)."""
        return self._table(self._paths.epochs)

    @cached_property
    def final(self) -> pd.DataFrame:
        """One row per (candidate, seed, split)."""
        return self._table(self._paths.final)

    @cached_property
    def retrain_epochs(self) -> pd.DataFrame:
        """One row per (candidate, seed, epoch)."""
        return self._table(self._paths.retrain_epochs)

    @cached_property
    def plot(self) -> Plots:
        """The report's figures: `.history()`, `.importance()`, `.parallel()` and others return plotly figures.

        Raises JournalError if the journal is damaged.
        """
        # Only here: who reads tables need not wait for plotly.
        from tuner.results.kept import read_kept
        from tuner.results.plots import Plots

        return Plots(read_history(self._paths.journal), read_kept(self._paths))

    @property
    def hparams(self) -> dict[str, Any]:
        """The winner's hyperparameters; raises StorageError if there is no retrained winner."""
        return read_description(self._paths).hparams

    def model(self, space: str | None = None) -> nn.Module:
        """Return the retrained winner in evaluation mode: inputs as `best/hparams.json` describes them, to logits.

        `space` is needed only for a model that a search space brought, if its file is elsewhere now; that file is
        run. Raises TunerError as `tuner.predict.load_model` does.
        """
        # Only here: who reads tables need not wait for torch.
        from tuner.predict import load_model

        return load_model(self._paths, space)

    def state(self) -> Any:
        """Return what the retrained winner's own training saved with `state_dict`; loading it runs no code.

        Raises:
            TunerError: if there is none, because the built-in loop trained a model or the training saves no state.
        """
        if not self._paths.best_state.is_file():
            raise StorageError(
                f"{self._paths.best} holds no state: the training saves none (then train it again with hparams), or "
                "its result is a model(), or there is no retrained winner."
            )
        from tuner.training.checkpoints import load_state
        from tuner.training.packing import unpack

        return unpack(load_state(self._paths.best_state))

    @property
    def _paths(self) -> RunPaths:
        return RunPaths(self.path)

    def _table(self, path: Path) -> pd.DataFrame:
        if not path.is_file():
            raise StorageError(f"{path} is missing: write it with tuner report {self.path}.")
        try:
            return pd.read_parquet(
                parquet.content(path), engine="pyarrow", dtype_backend="numpy_nullable", **parquet.READING
            )
        # Damage makes Arrow raise almost anything.
        except Exception as error:
            raise StorageError(f"{path} is damaged: write it again with tuner report {self.path}.") from error


def load_run(run: str | Path) -> LoadedRun:
    """Return the results of a run, given its folder or its `s3://` address.

    Raises:
        ConfigError: if it is an address, but not that of a place in a bucket.
        JournalError: if there is no run.
        StorageError: if its configuration or its bucket cannot be read.
    """
    with ExitStack() as stack:
        paths = stack.enter_context(reading_run(run))
        if not paths.journal.is_dir():
            raise JournalError(f"{run} is not the folder of a run: it holds no journal.")
        return LoadedRun(paths.root, _read_config(paths.config), stack.pop_all())


def _read_config(path: Path) -> dict[str, Any]:
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise StorageError(f"{path} cannot be read: {error}.") from error
    if not isinstance(values, dict):
        raise StorageError(f"{path} is damaged: it must hold an object.")
    return values
