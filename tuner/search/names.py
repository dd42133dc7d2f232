"""The names of the searchers and schedulers there are; a wrong one is told before Optuna or Ray is loaded."""

from __future__ import annotations

from tuner.errors import unknown_name

AUTO, GP, TPE, RANDOM = "auto", "gp", "tpe", "random"
ASHA, ASHA_PROMOTE, HYPERBAND, NONE = "asha", "asha-promote", "hyperband", "none"

SEARCHERS = (AUTO, GP, RANDOM, TPE)
SCHEDULERS = (ASHA, ASHA_PROMOTE, HYPERBAND, NONE)


def check_searcher(name: str) -> None:
    """Raise ConfigError for a searcher that there is not."""
    if name not in SEARCHERS:
        raise unknown_name("--searcher", name, SEARCHERS)


def check_scheduler(name: str) -> None:
    """Raise ConfigError for a scheduler that there is not."""
    if name not in SCHEDULERS:
        raise unknown_name("--scheduler", name, SCHEDULERS)
