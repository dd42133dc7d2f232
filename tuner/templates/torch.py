"""Tune a PyTorch training of your own.

    tuner run --space NAME.py --budget 5m

Replace the data, the model and the loop by yours; what stands here runs as it is: scikit-learn's digits, SGD, macro-F1.
"""

import torch
from sklearn.datasets import load_digits
from sklearn.metrics import f1_score
from sklearn.model_selection import train_test_split
from torch import nn
from torch.nn import functional

from tuner import Dataset, Objective

# What trials are compared by: a metric that `train_epoch` returns, and its direction.
OBJECTIVE = Objective("dev_f1", "maximize")

# Configurations to try first. The first one is the baseline: what you would train untuned.
START = [{"width": 32, "dropout": 0.0, "learning_rate": 0.01, "momentum": 0.0}]


def suggest(trial):
    """Return the hyperparameters of a trial; `trial` is Optuna's, and conditional ones are welcome."""
    return {
        "width": trial.suggest_int("width", 16, 128, log=True),
        "dropout": trial.suggest_float("dropout", 0.0, 0.5),
        "learning_rate": trial.suggest_float("learning_rate", 1e-3, 0.3, log=True),
        "momentum": trial.suggest_float("momentum", 0.0, 0.95),
    }


def load_data(data_dir):
    """Return the data. Trials see `train` and `dev`; `test` is measured once, when everything is chosen."""
    images, labels = load_digits(return_X_y=True)
    images = (images / 16).astype("float32")
    train_x, rest_x, train_y, rest_y = train_test_split(images, labels, test_size=0.4, random_state=0)
    dev_x, test_x, dev_y, test_y = train_test_split(rest_x, rest_y, test_size=0.5, random_state=0)
    return Dataset(train=(train_x, train_y), dev=(dev_x, dev_y), test=(test_x, test_y), name="digits")


class Task:
    """One training. Without `state_dict` and `load_state_dict` it works too, but can neither pause nor go on."""

    def __init__(self, hparams, data, *, seed, device):
        """Set up; the random generators of torch, NumPy and Python are seeded for you."""
        self.data = data
        self.device = device
        self.model = nn.Sequential(
            nn.Linear(64, hparams["width"]),
            nn.ReLU(),
            nn.Dropout(hparams["dropout"]),
            nn.Linear(hparams["width"], 10),
        ).to(device)
        self.optimizer = torch.optim.SGD(
            self.model.parameters(), lr=hparams["learning_rate"], momentum=hparams["momentum"]
        )

    def train_epoch(self):
        """Train one epoch and return its metrics, the objective's among them."""
        images, labels = (torch.tensor(part, device=self.device) for part in self.data.train)
        total = 0.0
        self.model.train()
        for batch in torch.randperm(len(images)).split(64):
            loss = functional.cross_entropy(self.model(images[batch]), labels[batch])
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()
            total += loss.item() * len(batch)
        dev = self.evaluate(self.data.dev)
        return {"train_loss": total / len(images), **{f"dev_{name}": value for name, value in dev.items()}}

    def evaluate(self, split):
        """Return the metrics of a split: train, dev or test."""
        images, labels = split
        self.model.eval()
        with torch.no_grad():
            logits = self.model(torch.tensor(images, device=self.device)).cpu()
        found = logits.argmax(1)
        return {
            "f1": float(f1_score(labels, found, average="macro")),
            "loss": float(functional.cross_entropy(logits, torch.tensor(labels))),
        }

    def state_dict(self):
        """Return what a checkpoint must hold: tensors, NumPy arrays and plain values."""
        return {"model": self.model.state_dict(), "optimizer": self.optimizer.state_dict()}

    def load_state_dict(self, state):
        """Go on from a checkpoint."""
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])


TRAINABLE = Task
