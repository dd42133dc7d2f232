"""Tune a scikit-learn estimator.

    tuner run --space NAME.py --trials 30

One `fit` is one epoch: there is nothing to stop early, so every trial is trained to its end. An estimator with
`partial_fit` can yield after each pass over the data and is then stopped early; the last lines show how.
"""

from sklearn.datasets import load_diabetes
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.metrics import root_mean_squared_error
from sklearn.model_selection import train_test_split

from tuner import Dataset, Objective

# What trials are compared by: a metric that is yielded, and its direction.
OBJECTIVE = Objective("dev_rmse", "minimize")

# Configurations to try first. The first one is the baseline: here scikit-learn's own defaults.
START = [{"learning_rate": 0.1, "max_leaf_nodes": 31, "min_samples_leaf": 20, "l2_regularization": 1e-6}]


def suggest(trial):
    """Return the hyperparameters of a trial; `trial` is Optuna's, and conditional ones are welcome."""
    return {
        "learning_rate": trial.suggest_float("learning_rate", 0.01, 0.5, log=True),
        "max_leaf_nodes": trial.suggest_int("max_leaf_nodes", 3, 63, log=True),
        "min_samples_leaf": trial.suggest_int("min_samples_leaf", 5, 50),
        "l2_regularization": trial.suggest_float("l2_regularization", 1e-6, 10.0, log=True),
    }


def load_data(data_dir):
    """Return the data. Trials see `train` and `dev`; `test` is measured once, when everything is chosen."""
    x, y = load_diabetes(return_X_y=True)
    train_x, rest_x, train_y, rest_y = train_test_split(x, y, test_size=0.4, random_state=0)
    dev_x, test_x, dev_y, test_y = train_test_split(rest_x, rest_y, test_size=0.5, random_state=0)
    return Dataset(train=(train_x, train_y), dev=(dev_x, dev_y), test=(test_x, test_y), name="diabetes")


def train(hparams, data, *, seed, device):
    """Fit once, and say how well that went."""
    model = HistGradientBoostingRegressor(**hparams, random_state=seed)
    model.fit(*data.train)

    def evaluate(split):
        x, y = split
        return {"rmse": float(root_mean_squared_error(y, model.predict(x))), "n": len(y)}

    yield {"dev_rmse": evaluate(data.dev)["rmse"]}
    return evaluate


TRAINABLE = train

# With `partial_fit`, an epoch is a pass over the data. Import `numpy as np` and `sklearn.linear_model.SGDRegressor`,
# let START and `suggest` name what that takes, such as `alpha` and `eta0`, and make this TRAINABLE:
#
# def train(hparams, data, *, seed, device, max_epochs):
#     model = SGDRegressor(**hparams, random_state=seed)
#
#     def evaluate(split):
#         x, y = split
#         return {"rmse": float(root_mean_squared_error(y, model.predict(x))), "n": len(y)}
#
#     x, y = data.train
#     for _ in range(max_epochs):
#         for batch in np.array_split(np.random.permutation(len(x)), 10):
#             model.partial_fit(x[batch], y[batch])
#         yield {"dev_rmse": evaluate(data.dev)["rmse"]}
#     return evaluate
