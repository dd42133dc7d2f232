"""The command `python -m tuner.predict RUN IMAGE...`: a run's best model, read back and asked about images."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError
from torch import nn
from tyro.conf import Positional, arg

from tuner.cli import Run, main, parse
from tuner.config import NOTEBOOK
from tuner.engine.recorded import recorded_sources
from tuner.engine.task import Task, load_task, task_of
from tuner.errors import ConfigError, DataError, SpaceError, StorageError, TunerError
from tuner.io.reading import reading_run
from tuner.models import DataShape, ModelSpec, available_models, build_model, get_model
from tuner.paths import RunPaths
from tuner.results.best import SIDE, BestDescription, read_description
from tuner.training.checkpoints import load_weights
from tuner.training.ensemble import Ensemble, as_measured
from tuner.training.hparams import TrainingHparams

_BATCH = 256


_EXAMPLES = {
    "runs/NAME shirt.png": "its class and the probability",
    "runs/NAME *.jpg --invert": "photographs, dark on light",
}


@dataclass(frozen=True)
class PredictConfig:
    """Ask a run's best model what is on your images."""

    run: Run
    """The run's folder, or its s3://bucket/prefix."""
    images: Annotated[Positional[tuple[Path, ...]], arg(metavar="IMAGE...")]
    """Image files of any size and format that Pillow reads."""
    invert: bool = False
    """The images are dark on light; the models know light on dark."""
    space: str | None = None
    """For a model of a search space's own: that space's file, if it is elsewhere now. It is run as code."""
    json: bool = False
    """Print one JSON document with every class's probability."""


@dataclass(frozen=True)
class Prediction:
    """What the model makes of one image."""

    class_name: str
    probability: float
    probabilities: Mapping[str, float]
    """By class name, in the order of the classes."""


def load_model(paths: RunPaths, space: str | None = None) -> nn.Module:
    """Return the retrained model of `best/` in evaluation mode, on the CPU.

    A registered model is built by our own code. One that a search space brought needs that space's file, which is
    run: `space`, or the recorded one as `tuner.engine.recorded` finds it, for a results folder from a stranger runs no
    code. Raises TunerError if `best/` is incomplete or damaged, or its weights are another model's.
    """
    description = read_description(paths)
    spec = _model_of(paths, description, space)
    weights = load_weights(paths.best_model)
    try:
        shape = _shape_of(description)
        members = [build_model(spec.build, description.hparams, shape) for _ in range(description.members)]
        model = members[0] if len(members) == 1 else Ensemble(members)
        model.load_state_dict(weights)
        answering = as_measured(model, TrainingHparams.of(description.hparams))
    except TunerError:
        raise
    except Exception as error:  # A space's model is foreign code: it may raise anything.
        reason = " ".join(str(error).split())
        raise StorageError(f"{paths.best_model} does not fit the model of {paths.best_hparams}: {reason}") from error
    return answering.eval()


def read_image(path: Path, invert: bool) -> NDArray[np.uint8]:
    """Return an image as uint8 [28, 28], light on dark, its proportions kept; raises DataError if it is none."""
    with as_data_error(str(path)), Image.open(path) as opened:
        return fit_image(opened, invert)


def fit_image(opened: Image.Image, invert: bool) -> NDArray[np.uint8]:
    """Return what `read_image` does; only here are the pixels decoded. Raises whatever Pillow does."""
    background = 255 if invert else 0
    grey = _to_grey(ImageOps.exif_transpose(opened), background)
    fitted = ImageOps.pad(grey, (SIDE, SIDE), Image.Resampling.LANCZOS, color=background)
    return np.asarray(ImageOps.invert(fitted) if invert else fitted, dtype=np.uint8)


@contextmanager
def as_data_error(name: str) -> Iterator[None]:
    """Raise what Pillow raises for a damaged image, which is almost anything, as a DataError about `name`."""
    try:
        yield
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        reason = "not an image" if isinstance(error, UnidentifiedImageError) else getattr(error, "strerror", None)
        raise DataError(f"{name} cannot be read as an image: {reason or error}.") from error


def moments(description: BestDescription) -> tuple[float, float]:
    """Return mean and standard deviation by which images are normalised.

    Raises StorageError if the model was trained on something else than images of `SIDE` by `SIDE` pixels.
    """
    if not description.is_of_images:
        raise StorageError(f"the model was trained on no images of {SIDE}x{SIDE} pixels, so it knows none.")
    return description.means[0], description.stds[0]


def use_one_core() -> None:
    """Leave the machine's other cores to whatever else is at work; one picture needs no more."""
    torch.set_num_threads(1)


def predict(model: nn.Module, description: BestDescription, images: NDArray[np.uint8]) -> list[Prediction]:
    """Return what the model makes of uint8 images [n, 28, 28].

    Raises StorageError if the model was trained on something else, or does not tell as many classes apart as the
    description names.
    """
    mean, std = moments(description)
    scaled = torch.from_numpy(images).unsqueeze(1).float() / 255
    normalised = (scaled - mean) / std
    with torch.inference_mode():
        logits = torch.cat([model(batch).float() for batch in torch.split(normalised, _BATCH)])
    names = description.names(logits.shape[-1])
    if logits.shape != (len(images), len(names)):
        raise StorageError(f"class_names of hparams.json has {len(names)} classes, but the model {logits.shape[-1]}.")
    return [_prediction(names, row) for row in logits.softmax(1).tolist()]


def run(args: Sequence[str] | None = None) -> None:
    """Print the class and its probability for each image."""
    config = parse(PredictConfig, args, prog="python -m tuner.predict", examples=_EXAMPLES)
    if not config.images:
        raise ConfigError("IMAGE is missing: give at least one image file.")
    with reading_run(config.run) as paths:
        description = read_description(paths)
        images = np.stack([read_image(path, config.invert) for path in config.images])
        found = predict(load_model(paths, config.space), description, images)
    named = list(zip(map(str, config.images), found, strict=True))
    print(_to_json(named) if config.json else _to_text(named))


def _model_of(paths: RunPaths, description: BestDescription, space: str | None) -> ModelSpec:
    if space is None and not description.space.endswith(".py") and description.model in available_models():
        return get_model(description.model)
    if space is None and description.space == NOTEBOOK:  # whose objects are gone
        if not paths.best_model.is_file():
            raise _own_training(paths, description)
        raise SpaceError(
            f"{description.model} of {paths.root} was given to tune() as an object: give a file that defines it as "
            "MODEL, beside suggest(trial), as --space (in Python: model(space=...))."
        )
    task = load_task(space) if space is not None else _recorded_task(paths, description)
    if task.model is None:
        raise _own_training(paths, description)
    return task.model


def _own_training(paths: RunPaths, description: BestDescription) -> SpaceError:
    return SpaceError(
        f"{description.model} of {paths.root} is a training of its own and no model of the built-in loop: "
        "read what it saved with load_run(...).state()."
    )


def _recorded_task(paths: RunPaths, description: BestDescription) -> Task:
    sources, notice = recorded_sources(paths, description.space, description.space_sha256)
    if notice is not None:
        print(f"NOTICE: {notice}", file=sys.stderr)
    return task_of(description.space, vars(sources.load()), sources)


def _shape_of(description: BestDescription) -> DataShape:
    classes = description.classes or len(description.class_names)
    return DataShape(tuple(description.input_shape), classes, description.tokens)


def _to_grey(image: Image.Image, background: int) -> Image.Image:
    if image.has_transparency_data:
        ground = Image.new("RGBA", image.size, (background, background, background, 255))
        return Image.alpha_composite(ground, image.convert("RGBA")).convert("L")
    if image.mode.startswith("I;16"):
        # Pillow would clip 16 bits at 255, not scale them.
        return Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    return image.convert("L")


def _prediction(names: list[str], probabilities: list[float]) -> Prediction:
    by_class = dict(zip(names, probabilities, strict=True))
    best = max(range(len(names)), key=probabilities.__getitem__)
    return Prediction(names[best], probabilities[best], by_class)


def _to_text(named: Sequence[tuple[str, Prediction]]) -> str:
    paths = max(len(path) for path, _ in named)
    classes = max(len(found.class_name) for _, found in named)
    return "\n".join(
        f"{path:<{paths}}  {found.class_name:<{classes}}  {found.probability:.4f}" for path, found in named
    )


def _to_json(named: Sequence[tuple[str, Prediction]]) -> str:
    return json.dumps(
        [
            {
                "image": path,
                "class": found.class_name,
                "probability": found.probability,
                "probabilities": found.probabilities,
            }
            for path, found in named
        ],
        indent=2,
    )


if __name__ == "__main__":
    main(run)
