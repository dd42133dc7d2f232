"""The metrics of an epoch for tests that need some, as the built-in classifier reports them."""

from __future__ import annotations


def metrics(
    train_loss: float = 1.0,
    train_accuracy: float = 0.5,
    dev_loss: float = 1.0,
    dev_accuracy: float = 0.6,
    lr: float = 0.01,
) -> dict[str, float]:
    """Return the five, in the classifier's order."""
    return {
        "train_loss": train_loss,
        "train_accuracy": train_accuracy,
        "dev_loss": dev_loss,
        "dev_accuracy": dev_accuracy,
        "lr": lr,
    }
