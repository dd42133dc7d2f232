"""A trained model in the formats that other programs load, each checked against the model before it counts as written.

The model's first dimension, the number of inputs, stays free. A file is compared on inputs of other numbers than it was
made with.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from tuner.errors import ConfigError, StorageError
from tuner.extras import install_line
from tuner.io.files import write_whole
from tuner.results.best import BestDescription
from tuner.training.batches import Normalisation

TOLERANCE = 1e-4
"""The most that a logit of an exported model may differ from the original's."""
_EXAMPLES = 2
_CHECKED = (1, 2, 5)
"""Numbers of inputs."""

Answer = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class ModelFormat:
    """One way to write a model."""

    suffix: str
    write: Callable[[nn.Module, Tensor, Path], None]
    read: Callable[[Path], Answer]
    use: str
    """How a program loads the file called FILE."""
    needs: str | None = None
    """The package without which it cannot be written; it is that of the extra of the format's name."""


def export_model(model: nn.Module, description: BestDescription, name: str, path: Path) -> float:
    """Write the model to `path` in the format of that name and return the greatest difference of any logit.

    Nothing is left at `path` if it differs by more than `TOLERANCE`, on random inputs or on such as the dev set has.

    Raises:
        ConfigError: if the format's package is not installed.
        StorageError: if the model cannot be written so, or answers otherwise then.
    """
    made = FORMATS[name]
    found: list[float] = []
    write_whole(path, lambda temporary: found.append(_write_checked(model, description, made, name, temporary)))
    return found[-1]


def inputs_like(description: BestDescription, count: int, seed: int) -> tuple[Tensor, Tensor]:
    """Return random inputs [count, *input_shape] of the model, and such as the dev set has.

    Those are normalised pixels, mostly background, where the model was trained on pixels; else random ones again.
    """
    generator = torch.Generator().manual_seed(seed)
    shape = (count, *description.input_shape)
    if description.tokens is not None:
        return torch.randint(description.tokens, shape, generator=generator), torch.zeros(shape, dtype=torch.long)
    random = torch.randn(shape, generator=generator)
    if not description.means:
        return random, torch.randn(shape, generator=generator)
    pixels = torch.randint(256, shape, generator=generator) * torch.randint(2, shape, generator=generator)
    return random, Normalisation(description.means, description.stds)(pixels / 255)


def _write_checked(model: nn.Module, description: BestDescription, made: ModelFormat, name: str, path: Path) -> float:
    try:
        with warnings.catch_warnings(action="ignore"), torch.inference_mode(False), torch.no_grad():
            made.write(model, inputs_like(description, _EXAMPLES, seed=0)[0], path)
            answer = made.read(path)
            differences = [
                float((answer(inputs) - model(inputs)).abs().max())
                for count in _CHECKED
                for inputs in inputs_like(description, count, seed=count)
            ]
    except ImportError as error:
        if made.needs is None:
            raise
        raise ConfigError(
            f"--to is {name!r}, but {error.name or made.needs} is not installed: {install_line(made.needs)}"
        ) from error
    except Exception as error:  # a model of the user's own may do anything that a format does not know
        reason = " ".join(str(error).split())[:500]
        raise StorageError(f"the model cannot be written as {name}: {type(error).__name__}: {reason}") from error
    worst = max(differences)
    if not all(one <= TOLERANCE for one in differences):  # so that no NaN gets by
        raise StorageError(
            f"the model's answers differ by {worst:.2g} when it is written as {name}, but may by at most "
            f"{TOLERANCE:g}: nothing is written."
        )
    return worst


def _write_onnx(model: nn.Module, example: Tensor, path: Path) -> None:
    import onnx
    import onnxscript  # noqa: F401 - torch would say that it lacks it in its own words

    program = torch.onnx.export(
        model,
        (example,),
        input_names=["input"],
        output_names=["logits"],
        dynamic_shapes=({0: torch.export.Dim("n")},),
        verbose=False,
    )
    assert program is not None
    onnx.checker.check_model(program.model_proto)
    path.write_bytes(program.model_proto.SerializeToString())


def _read_onnx(path: Path) -> Answer:
    from onnx.reference import ReferenceEvaluator

    session = ReferenceEvaluator(str(path))

    def answer(inputs: Tensor) -> Tensor:
        (found,) = session.run(None, {"input": inputs.numpy()})
        return torch.from_numpy(found)

    return answer


def _write_pt2(model: nn.Module, example: Tensor, path: Path) -> None:
    program = torch.export.export(model, (example,), dynamic_shapes=({0: torch.export.Dim("n")},))
    with path.open("wb") as handle:
        torch.export.save(program, handle)


def _read_pt2(path: Path) -> Answer:
    with path.open("rb") as handle:
        loaded: Any = torch.export.load(handle).module()
    return partial(_call, loaded)


def _write_torchscript(model: nn.Module, example: Tensor, path: Path) -> None:
    jit: Any = torch.jit  # without types
    jit.trace(model, example).save(str(path))


def _read_torchscript(path: Path) -> Answer:
    jit: Any = torch.jit
    return partial(_call, jit.load(str(path)))


def _call(model: Any, inputs: Tensor) -> Tensor:
    found: Tensor = model(inputs)
    return found


FORMATS: Mapping[str, ModelFormat] = {
    "onnx": ModelFormat(
        ".onnx",
        _write_onnx,
        _read_onnx,
        'session = onnxruntime.InferenceSession("FILE")\n(logits,) = session.run(None, {"input": inputs})',
        needs="onnx",
    ),
    "pt2": ModelFormat(".pt2", _write_pt2, _read_pt2, 'logits = torch.export.load("FILE").module()(inputs)'),
    "torchscript": ModelFormat(".pt", _write_torchscript, _read_torchscript, 'logits = torch.jit.load("FILE")(inputs)'),
}
"""By name."""
