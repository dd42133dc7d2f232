"""The errors a user can cause; each is one sentence that names what is wrong and what is available.

A command prints the sentence and exits with code 2 (`tuner.run`); a notebook sees the exception.
Bugs of our own are not among them: those stay ordinary exceptions with a traceback.
"""

from __future__ import annotations

from collections.abc import Iterable


class TunerError(Exception):
    """Something the user can put right; its text is written for the user."""


class ConfigError(TunerError):
    """An argument or configuration value that is unknown, impossible or inconsistent."""


class SpaceError(TunerError):
    """A search space that cannot be loaded, raises, or returns hyperparameters nobody knows."""


class DataError(TunerError):
    """A data file that is missing or damaged."""


class StorageError(TunerError):
    """A folder that cannot be written, is full, or already holds something else."""


class JournalError(TunerError):
    """A journal that is missing, damaged in the middle, or of a version we do not read."""


class ResourceError(TunerError):
    """A request for more CPUs, GPUs or time than there is."""


class TrialFailedError(TunerError):
    """A training that cannot go on, by its configuration's or its author's fault; the same would happen again."""


class RehearsalError(TrialFailedError):
    """A training whose end was rehearsed before the search, and failed by its code, whatever the configuration."""


class InfeasibleTrialError(TunerError):
    """A training that declares its configuration impossible: the trial ends, and nothing has failed."""


def in_one_line(error: BaseException) -> str:
    """Return kind and text of an exception of the user's code."""
    return " ".join(f"{type(error).__name__}: {error}".split())


def unknown_name(argument: str, value: str, available: Iterable[str]) -> ConfigError:
    """Return the error for a name that is not registered; it lists the names that are."""
    names = ", ".join(sorted(available))
    return ConfigError(f"{argument} is {value!r}, but must be one of: {names}.")
