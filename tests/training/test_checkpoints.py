"""Tests of `tuner.training.checkpoints`: a damaged or hostile file is told, and runs no code."""

from __future__ import annotations

import hashlib
import io
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors import safe_open
from torch import nn

from tuner.training import checkpoints
from tuner.training.checkpoints import CheckpointError
from tuner.training.session import Session

MakeTraining = Callable[..., Session]


class CreatesFileWhenUnpickled:
    """What a stranger could put into a results folder."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self._path,)


def trained(make_training: MakeTraining, hparams: dict[str, Any] | None = None) -> Session:
    training = make_training(hparams)
    training.run_epoch()
    return training


def torch_bytes(value: object) -> bytes:
    buffer = io.BytesIO()
    torch.save(value, buffer)
    return buffer.getvalue()


def sha256_of(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_save_returns_the_files_sha256(make_training: MakeTraining, tmp_path: Path) -> None:
    path = tmp_path / "epoch.pt"
    assert checkpoints.save(trained(make_training), path) == sha256_of(path)


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(lambda content: content[:-1], id="truncated"),
        pytest.param(lambda content: content[: len(content) // 2], id="halved"),
        pytest.param(lambda content: b"", id="emptied"),
        pytest.param(lambda content: content[:5000] + bytes([content[5000] ^ 1]) + content[5001:], id="one bit"),
    ],
)
def test_a_damaged_checkpoint_is_named_with_both_hashes(
    make_training: MakeTraining, tmp_path: Path, damage: Callable[[bytes], bytes]
) -> None:
    path = tmp_path / "epoch.pt"
    sha256 = checkpoints.save(trained(make_training), path)
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(CheckpointError) as raised:
        checkpoints.load_state(path, sha256)
    assert str(raised.value) == f"{path} has sha256 {sha256_of(path)}, but must have {sha256}: it is damaged."


def test_a_missing_checkpoint_is_named(make_training: MakeTraining, tmp_path: Path) -> None:
    path = tmp_path / "absent.pt"
    with pytest.raises(CheckpointError, match=r"absent\.pt cannot be read: No such file"):
        checkpoints.load_state(path, "0" * 64)


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
@pytest.mark.parametrize("dump", [pickle.dumps, torch_bytes])
def test_a_malicious_pickle_with_the_right_hash_does_not_run(
    make_training: MakeTraining, tmp_path: Path, dump: Callable[[object], bytes]
) -> None:
    victim, path = tmp_path / "victim", tmp_path / "epoch.pt"
    path.write_bytes(dump({"model": CreatesFileWhenUnpickled(victim)}))
    with pytest.raises(CheckpointError, match=r"epoch\.pt is no saved state"):
        checkpoints.load_state(path, sha256_of(path))
    assert not victim.exists()
    # The trap works: whoever unpickled it without care would have run it.
    torch.load(io.BytesIO(torch_bytes(CreatesFileWhenUnpickled(victim))), weights_only=False)
    assert victim.exists()


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"no checkpoint", id="text"),
        pytest.param(b"\x80\x02a.", id="a pickle that empties its stack"),
    ],
)
def test_a_file_that_is_no_checkpoint_is_named_even_with_the_right_hash(
    make_training: MakeTraining, tmp_path: Path, content: bytes
) -> None:
    path = tmp_path / "epoch.pt"
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match=r"epoch\.pt is no saved state"):
        checkpoints.load_state(path, sha256_of(path))


def test_the_checkpoint_of_another_model_is_refused_in_the_model_s_words(
    make_training: MakeTraining, tmp_path: Path
) -> None:
    path = tmp_path / "epoch.pt"
    sha256 = checkpoints.save(trained(make_training, {"head_width": 6}), path)
    with pytest.raises(RuntimeError, match="size mismatch"):
        make_training().load_state_dict(checkpoints.load_state(path, sha256))


def test_a_numpy_number_among_the_hyperparameters_does_not_spoil_the_checkpoint(
    make_training: MakeTraining, tmp_path: Path
) -> None:
    path = tmp_path / "epoch.pt"
    training = trained(make_training, {"weight_decay": np.float64(0.1)})
    sha256 = checkpoints.save(training, path)
    resumed = make_training()
    resumed.load_state_dict(checkpoints.load_state(path, sha256))
    assert resumed.reports == training.reports


def test_a_full_disk_is_an_os_error_that_says_so(make_training: MakeTraining) -> None:
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("needs Linux's /dev/full")
    with pytest.raises(OSError, match="No space left on device"):
        checkpoints.save(make_training(), full)


def test_a_failure_of_the_device_is_not_taken_for_one_of_the_disk(
    make_training: MakeTraining, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failed(*_: object) -> None:
        raise RuntimeError("CUDA error: an illegal memory access was encountered")

    monkeypatch.setattr(torch, "save", failed)
    with pytest.raises(RuntimeError, match="CUDA error"):
        checkpoints.save(make_training(), tmp_path / "epoch.pt")


def test_saved_weights_come_back_equal_and_contiguous(make_training: MakeTraining, tmp_path: Path) -> None:
    model, path = trained(make_training).model, tmp_path / "best" / "model.safetensors"
    assert checkpoints.save_model(model, path, {"format": "pt"}) == sha256_of(path)
    weights = checkpoints.load_weights(path)
    assert weights.keys() == model.state_dict().keys()
    assert all(torch.equal(weights[name], tensor) for name, tensor in model.state_dict().items())
    assert all(tensor.is_contiguous() for tensor in weights.values())
    with safe_open(path, "pt") as opened:
        assert opened.metadata() == {"format": "pt"}


def test_a_model_with_tied_weights_can_be_saved(tmp_path: Path) -> None:
    model = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4))
    model[1].weight = model[0].weight
    path = tmp_path / "model.safetensors"
    checkpoints.save_model(model, path, {})
    weights = checkpoints.load_weights(path)
    assert torch.equal(weights["0.weight"], weights["1.weight"])


@pytest.mark.parametrize("keep", [0, 4, 100])
def test_truncated_weights_are_named(make_training: MakeTraining, tmp_path: Path, keep: int) -> None:
    path = tmp_path / "model.safetensors"
    checkpoints.save_model(make_training().model, path, {})
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(CheckpointError, match=r"model\.safetensors cannot be loaded"):
        checkpoints.load_weights(path)


def test_missing_weights_are_named(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"absent\.safetensors cannot be loaded"):
        checkpoints.load_weights(tmp_path / "absent.safetensors")
