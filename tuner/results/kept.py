"""What a run keeps beside its journal for its report: a sample of the data, and the winner's answers on the dev set."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from numpy.typing import NDArray
from PIL import Image

from tuner.data.predictions import Predictions
from tuner.data.sample import DataSample
from tuner.errors import DataError
from tuner.io.arrays import read_arrays
from tuner.paths import RunPaths

T = TypeVar("T")


@dataclass(frozen=True)
class Kept:
    """Both, as far as there are any: a task that is no classification has none, an unfinished run no answers."""

    data: DataSample | None = None
    predictions: Predictions | None = None


def read_kept(paths: RunPaths) -> Kept:
    """Return what the run keeps; a file that is damaged counts as missing, for a report does without."""
    return Kept(
        _read(paths.data_sample, DataSample.from_arrays),
        _read(paths.best_predictions, Predictions.from_arrays),
    )


def picture_source(image: NDArray[Any]) -> str:
    """Return an image [height, width] or [height, width, 3] as the address of a PNG."""
    target = io.BytesIO()
    Image.fromarray(image).save(target, "PNG", optimize=True)
    return f"data:image/png;base64,{base64.b64encode(target.getvalue()).decode()}"


def _read(path: Path, make: Callable[[Mapping[str, NDArray[Any]]], T]) -> T | None:
    with suppress(DataError):
        return make(read_arrays(path))
    return None
