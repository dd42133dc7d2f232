"""What `best/hparams.json` holds: how to build the retrained model, feed it and read its answer."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from pydantic import TypeAdapter, ValidationError

from tuner.errors import StorageError
from tuner.paths import RunPaths


@dataclass(frozen=True)
class BestDescription:
    """The content of the file; it may hold more."""

    model: str
    space: str
    """A registered name, or the path of the file that brought the model."""
    dataset: str
    class_names: list[str]
    mean: float
    std: float
    """Of the training pixels, scaled to 0..1."""
    hparams: dict[str, Any]
    space_sha256: str | None = None
    """Of the file that brought the model, with the modules beside it that it imports; older runs did not say."""


_ADAPTER = TypeAdapter(BestDescription)


def read_description(paths: RunPaths) -> BestDescription:
    """Return the description in `best/`; raises StorageError if it is missing or not what it should be."""
    path = paths.best_hparams
    try:
        found = _ADAPTER.validate_json(path.read_bytes())
    except OSError as error:
        raise StorageError(
            f"{path} cannot be read ({error.strerror}): {paths.root} holds no retrained model, or is no run."
        ) from error
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(map(str, first["loc"])) or "it"
        raise StorageError(f"{path} is damaged: {key} is impossible: {first['msg']}.") from error
    if not (math.isfinite(found.mean) and math.isfinite(found.std) and found.std > 0):
        raise StorageError(f"{path} is damaged: mean is {found.mean} and std {found.std}, but std must be more than 0.")
    return found
