"""Tune a Hugging Face `Trainer`.

    tuner run --space NAME.py --budget 10m

It trains, evaluates and saves as it always does; it can be stopped, paused and taken up again after any epoch. What
stands here needs no download: a tiny model with random weights learns which of two words a made-up sentence holds.
"""

import numpy as np
from transformers import BertConfig, BertForSequenceClassification, Trainer, TrainingArguments

from tuner import Dataset, Objective
from tuner.integrations.transformers import TransformersTask

# What trials are compared by: a metric of the evaluation after each epoch, and its direction.
OBJECTIVE = Objective("dev_accuracy", "maximize", proportion=True)

# Configurations to try first. The first one is the baseline: what you would train untuned.
START = [{"learning_rate": 5e-5, "weight_decay": 0.0, "batch_size": 16}]


def suggest(trial):
    """Return the hyperparameters of a trial; `trial` is Optuna's, and conditional ones are welcome."""
    return {
        "learning_rate": trial.suggest_float("learning_rate", 1e-5, 1e-2, log=True),
        "weight_decay": trial.suggest_float("weight_decay", 0.0, 0.3),
        "batch_size": trial.suggest_categorical("batch_size", [8, 16, 32]),
    }


def load_data(data_dir):
    """Return the data: any data sets that a `Trainer` takes. Trials see `train` and `dev`, never `test`."""
    return Dataset(train=_sentences(0, 512), dev=_sentences(1, 256), test=_sentences(2, 256), name="two-words")


def _sentences(seed, n):
    generator = np.random.default_rng(seed)
    words = generator.integers(4, 32, (n, 12))
    labels = generator.integers(0, 2, n)
    words[np.arange(n), generator.integers(0, 12, n)] = 2 + labels
    return [{"input_ids": one.tolist(), "labels": int(label)} for one, label in zip(words, labels, strict=True)]


class Task(TransformersTask):
    """How the trainer is made."""

    def make_trainer(self, hparams, data, **arguments):
        """Return the trainer; `arguments` go into its `TrainingArguments`, beside your own."""
        config = BertConfig(
            vocab_size=32,
            hidden_size=32,
            num_hidden_layers=1,
            num_attention_heads=2,
            intermediate_size=64,
            max_position_embeddings=16,
        )
        return Trainer(
            model=BertForSequenceClassification(config),
            args=TrainingArguments(
                **arguments,
                learning_rate=hparams["learning_rate"],
                weight_decay=hparams["weight_decay"],
                per_device_train_batch_size=hparams["batch_size"],
            ),
            train_dataset=data.train,
            eval_dataset=data.dev,
            compute_metrics=_metrics,
        )


def _metrics(found):
    return {"accuracy": float((found.predictions.argmax(1) == found.label_ids).mean())}


TRAINABLE = Task
