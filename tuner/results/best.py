"""What `best/hparams.json` holds: how to build the retrained model, feed it and read its answer."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

from pydantic import TypeAdapter, ValidationError

from tuner.errors import StorageError
from tuner.paths import RunPaths

SIDE = 28
"""Height and width of the images that a model can be asked about, in pixels."""


@dataclass(frozen=True)
class BestDescription:
    """The content of the file; it may hold more."""

    model: str
    space: str
    """A registered name, or the path of the file that brought the model."""
    dataset: str
    hparams: dict[str, Any]
    class_names: list[str] = field(default_factory=list)
    mean: float | list[float] | None = None
    std: float | list[float] | None = None
    """Of the training pixels, scaled to 0..1, or of each of their channels; None if it was not trained on pixels."""
    input_shape: list[int] = field(default_factory=lambda: [1, 28, 28])
    """Of one input of a model of the built-in loop."""
    classes: int | None = None
    """Those that it tells apart; None for as many as have a name."""
    tokens: int | None = None
    """How many different ones there are, if its inputs are tokens."""
    members: int = 1
    """Models whose probabilities are averaged; more than one is an ensemble."""
    space_sha256: str | None = None
    """Of the file that brought the model, with the modules beside it that it imports; older runs did not say."""

    def names(self, classes: int) -> list[str]:
        """Return the names of so many classes; their numbers if they have none."""
        return self.class_names or [str(label) for label in range(classes)]

    @property
    def means(self) -> list[float]:
        """The mean of each channel, or the only one; empty if it was not trained on pixels."""
        return _listed(self.mean)

    @property
    def stds(self) -> list[float]:
        """The standard deviations, as the means."""
        return _listed(self.std)

    @property
    def is_of_images(self) -> bool:
        """Whether it can be asked about image files: it was trained on pixels, of one channel and `SIDE` a side."""
        return len(self.means) == len(self.stds) == 1 and self.input_shape == [1, SIDE, SIDE]


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
        key = str(first["loc"][0]) if first["loc"] else "it"
        raise StorageError(f"{path} is damaged: {key} is impossible: {first['msg']}.") from error
    means, stds = found.means, found.stds
    is_whole = len(means) == len(stds) and (len(means) < 2 or found.input_shape[:1] == [len(means)])
    if not (is_whole and all(map(math.isfinite, means + stds)) and all(std > 0 for std in stds)):
        law = "std must be more than 0, and both be one number, or one for each channel"
        raise StorageError(f"{path} is damaged: mean is {found.mean} and std {found.std}, but {law}.")
    return found


def _listed(found: float | list[float] | None) -> list[float]:
    return found if isinstance(found, list) else [] if found is None else [found]
