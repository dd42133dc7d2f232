from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from tuner.engine.recorded import remember
from tuner.errors import ConfigError, DataError, SpaceError, StorageError, TunerError
from tuner.io.sources import Sources
from tuner.models import get_model
from tuner.paths import RunPaths
from tuner.predict import load_model, predict, read_image, run
from tuner.results.best import read_description
from tuner.training.checkpoints import save_model

NARROW = {name: 8 for name in get_model("cnn").defaults or {} if name.endswith("_width")}
BRIGHTNESS = """
import torch
from torch import nn

MODEL_LOADED = True


class Brightness(nn.Module):
    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.zeros(1))

    def forward(self, images):
        light = images.mean((1, 2, 3)) * self.scale
        return torch.stack([-light, light], 1)


def MODEL(hparams):
    return Brightness()


START = [{}]


def suggest(trial):
    return {}
"""


def describe(paths: RunPaths, **changes: Any) -> None:
    description = {
        "model": "cnn",
        "space": "cnn",
        "dataset": "digits",
        "class_names": [str(digit) for digit in range(10)],
        "mean": 0.25,
        "std": 0.5,
        "hparams": NARROW,
        "seed": 1,
    }
    paths.best.mkdir(exist_ok=True)
    paths.best_hparams.write_text(json.dumps(description | changes))


@pytest.fixture
def paths(tmp_path: Path) -> RunPaths:
    """A run with a narrow CNN in `best/`, random but fixed."""
    paths = RunPaths(tmp_path / "study")
    paths.root.mkdir()
    describe(paths)
    torch.manual_seed(0)
    save_model(get_model("cnn").build(NARROW), paths.best_model, {})
    return paths


@pytest.fixture
def own(tmp_path: Path) -> RunPaths:
    """A run whose model came from a space's file: class "light" for images lighter than the mean."""
    space = tmp_path / "brightness.py"
    space.write_text(BRIGHTNESS)
    remember(Sources.read(space))
    paths = RunPaths(tmp_path / "own")
    paths.root.mkdir()
    describe(paths, model="MODEL", space=str(space), class_names=["dark", "light"], hparams={})
    scale = nn.Module()
    scale.register_parameter("scale", nn.Parameter(torch.ones(1)))
    save_model(scale, paths.best_model, {})
    return paths


def save(path: Path, pixels: Any, mode: str | None = None) -> Path:
    image = Image.fromarray(np.asarray(pixels, dtype=np.uint8))
    (image.convert(mode) if mode else image).save(path)
    return path


def test_the_prediction_is_the_models_own_on_normalised_pixels(paths: RunPaths) -> None:
    images = np.random.default_rng(0).integers(0, 256, (3, 28, 28), dtype=np.uint8)
    model = load_model(paths)
    found = predict(model, read_description(paths), images)
    with torch.inference_mode():
        logits = model((torch.from_numpy(images)[:, None] / 255 - 0.25) / 0.5)
    expected = torch.softmax(logits, 1)
    assert [one.class_name for one in found] == [str(index) for index in expected.argmax(1).tolist()]
    torch.testing.assert_close(torch.tensor([list(one.probabilities.values()) for one in found]), expected)
    assert not model.training


def test_a_light_and_a_dark_image_are_told_apart_and_invert_swaps_them(
    own: RunPaths, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    light = save(tmp_path / "light.png", np.full((50, 50), 250))
    dark = save(tmp_path / "dark.png", np.full((28, 28), 5), "RGB")
    run([str(own.root), str(light), str(dark)])
    assert [line.split()[1] for line in capsys.readouterr().out.splitlines()] == ["light", "dark"]
    run([str(own.root), str(light), "--invert", "--json"])
    (found,) = json.loads(capsys.readouterr().out)
    assert found["class"] == "dark"
    assert found["probability"] == found["probabilities"]["dark"]
    # Pixels of 5 of 255, so normalised (5 / 255 - 0.25) / 0.5; logits are minus and plus that.
    logit = (5 / 255 - 0.25) / 0.5
    assert found["probability"] == pytest.approx(1 / (1 + np.exp(2 * logit)), abs=1e-6)


def test_images_and_runs_whose_names_are_not_utf8_are_read(
    paths: RunPaths, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = paths.root.rename(tmp_path / os.fsdecode(b"r\xe9sultat"))
    image = save(tmp_path / "image.png", np.zeros((28, 28))).rename(tmp_path / os.fsdecode(b"caf\xe9.png"))
    run([str(root), str(image), "--json"])
    printed = capsys.readouterr().out
    assert printed.isascii()
    assert json.loads(printed)[0]["image"] == str(image)


def test_an_image_of_the_right_size_is_left_as_it_is(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (28, 28), dtype=np.uint8)
    assert np.array_equal(read_image(save(tmp_path / "a.png", pixels), invert=False), pixels)
    assert np.array_equal(read_image(tmp_path / "a.png", invert=True), 255 - pixels)


def test_a_wide_image_keeps_its_proportions_on_the_background(tmp_path: Path) -> None:
    found = read_image(save(tmp_path / "a.png", np.full((28, 56), 200)), invert=False)
    assert set(found[:7].flat) == {0}
    assert set(found[7:21].flat) == {200}
    assert set(found[21:].flat) == {0}


def test_sixteen_bits_are_scaled_and_what_is_transparent_is_background(tmp_path: Path) -> None:
    Image.fromarray(np.full((28, 28), 128 << 8, dtype=np.uint16)).save(tmp_path / "deep.png")
    assert set(read_image(tmp_path / "deep.png", invert=False).flat) == {128}
    save(tmp_path / "clear.png", np.zeros((28, 28, 4)))
    assert set(read_image(tmp_path / "clear.png", invert=False).flat) == {0}
    assert set(read_image(tmp_path / "clear.png", invert=True).flat) == {0}


@pytest.mark.parametrize("content", [b"no image", b"", b"\x89PNG\r\n\x1a\n" + bytes(40)])
def test_a_file_that_is_no_image_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.png").write_bytes(content)
    with pytest.raises(DataError, match=r"a\.png cannot be read as an image"):
        read_image(tmp_path / "a.png", invert=False)


def test_a_truncated_image_and_a_missing_one_are_named(tmp_path: Path) -> None:
    path = save(tmp_path / "a.png", np.random.default_rng(0).integers(0, 256, (200, 200)))
    path.write_bytes(path.read_bytes()[:9000])
    with pytest.raises(DataError, match=r"a\.png cannot be read as an image"):
        read_image(path, invert=False)
    with pytest.raises(DataError, match="No such file"):
        read_image(tmp_path / "b.png", invert=False)


def test_no_image_at_all_is_an_error(paths: RunPaths) -> None:
    with pytest.raises(ConfigError, match="at least one image"):
        run([str(paths.root)])


def test_a_run_without_best_is_named(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="holds no retrained model"):
        load_model(RunPaths(tmp_path))


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"std": 0}, "std must be more than 0"),
        ({"mean": [0.1, 0.2], "std": [1.0]}, "one number, or one for each channel"),
        ({"mean": [0.1, 0.2], "std": [1.0, 1.0]}, "one number, or one for each channel"),
        ({"mean": "grey"}, "mean is impossible"),
        ({"class_names": None}, "class_names is impossible"),
        ({"hparams": NARROW | {"dense1_width": 16}}, "size mismatch"),
        ({"hparams": NARROW | {"dense1_width": "wide"}}, "dense1_width"),
    ],
)
def test_hparams_that_lie_are_found_out(paths: RunPaths, changes: dict[str, Any], reason: str) -> None:
    describe(paths, **changes)
    with pytest.raises(TunerError, match=reason):
        load_model(paths)


def test_a_damaged_description_or_weights_file_is_named(paths: RunPaths) -> None:
    paths.best_model.write_bytes(paths.best_model.read_bytes()[:1000])
    with pytest.raises(TunerError, match=r"model\.safetensors cannot be loaded"):
        load_model(paths)
    paths.best_hparams.write_text('{"model": ')
    with pytest.raises(StorageError, match=r"hparams\.json is damaged"):
        load_model(paths)


def test_as_many_class_names_as_classes_are_needed(paths: RunPaths) -> None:
    describe(paths, class_names=["only", "two"])
    with pytest.raises(StorageError, match=r"model\.safetensors does not fit the model of"):
        load_model(paths)


def test_classes_without_names_are_named_by_their_numbers(own: RunPaths, tmp_path: Path) -> None:
    describe(own, model="brightness", space=str(tmp_path / "brightness.py"), class_names=[], hparams={})
    found = predict(load_model(own), read_description(own), np.zeros((1, 28, 28), np.uint8))
    assert found[0].class_name in ("0", "1")


def test_as_many_class_names_are_needed_as_a_model_of_ones_own_has_classes(own: RunPaths, tmp_path: Path) -> None:
    describe(own, model="brightness", space=str(tmp_path / "brightness.py"), class_names=["one"], hparams={})
    with pytest.raises(StorageError, match="has 1 classes, but the model 2"):
        predict(load_model(own), read_description(own), np.zeros((1, 28, 28), np.uint8))


def test_code_in_the_runs_own_folder_is_run_only_on_request(own: RunPaths) -> None:
    space = own.root / "space.py"
    space.write_text(BRIGHTNESS)
    describe(own, model="MODEL", space=str(space), class_names=["dark", "light"], hparams={})
    with pytest.raises(SpaceError, match="is not run unasked"):
        load_model(own)
    assert load_model(own, space=str(space))(torch.ones(1, 1, 28, 28)).tolist() == [[-1.0, 1.0]]


@pytest.mark.parametrize(
    ("has_weights", "message"),
    [
        (True, r"was given to tune\(\) as an object: give a file .*model\(space="),
        (False, r"is a training of its own .*state\(\)"),
    ],
)
def test_what_a_notebook_brought_as_an_object_is_named(own: RunPaths, has_weights: bool, message: str) -> None:
    description = json.loads(own.best_hparams.read_text()) | {"space": "notebook"}
    own.best_hparams.write_text(json.dumps(description))
    if not has_weights:
        own.best_model.unlink()
    with pytest.raises(SpaceError, match=message):
        load_model(own)


def test_a_space_that_is_gone_is_named(own: RunPaths) -> None:
    describe(own, model="MODEL", space="gone.py", hparams={})
    with pytest.raises(SpaceError, match=r"'gone\.py', but there is no such file"):
        load_model(own)
