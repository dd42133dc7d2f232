"""A Lightning module as a trainable: Lightning's own `Trainer` trains it, an epoch at a time.

The extra `lightning` brings Lightning.
"""

from __future__ import annotations

import codecs
import copy
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch

from tuner.errors import SpaceError
from tuner.extras import install_line
from tuner.integrations.examples import count_of
from tuner.integrations.turns import Turns
from tuner.search.report import without_split
from tuner.training.trainable import TrainingOver

try:
    import lightning.pytorch as pl
except ImportError as error:
    raise SpaceError(f"this space needs Lightning, which is not installed: {install_line('lightning')}") from error

_QUIET: Mapping[str, Any] = {
    "logger": False,
    "enable_progress_bar": False,
    "enable_model_summary": False,
    # It would draw random numbers before the first epoch, and none before a later one.
    "num_sanity_val_steps": 0,
}


_NUMPY: list[Any] = [
    np.empty(0).__reduce__()[0],
    np.float64(0).__reduce__()[0],
    np.ndarray,
    np.dtype,
    *{type(np.dtype(code)) for code in np.typecodes["All"]},
    codecs.encode,
]
"""What NumPy's values are made by again: a module may keep some, as `save_hyperparameters` does."""

_LIMIT = "limit_val_batches"
"""Of Lightning's options the one with which an evaluation is of a part of the split."""
_OURS = frozenset({"max_epochs", "accelerator", "devices"})


class LightningTask:
    """Derive from it, say how to make the module and its loaders, and take the class as `TRAINABLE`.

    The metrics of an epoch are what the module logs (`self.log("dev_f1", ...)`), by their names; `evaluate` runs
    `validation_step` on a split and drops the prefix `dev_` or `val_`, for the split need not be dev.
    """

    trainer_options: ClassVar[Mapping[str, Any]] = {}
    """More arguments for Lightning's `Trainer`, such as `gradient_clip_val`; not those that this sets itself."""

    def __init__(self, hparams: Mapping[str, Any], data: Any, *, seed: int, device: torch.device, max_epochs: int):
        """Prepare to train for at most `max_epochs`; the data are `load_data`'s."""
        del seed  # the global generators are seeded before each epoch
        self._hparams = hparams
        self._data = data
        self._max_epochs = max_epochs
        self._accelerator = {"cuda": "gpu"}.get(device.type, device.type)
        self.module = self._made(device)
        self._trainer = self._make_trainer(_HandOver(self))
        self._turns: Turns[dict[str, float]] = Turns(self._fit)
        self._state: dict[str, Any] | None = None
        """Lightning's checkpoint after the last epoch."""

    def _made(self, device: torch.device) -> pl.LightningModule:
        """Return the module as it will train, for it is measured before."""
        module = self.make_module(self._hparams)
        module.configure_model()  # which may make its layers; Lightning calls it again, and so it must bear that
        return module.to(device)

    def make_module(self, hparams: Mapping[str, Any]) -> pl.LightningModule:
        """Return the module that these hyperparameters describe."""
        raise NotImplementedError

    @property
    def model(self) -> pl.LightningModule:
        """The module, of which the size can be measured."""
        return self.module

    def make_loader(self, split: Any, hparams: Mapping[str, Any], *, shuffle: bool) -> Any:
        """Return a loader of a split of the data, shuffled for training."""
        raise NotImplementedError

    def train_epoch(self) -> dict[str, float]:
        """Train and validate one epoch; return what the module logged."""
        metrics = self._turns.next()
        if metrics is None:
            raise TrainingOver  # the module or a callback of its own has ended the training
        return metrics

    def evaluate(self, split: Any) -> dict[str, float]:
        """Return what `validation_step` logs on a split, and of how many examples it is, as `n`."""
        trainer = self._make_trainer()
        loader = self.make_loader(split, self._hparams, shuffle=False)
        (found,) = trainer.validate(self.module, loader, verbose=False)
        metrics = {without_split(name): float(value) for name, value in found.items()}
        is_whole = _LIMIT not in self.trainer_options
        return {**count_of(getattr(loader, "dataset", None)), **metrics} if is_whole else metrics

    def state_dict(self) -> dict[str, Any]:
        """Return Lightning's own checkpoint: module, optimizers, schedules and loops."""
        assert self._state is not None
        return self._state

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from a state of `state_dict`."""
        self._turns.close()
        self._state = dict(state)
        self.module.configure_model()  # which may make its layers, and does nothing where there are some
        self.module.load_state_dict(state["state_dict"], strict=self.module.strict_loading)
        # A new trainer reads it as it would read a file of its own.
        self._trainer = self._make_trainer(_HandOver(self))
        self._turns = Turns(self._fit)

    def close(self) -> None:
        """End a training that will not go on."""
        self._turns.close()

    def take(self, trainer: pl.Trainer, metrics: Mapping[str, float]) -> None:
        """Hand an epoch's metrics over, having kept the state that belongs to them."""
        self._state = trainer._checkpoint_connector.dump_checkpoint(weights_only=False)
        self._turns.hand_over(dict(metrics))

    def _make_trainer(self, *callbacks: pl.Callback) -> pl.Trainer:
        options = {**_QUIET, **self.trainer_options}
        options.pop("enable_checkpointing", None)  # the study has checkpoints of its own
        taken = sorted(_OURS & options.keys())
        if taken:
            raise SpaceError(f"trainer_options of {type(self).__name__} holds {taken[0]!r}, which the study decides.")
        given = options.pop("callbacks", None) or ()
        own = copy.deepcopy([given] if isinstance(given, pl.Callback) else list(given))  # they count in one training
        if not callbacks:  # nothing is trained, and Lightning refuses who would keep checkpoints of it
            own = [one for one in own if not isinstance(one, pl.callbacks.Checkpoint)]
        return pl.Trainer(
            max_epochs=self._max_epochs,
            accelerator=self._accelerator,
            devices=1,
            callbacks=[*own, *callbacks],
            enable_checkpointing=bool(callbacks),  # it would add files of its own where there is no `_HandOver`
            **options,
        )

    def _fit(self) -> None:
        train = self.make_loader(self._data.train, self._hparams, shuffle=True)
        dev = self.make_loader(self._data.dev, self._hparams, shuffle=False)
        if self._state is None:
            self._trainer.fit(self.module, train, dev)
            return
        with tempfile.TemporaryDirectory(prefix="tuner-") as folder:
            file = Path(folder) / "epoch.ckpt"
            torch.save(self._state, file)
            with torch.serialization.safe_globals(_NUMPY):
                self._trainer.fit(self.module, train, dev, ckpt_path=file, weights_only=True)


class _HandOver(pl.callbacks.Checkpoint):  # Lightning calls such callbacks last
    """Stops Lightning after each epoch, where all is done but the step of schedulers that watch a metric.

    Where a training goes on by itself Lightning makes that step; after a checkpoint it is owed. And Lightning does not
    remember in a checkpoint that a training was to end there, as by early stopping.
    """

    def __init__(self, task: LightningTask) -> None:
        super().__init__()
        self._task = task
        self._metrics: dict[str, float] = {}
        """Of the last epoch."""
        self._owes_step = False
        self._is_over = False

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Hand the epoch over."""
        self._metrics = {name: float(value) for name, value in trainer.callback_metrics.items()}
        self._is_over = trainer.should_stop
        self._task.take(trainer, self._metrics)

    def state_dict(self) -> dict[str, Any]:
        """Return what the step is made by, and whether there is one to make."""
        return {"metrics": dict(self._metrics), "is_over": self._is_over}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take up a training that was handed over."""
        self._metrics = state_dict["metrics"]
        self._is_over = state_dict.get("is_over", False)
        self._owes_step = True

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Make the step that is owed, or end at once what was to end."""
        if self._is_over:
            trainer.should_stop = True
            return
        if not self._owes_step or not pl_module.automatic_optimization:
            return
        for config in trainer.lr_scheduler_configs:
            is_due = config.interval == "epoch" and trainer.current_epoch % config.frequency == 0
            if config.reduce_on_plateau and is_due and config.monitor in self._metrics:
                pl_module.lr_scheduler_step(config.scheduler, torch.tensor(self._metrics[config.monitor]))
