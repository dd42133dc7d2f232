"""An Optuna objective, as it is written for Optuna. Tune it as it stands:

tuner run --objective NAME.py:objective --direction minimize --trials 30
"""

import optuna
import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import nn
from torch.nn import functional


def objective(trial):
    """Suggest, train, report and return the value that is to become small."""
    images, labels = load_digits(return_X_y=True)
    images, labels = torch.tensor(images, dtype=torch.float32) / 16, torch.tensor(labels)
    train_x, dev_x, train_y, dev_y = train_test_split(images, labels, random_state=0)
    layers, width = [], 64
    for index in range(trial.suggest_int("n_layers", 1, 3)):
        units = trial.suggest_int(f"n_units_l{index}", 4, 128, log=True)
        layers += [nn.Linear(width, units), nn.ReLU(), nn.Dropout(trial.suggest_float(f"dropout_l{index}", 0.0, 0.5))]
        width = units
    model = nn.Sequential(*layers, nn.Linear(width, 10))
    kind = trial.suggest_categorical("optimizer", ["Adam", "RMSprop", "SGD"])
    optimizer = getattr(torch.optim, kind)(model.parameters(), lr=trial.suggest_float("lr", 1e-5, 1e-1, log=True))
    for epoch in range(10):
        model.train()
        for batch in torch.randperm(len(train_x)).split(64):
            optimizer.zero_grad()
            functional.cross_entropy(model(train_x[batch]), train_y[batch]).backward()
            optimizer.step()
        model.eval()
        with torch.no_grad():
            loss = functional.cross_entropy(model(dev_x), dev_y).item()
        trial.report(loss, epoch)
        if trial.should_prune():
            raise optuna.TrialPruned
    return loss
