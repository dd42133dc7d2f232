"""The log of a run: what Ray, Python's warnings and the run itself say, whoever may be listening."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

_SAID = "tuner"
"""The logger of what the run itself says."""
_RAY = "ray"
_WARNINGS = "py.warnings"
"""The logger of Python's warnings."""


def say_to_log(text: str) -> None:
    """Write a line of the run's own to its log, if that is open."""
    logging.getLogger(_SAID).info(text)


@contextmanager
def what_is_said_logged(log: Path) -> Iterator[None]:
    """Append to `log` what `say_to_log` is given."""
    logger = logging.getLogger(_SAID)
    level = logger.level
    logger.setLevel(logging.INFO)
    try:
        with _to_file(log, _SAID):
            yield
    finally:
        logger.setLevel(level)


@contextmanager
def ray_logged(log: Path) -> Iterator[None]:
    """Send what Ray and Python's warnings have to say to `log` alone; a notebook has its own again afterwards."""
    show_before = warnings.showwarning
    with _to_file(log, _RAY, _WARNINGS):
        warnings.showwarning = _log_warning
        try:
            yield
        finally:
            warnings.showwarning = show_before


class _FileHandler(logging.FileHandler):
    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging's name
        """Drop what a full disk does not take; by itself logging would print a traceback for each line."""


@contextmanager
def _to_file(log: Path, *names: str) -> Iterator[None]:
    handler = _FileHandler(log, encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(name)s %(levelname)s %(message)s"))
    loggers = [logging.getLogger(name) for name in names]
    before = [(logger.handlers, logger.propagate) for logger in loggers]
    for logger in loggers:
        logger.handlers, logger.propagate = [handler], False
    try:
        yield
    finally:
        for logger, (handlers, propagate) in zip(loggers, before, strict=True):
            logger.handlers, logger.propagate = handlers, propagate
        handler.close()


def _log_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,  # noqa: ARG001 - showwarning's signature
    line: str | None = None,
) -> None:
    logging.getLogger(_WARNINGS).warning(warnings.formatwarning(message, category, filename, lineno, line))
