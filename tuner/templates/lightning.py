"""Tune a Lightning module.

    tuner run --space NAME.py --budget 5m

Lightning's own `Trainer` trains it; it can be stopped, paused and taken up again after any epoch.
"""

import lightning.pytorch as pl
import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import nn
from torch.nn import functional
from torch.utils.data import DataLoader, TensorDataset

from tuner import Dataset, Objective
from tuner.integrations.lightning import LightningTask

# What trials are compared by: a metric that the module logs, and its direction.
OBJECTIVE = Objective("dev_accuracy", "maximize", proportion=True)

# Configurations to try first. The first one is the baseline: what you would train untuned.
START = [{"width": 32, "dropout": 0.0, "learning_rate": 1e-3}]


def suggest(trial):
    """Return the hyperparameters of a trial; `trial` is Optuna's, and conditional ones are welcome."""
    return {
        "width": trial.suggest_int("width", 16, 128, log=True),
        "dropout": trial.suggest_float("dropout", 0.0, 0.5),
        "learning_rate": trial.suggest_float("learning_rate", 1e-4, 1e-1, log=True),
    }


def load_data(data_dir):
    """Return the data. Trials see `train` and `dev`; `test` is measured once, when everything is chosen."""
    images, labels = load_digits(return_X_y=True)
    images = (images / 16).astype("float32")
    train_x, rest_x, train_y, rest_y = train_test_split(images, labels, test_size=0.4, random_state=0)
    dev_x, test_x, dev_y, test_y = train_test_split(rest_x, rest_y, test_size=0.5, random_state=0)
    return Dataset(train=(train_x, train_y), dev=(dev_x, dev_y), test=(test_x, test_y), name="digits")


class Classifier(pl.LightningModule):
    """The module, as you have it; it logs what you want to see."""

    def __init__(self, width, dropout, learning_rate):
        super().__init__()
        self.learning_rate = learning_rate
        self.layers = nn.Sequential(nn.Linear(64, width), nn.ReLU(), nn.Dropout(dropout), nn.Linear(width, 10))

    def training_step(self, batch, batch_idx):
        """Return the loss of a batch."""
        images, labels = batch
        loss = functional.cross_entropy(self.layers(images), labels)
        self.log("train_loss", loss, on_step=False, on_epoch=True)
        return loss

    def validation_step(self, batch, batch_idx):
        """Log the metrics of a batch."""
        images, labels = batch
        logits = self.layers(images)
        self.log("dev_loss", functional.cross_entropy(logits, labels))
        self.log("dev_accuracy", (logits.argmax(1) == labels).float().mean())

    def configure_optimizers(self):
        """Return the optimizer."""
        return torch.optim.AdamW(self.parameters(), lr=self.learning_rate)


class Task(LightningTask):
    """How the module and its loaders are made."""

    def make_module(self, hparams):
        """Return the module that these hyperparameters describe."""
        return Classifier(**hparams)

    def make_loader(self, split, hparams, *, shuffle):
        """Return a loader of a split of the data."""
        images, labels = (torch.tensor(part) for part in split)
        return DataLoader(TensorDataset(images, labels), batch_size=64, shuffle=shuffle)


TRAINABLE = Task
