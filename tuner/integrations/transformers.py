"""A Hugging Face `Trainer` as a trainable: it trains, evaluates and saves as it always does, an epoch at a time.

The extra `transformers` brings Transformers and Accelerate.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from tuner.errors import SpaceError
from tuner.extras import install_line
from tuner.integrations.examples import count_of
from tuner.integrations.turns import Turns
from tuner.search.seeds import derive_seed
from tuner.training.trainable import TrainingOver

try:
    from transformers import (
        PrinterCallback,
        Trainer,
        TrainerCallback,
        TrainerControl,
        TrainerState,
        TrainingArguments,
        set_seed,
    )
    from transformers.utils import logging
except ImportError as error:
    raise SpaceError(
        f"this space needs Transformers and Accelerate, which are not installed: {install_line('transformers')}"
    ) from error

_TIMES = ("runtime", "samples_per_second", "steps_per_second", "model_preparation_time")
"""Beside the metrics, `Trainer.evaluate` tells how fast it was."""
_RANDOM_STATE = "rng_state*.pth"
"""Not kept: each epoch draws from a seed of its own."""
_OVER = "training_is_over"
"""Beside the files of a checkpoint, if a callback has ended the training there: the trainer does not remember it."""


class TransformersTask:
    """Derive from it, say how to make the `Trainer`, and take the class as `TRAINABLE`.

    The metrics of an epoch are those of the evaluation after it, with `dev_` in place of `eval_`, and `train_loss`.
    Another process goes on from the files of Hugging Face's own checkpoint.
    """

    def __init__(self, hparams: Mapping[str, Any], data: Any, *, seed: int, device: torch.device, max_epochs: int):
        """Prepare to train for `max_epochs`, which a schedule of the learning rate counts on."""
        logging.set_verbosity_error()
        logging.disable_progress_bar()
        self._seed = seed
        self._folder = tempfile.TemporaryDirectory(prefix="tuner-")
        self.trainer = self.make_trainer(
            hparams,
            data,
            output_dir=self._folder.name,
            num_train_epochs=max_epochs,
            eval_strategy="epoch",
            save_strategy="epoch",
            logging_strategy="epoch",
            save_total_limit=1,
            report_to="none",
            disable_tqdm=True,
            use_cpu=device.type == "cpu",
            seed=seed,
        )
        self.trainer.remove_callback(PrinterCallback)
        self.trainer.add_callback(_HandOver(self))
        self._turns: Turns[dict[str, float]] = Turns(self._train)
        self._begin_from: Path | None = None
        self._is_over = False

    def make_trainer(self, hparams: Mapping[str, Any], data: Any, **arguments: Any) -> Trainer:
        """Return a `Trainer(args=TrainingArguments(**arguments, ...), train_dataset=data.train, ...)`."""
        raise NotImplementedError

    @property
    def model(self) -> Any:
        """The `Trainer`'s model, of which the size can be measured."""
        return self.trainer.model

    def train_epoch(self) -> dict[str, float]:
        """Train, evaluate and save one epoch; return its metrics."""
        metrics = None if self._is_over else self._turns.next()
        if metrics is None:
            raise TrainingOver
        return metrics

    def evaluate(self, split: Any) -> dict[str, float]:
        """Return the metrics of `Trainer.evaluate` on a split, and of how many examples they are, as `n`."""
        return {**count_of(split), **_metrics(self.trainer.evaluate(split), "")}

    def state_dict(self) -> dict[str, torch.Tensor]:
        """Return the files of the newest checkpoint, by name, as bytes."""
        folder = self._newest()
        files = (file for file in sorted(folder.rglob("*")) if file.is_file() and not file.match(_RANDOM_STATE))
        contents = ((file.relative_to(folder).as_posix(), np.fromfile(file, dtype=np.uint8)) for file in files)
        return {name: torch.from_numpy(content) for name, content in contents}

    def load_state_dict(self, state: Mapping[str, torch.Tensor]) -> None:
        """Go on from a state of `state_dict`."""
        self._turns.close()
        for later in self._checkpoints():
            shutil.rmtree(later)
        folder = Path(self._folder.name) / "begin-from"
        folder.mkdir(exist_ok=True)
        for name, content in state.items():
            file = folder / name
            if not file.resolve().is_relative_to(folder.resolve()):
                raise ValueError(f"a checkpoint would write {name!r}, which lies outside of it")
            file.parent.mkdir(parents=True, exist_ok=True)
            content.numpy().tofile(file)
        self.trainer._load_from_checkpoint(str(folder))  # the weights, for who evaluates and trains no more
        self._begin_from = folder
        self._is_over = _OVER in state
        self._turns = Turns(self._train)

    def take(self, state: TrainerState, *, is_over: bool) -> None:
        """Hand the epoch's metrics over; `is_over`: the training ends with it, before its time."""
        if is_over:
            (self._newest() / _OVER).touch()
        metrics: dict[str, float] = {}
        for entry in state.log_history:
            if entry["epoch"] == state.epoch:
                metrics |= _metrics(entry, "dev_")
                metrics |= {f"train_{name}": float(entry[name]) for name in ("loss",) if name in entry}
        self._turns.hand_over(metrics)

    def close(self) -> None:
        """End a training that will not go on, and forget its files."""
        self._turns.close()
        self._folder.cleanup()

    def seed_epoch(self, epoch: int) -> None:
        """Let an epoch draw the same random numbers whether or not the training was interrupted before it."""
        set_seed(derive_seed(self._seed, epoch))

    def _train(self) -> None:
        # The order of the examples in all epochs follows from what is drawn first.
        set_seed(self._seed)
        self.trainer.train(resume_from_checkpoint=None if self._begin_from is None else str(self._begin_from))

    def _newest(self) -> Path:
        found = self._checkpoints()
        if not found:
            assert self._begin_from is not None
            return self._begin_from
        return max(found, key=lambda folder: int(folder.name.rpartition("-")[2]))

    def _checkpoints(self) -> list[Path]:
        """Return the folders of what the trainer has saved since it began."""
        return list(Path(self._folder.name).glob("checkpoint-*"))


class _HandOver(TrainerCallback):  # type: ignore[misc]
    """Stops the trainer after each epoch, when it has evaluated and saved."""

    def __init__(self, task: TransformersTask) -> None:
        self._task = task

    def on_epoch_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Seed the epoch."""
        self._task.seed_epoch(round(state.epoch or 0))

    def on_save(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """Hand the epoch over."""
        ends_early = control.should_training_stop and (state.epoch or 0) < args.num_train_epochs
        self._task.take(state, is_over=ends_early)


def _metrics(found: Mapping[str, Any], prefix: str) -> dict[str, float]:
    values = {name.removeprefix("eval_"): value for name, value in found.items() if name.startswith("eval_")}
    return {prefix + name: float(value) for name, value in values.items() if name not in _TIMES}
