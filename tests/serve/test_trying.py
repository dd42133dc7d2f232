"""Tests of `tuner.serve.trying`: a real model asked over a real socket, and pictures that are none."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from tests.browser import violations, watched
from tests.serve.conftest import Serve, Served
from tuner.errors import DataError
from tuner.io.files import write_json
from tuner.journal.events import StudyStarted
from tuner.journal.store import JournalWriter
from tuner.models import get_model
from tuner.paths import RunPaths
from tuner.predict import load_model, predict
from tuner.results.best import read_description
from tuner.serve.trying import decode
from tuner.training.checkpoints import save_model

if TYPE_CHECKING:
    from playwright.sync_api import Browser

NARROW = {name: 8 for name in get_model("cnn").defaults or {} if name.endswith("_width")}
CLASSES = [f"class {number}" for number in range(10)]


def png(image: Image.Image, kind: str = "PNG") -> bytes:
    made = io.BytesIO()
    image.save(made, kind)
    return made.getvalue()


@pytest.fixture
def paths(tmp_path: Path) -> RunPaths:
    """A run with an untrained model."""
    paths = RunPaths(tmp_path / "run")
    with JournalWriter(paths.journal) as journal:
        journal.append(StudyStarted({}, {}))
    spec = get_model("cnn")
    hparams = {**(spec.defaults or {}), **NARROW}
    paths.best.mkdir()
    save_model(spec.build(hparams), paths.best_model, {})
    described = {"model": "cnn", "space": "cnn", "dataset": "digits", "hparams": hparams, "mean": 0.3, "std": 0.4}
    write_json(paths.best_hparams, {**described, "class_names": CLASSES})
    return paths


@pytest.fixture
def served(paths: RunPaths, serve: Serve) -> Served:
    return serve(paths.root.parent, with_try=True)


def test_the_answer_is_the_one_of_predict(served: Served, paths: RunPaths) -> None:
    picture = Image.fromarray(np.arange(784, dtype=np.uint8).reshape(28, 28))
    found = served.ask("/api/runs/run/predict", "POST", {"Content-Type": "image/png"}, png(picture)).json()
    (expected,) = predict(load_model(paths), read_description(paths), np.array(picture)[None])
    assert found["class"] == expected.class_name
    assert found["probabilities"] == pytest.approx(expected.probabilities)
    assert sum(found["probabilities"].values()) == pytest.approx(1)
    assert served.ask("/api/runs/run/model").json() == {"classes": CLASSES, "dataset": "digits"}


def test_a_picture_that_is_dark_on_light_is_turned_round() -> None:
    picture = Image.fromarray(np.arange(784, dtype=np.uint8).reshape(28, 28))
    turned = Image.fromarray(255 - np.asarray(picture))
    assert np.array_equal(decode(png(turned), invert=True), decode(png(picture), invert=False))


def bomb(width: int, height: int) -> bytes:
    """Return the beginning of a PNG of that size: its first bytes say how large the whole would be."""
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", header) + _chunk(b"IDAT", zlib.compress(bytes(100)))


def _chunk(kind: bytes, content: bytes) -> bytes:
    checked = kind + content
    return struct.pack(">I", len(content)) + checked + struct.pack(">I", zlib.crc32(checked))


@pytest.mark.parametrize(
    ("picture", "sentence"),
    [
        (b"no picture", "the picture cannot be read as an image: not an image"),
        (bomb(6000, 7000), "the picture has 6000 x 7000 pixels, but 40,000,000 are allowed"),
        (bomb(60_000, 70_000), "the picture cannot be read as an image"),
        (bomb(28, 28), "the picture cannot be read as an image"),
        (png(Image.new("L", (9, 9)), "TIFF"), "the picture cannot be read as an image: not an image"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "not an image"),
    ],
)
def test_what_is_no_picture_that_we_take_is_told_before_it_is_decoded(picture: bytes, sentence: str) -> None:
    with pytest.raises(DataError, match=sentence):
        decode(picture, invert=False)


def test_what_is_sent_is_bounded_and_answered_in_a_sentence(served: Served) -> None:
    path = "/api/runs/run/predict"
    assert served.ask(path, "POST", body=b"").json()["error"].startswith("There is no picture")
    damaged = served.ask(path, "POST", body=b"x" * 1000)
    assert damaged.status == 400
    assert damaged.json() == {"error": "the picture cannot be read as an image: not an image."}
    large = served.ask(path, "POST", body=b"x" * (11 << 20))
    assert (large.status, large.json()) == (413, {"error": "The picture has more than 10 MiB."})
    assert served.ask("/api/runs/nobody/predict", "POST", body=b"x").status == 404


def test_no_other_site_can_send_a_picture(served: Served) -> None:
    picture = png(Image.new("L", (28, 28)))
    for origin in ("https://evil.example", "null", f"http://127.0.0.1:{served.port + 1}"):
        assert served.ask("/api/runs/run/predict", "POST", {"Origin": origin}, picture).status == 403
    assert served.ask("/api/runs/run/predict", "POST", {"Origin": served.address}, picture).status == 200
    assert served.ask("/api/runs/run/predict").status == 405


def test_a_run_without_a_model_says_so(served: Served, paths: RunPaths) -> None:
    paths.best_hparams.unlink()
    answer = served.ask("/api/runs/run/model")
    assert answer.status == 400
    assert "holds no retrained model" in answer.json()["error"]


def test_a_picture_is_drawn_and_answered(browser: Browser, served: Served) -> None:
    with watched(browser) as page:
        page.goto(f"{served.address}/runs/run/try")
        page.locator("#board").wait_for()  # until the page knows what the model takes
        box = page.locator("#board").bounding_box()
        assert box is not None
        page.mouse.move(box["x"] + 90, box["y"] + 60)
        page.mouse.down()
        page.mouse.move(box["x"] + 150, box["y"] + 220, steps=5)
        page.mouse.up()
        page.locator("#probabilities li").nth(9).wait_for()
        assert "class " in (page.locator("#answer").text_content() or "")
        assert violations(page) == []
        chosen = png(Image.new("L", (40, 20), 200))
        with page.expect_response("**/predict?*") as answered:
            page.locator("#file").set_input_files({"name": "picture.png", "mimeType": "image/png", "buffer": chosen})
        assert answered.value.ok
