"""A training's state as a file of tensors and plain values: loading one runs no code."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import torch
from safetensors import SafetensorError
from safetensors.torch import load as from_bytes
from safetensors.torch import save as to_bytes
from torch import Tensor, nn

from tuner.errors import StorageError, TunerError
from tuner.io.files import hash_file, write_whole

_SIGNS_OF_THE_WRITER = ("inline_container", "PytorchStreamWriter")
"""Of the messages of RuntimeErrors into which torch turns a full disk."""


class CheckpointError(TunerError):
    """A file that is not the checkpoint it should be."""


class Saveable(Protocol):
    """A training with a state of tensors, NumPy arrays and plain values only."""

    def state_dict(self) -> dict[str, Any]:
        """Return the state."""


def save(training: Saveable, path: Path) -> str:
    """Write the training's state to `path`, flushed to disk, and return its sha256; raises OSError."""
    return save_state(training.state_dict(), path)


def save_state(state: Any, path: Path) -> str:
    """Write a state of tensors and plain values to `path`, flushed to disk, and return its sha256; raises OSError."""
    try:
        with path.open("wb") as handle:
            torch.save(state, handle)
            handle.flush()
            os.fsync(handle.fileno())
    except RuntimeError as error:
        if not any(sign in str(error) for sign in _SIGNS_OF_THE_WRITER):
            raise  # of a device that has failed, say, from which the tensors cannot be fetched
        raise OSError(None, " ".join(str(error).split())) from error
    return hash_file(path)


def save_model(model: nn.Module, path: Path, metadata: Mapping[str, str]) -> str:
    """Write the model's weights as safetensors, whole or not at all, and return the file's sha256.

    Raises:
        StorageError: if they cannot be written.
    """
    # Cloned, because safetensors refuses tensors that share memory, as tied weights do.
    weights = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in model.state_dict().items()}
    try:
        # Given a path, safetensors takes only one that is UTF-8.
        write_whole(path, lambda temporary: temporary.write_bytes(to_bytes(weights, dict(metadata))))
        return hash_file(path)
    except (OSError, SafetensorError) as error:
        raise StorageError(f"{path} cannot be written: {error}.") from error


def load_state(path: Path, sha256: str | None = None) -> Any:
    """Return the state in a file of `save_state`; loading it runs no code.

    Raises:
        CheckpointError: if it is none, or its hash is not `sha256`, where one is given.
    """
    if sha256 is not None:
        _check_hash(path, sha256)
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read: {error.strerror}.") from error
    # Bytes that only look like a checkpoint make torch raise almost anything: EOFError, IndexError, AttributeError ...
    # Its own text is left out because it advises loading without weights_only, which would run code.
    except Exception as error:
        raise CheckpointError(f"{path} is no saved state ({type(error).__name__}).") from error


def _check_hash(path: Path, sha256: str) -> None:
    try:
        found = hash_file(path)
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read: {error.strerror}.") from error
    if found != sha256:
        raise CheckpointError(f"{path} has sha256 {found}, but must have {sha256}: it is damaged.")


def load_weights(path: Path) -> dict[str, Tensor]:
    """Return the weights in a safetensors file; raises CheckpointError if it is none."""
    try:
        return from_bytes(path.read_bytes())
    except (OSError, SafetensorError) as error:
        raise CheckpointError(f"{path} cannot be loaded: {error}") from error
