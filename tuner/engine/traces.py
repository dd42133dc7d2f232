"""Tracebacks of the user's code, without our own frames above it."""

from __future__ import annotations

import os
import traceback
from pathlib import Path
from types import TracebackType

from tuner.errors import SpaceError

_OURS = f"{Path(__file__).parents[1]}{os.sep}"


def trace(error: BaseException) -> str:
    """Return the traceback of an exception from where our code called another's; all of it if it is ours alone."""
    frames = _outside(error.__traceback__) or error.__traceback__
    return "".join(traceback.format_exception(type(error), error, frames))


def with_trace(error: SpaceError, told: str | None) -> SpaceError:
    """Return the error with the traceback of the user's code, if there is one: commands show it above the sentence."""
    if told is not None:
        error.add_note(told.rstrip("\n"))
    return error


def _outside(frames: TracebackType | None) -> TracebackType | None:
    while frames is not None and frames.tb_frame.f_code.co_filename.startswith(_OURS):
        frames = frames.tb_next
    return frames
