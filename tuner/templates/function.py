"""Tune a training loop that is a function: it yields its metrics once an epoch.

    tuner run --space NAME.py --budget 5m

It can be stopped after any epoch, but not paused: that takes a class with a state (`tuner new NAME`).
"""

import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import nn
from torch.nn import functional

from tuner import Dataset, Objective

# What trials are compared by: a metric that is yielded, and its direction.
OBJECTIVE = Objective("dev_loss", "minimize")

# Configurations to try first. The first one is the baseline: what you would train untuned.
START = [{"width": 32, "learning_rate": 1e-3}]


def suggest(trial):
    """Return the hyperparameters of a trial; `trial` is Optuna's, and conditional ones are welcome."""
    return {
        "width": trial.suggest_int("width", 16, 128, log=True),
        "learning_rate": trial.suggest_float("learning_rate", 1e-4, 1e-1, log=True),
    }


def load_data(data_dir):
    """Return the data. Trials see `train` and `dev`; `test` is measured once, when everything is chosen."""
    images, labels = load_digits(return_X_y=True)
    images = (images / 16).astype("float32")
    train_x, rest_x, train_y, rest_y = train_test_split(images, labels, test_size=0.4, random_state=0)
    dev_x, test_x, dev_y, test_y = train_test_split(rest_x, rest_y, test_size=0.5, random_state=0)
    return Dataset(train=(train_x, train_y), dev=(dev_x, dev_y), test=(test_x, test_y), name="digits")


def train(hparams, data, *, seed, device, max_epochs):
    """Train, a yield an epoch; the random generators of torch, NumPy and Python are seeded for you."""
    images, labels = (torch.tensor(part, device=device) for part in data.train)
    model = nn.Sequential(nn.Linear(64, hparams["width"]), nn.ReLU(), nn.Linear(hparams["width"], 10)).to(device)
    optimizer = torch.optim.Adam(model.parameters(), lr=hparams["learning_rate"])

    def evaluate(split):
        with torch.no_grad():
            logits = model(torch.tensor(split[0], device=device)).cpu()
        return {"loss": float(functional.cross_entropy(logits, torch.tensor(split[1])))}

    for _ in range(max_epochs):
        for batch in torch.randperm(len(images)).split(64):
            loss = functional.cross_entropy(model(images[batch]), labels[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        yield {"train_loss": loss.item(), "dev_loss": evaluate(data.dev)["loss"]}
    return evaluate  # called with train, dev and test when the winner has been retrained


TRAINABLE = train
