"""Named starting points for a configuration; each is a function whose docstring is its help."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from tuner.config import DataConfig, RetrainConfig, SearchConfig, StudyConfig
from tuner.errors import unknown_name


def smoke() -> StudyConfig:
    """See a search that works: embedded digits, no network, half a minute on two cores."""
    return StudyConfig(
        space="digits",
        data=DataConfig(dataset="digits"),
        search=SearchConfig(trials=12, max_epochs=9, startup_trials=6),
        retrain=RetrainConfig(retrain_epochs=18, retrain_seeds=2, baseline=True),
    )


def quick() -> StudyConfig:
    """A first answer in half an hour."""
    return StudyConfig(budget="30m", retrain=RetrainConfig(retrain_seeds=2))


def default() -> StudyConfig:
    """A good answer: two hours for search and retraining with two seeds, and the untuned baseline beside it."""
    return StudyConfig(budget="2h", retrain=RetrainConfig(retrain_seeds=2, baseline=True))


def full() -> StudyConfig:
    """A result to publish: 128 trials of up to 81 epochs, five seeds, the baseline; for GPUs or a cluster."""
    return StudyConfig(
        search=SearchConfig(trials=128, max_epochs=81),
        retrain=RetrainConfig(retrain_seeds=5, baseline=True),
    )


PRESETS: Mapping[str, Callable[[], StudyConfig]] = {
    "smoke": smoke,
    "quick": quick,
    "default": default,
    "full": full,
}


def preset(name: str) -> StudyConfig:
    """Return the configuration of a preset; raises ConfigError listing those that exist."""
    if name not in PRESETS:
        raise unknown_name("--preset", name, PRESETS)
    return PRESETS[name]()
