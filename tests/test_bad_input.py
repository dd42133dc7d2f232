"""Fuzz tests: a configuration, a space file, a table or a results folder is read, or refused in a sentence.

Journals have theirs in `journal/test_damage.py`, checkpoints in `study/test_damaged_checkpoints.py`.
"""

from __future__ import annotations

import hashlib
import io
import json
import pickle
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from tests.metrics import metrics
from tests.results.conftest import AFTER
from tuner import config as configs
from tuner.config import StudyConfig
from tuner.engine.task import load_task
from tuner.errors import ConfigError, SpaceError, StorageError, TunerError
from tuner.io.files import write_json
from tuner.io.sources import Sources
from tuner.journal.events import EpochReported, StudyStarted, TrialProposed
from tuner.journal.store import JournalReader, JournalWriter
from tuner.loaded_run import load_run
from tuner.models import get_model
from tuner.paths import RunPaths
from tuner.predict import run as predict
from tuner.replay import replay
from tuner.report import report, story
from tuner.search.space import SearchSpace, find_space
from tuner.search.trial import Origin
from tuner.training.checkpoints import save_model

FUZZ = settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
NARROW = {name: 8 for name in get_model("cnn").defaults or {} if name.endswith("_width")}

# Configurations.

KEYS = st.sampled_from(
    ["space", "budget", "seed", "name", "data", "search", "resources", "retrain", "trials", "workers", "trial_timeout"]
) | st.text(max_size=4)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=6) | st.sampled_from(["1h", "0s", "-1"]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=8,
)


def check_or_refuse(make: Callable[[], StudyConfig]) -> None:
    """Only a ConfigError of one line may refuse."""
    try:
        configs.check(make())
    except ConfigError as error:
        assert str(error).strip()  # noqa: PT017 - refusing is one of two right answers


@FUZZ
@given(st.dictionaries(KEYS, VALUES, max_size=4))
def test_any_values_make_a_configuration_or_are_refused(values: dict[str, Any]) -> None:
    check_or_refuse(lambda: configs.from_dict(values, "fuzz"))
    check_or_refuse(lambda: configs.merge(StudyConfig(), values, "fuzz"))


@pytest.mark.parametrize("section", ["", None, 3])
def test_a_part_that_is_none_beside_an_argument_that_belongs_into_it_is_refused(section: object) -> None:
    with pytest.raises(ConfigError, match=r"fuzz: search is .*, but trials, which is also given, belongs into it"):
        configs.merge(StudyConfig(), {"search": section, "trials": 3}, "fuzz")


@FUZZ
@given(st.sampled_from([".json", ".yaml", ".toml"]), st.binary(max_size=60) | st.text(max_size=60).map(str.encode))
def test_any_file_is_a_configuration_or_is_refused(tmp_path: Path, suffix: str, content: bytes) -> None:
    file = tmp_path / f"any{suffix}"
    file.write_bytes(content)
    check_or_refuse(lambda: configs.merge(StudyConfig(), configs.read_file(file), str(file)))


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("deep.json", "[" * 100_000),
        ("deep.yaml", "[" * 20_000),
        ("deep.toml", "a = " + "[" * 20_000),
        ("itself.yaml", "data: &a {data: *a}"),
        ("code.yaml", "space: !!python/object/apply:os.system ['exit 3']"),
        ("number.json", '{"seed": 1' + "0" * 5000 + "}"),
        ("never.yaml", "seed: 2026-99-99"),
    ],
)
def test_a_configuration_file_made_to_hurt_is_refused(tmp_path: Path, name: str, content: str) -> None:
    file = tmp_path / name
    file.write_text(content)
    with pytest.raises(ConfigError):
        configs.check(configs.merge(StudyConfig(), configs.read_file(file), str(file)))


# Space files.

GOOD_SPACE = """
MODEL = 'cnn'
START = [{'shift': 1}]
def suggest(trial):
    return {'shift': trial.suggest_int('shift', 0, 2)}
"""


def checked(file: Path) -> SearchSpace:
    task = load_task(str(file))
    task.check()
    return task.space


@FUZZ
@given(st.data())
def test_a_damaged_space_file_is_refused_or_still_a_space(tmp_path: Path, data: st.DataObject) -> None:
    place, cut = data.draw(st.integers(0, len(GOOD_SPACE))), data.draw(st.integers(0, 8))
    noise = data.draw(st.text(max_size=4) | st.sampled_from(["\0", "\\", "'", "(", "\t", "1/0", "None"]))
    file = tmp_path / "space.py"
    file.write_text(GOOD_SPACE[:place] + noise + GOOD_SPACE[place + cut :], encoding="utf-8", errors="replace")
    with suppress(SpaceError, ConfigError):  # the second: the name of a model that there is not
        checked(file)


@pytest.mark.parametrize(
    "changed",
    [
        "raise SystemExit\n",
        "import sys\nsys.exit(0)\n",
        "raise RuntimeError\n",
        "import no_such_module\n",
        "START = []\n",
        "START = 'abc'\n",
        "START = [3]\n",
        "START = [{1: 2}]\n",
        "START = [{'shift': 99}]\n",
        "START = [{'shift': None}]\n",
        "PRIOR = 3\n",
        "PRIOR = {1: 2}\n",
        "PRIOR = {'shift': 99}\n",
        "PRIOR = {'shift': None}\n",
        "PRIOR = {'unheard': 1}\n",
        "MODEL = 3\n",
        "suggest = None\n",
        "def suggest(trial):\n    return None\n",
        "def suggest(trial):\n    raise SystemExit\n",
        "def suggest(trial):\n    return {1: 2}\n",
        "def suggest(trial):\n    return {'shift': 1, 'unheard': 2}\n",
        "def suggest(trial):\n    return trial.suggest_int('x', 3, 1)\n",
        "def suggest(trial, more):\n    return {}\n",
        "def suggest(trial):\n    return suggest(trial)\n",
    ],
)
def test_a_wrong_space_file_is_refused_in_a_sentence(tmp_path: Path, changed: str) -> None:
    file = tmp_path / "space.py"
    file.write_text(GOOD_SPACE + changed)
    with pytest.raises(SpaceError):
        checked(file)


# Results folders.


@pytest.fixture
def paths(tmp_path: Path) -> RunPaths:
    """A run with every file that is ever read back, checkpoints included."""
    paths = RunPaths(tmp_path / "run")
    config = configs.to_dict(replace(StudyConfig(), data=configs.DataConfig(dataset="digits")))
    with JournalWriter(paths.journal) as journal:
        journal.append(
            StudyStarted(config, {"dataset": "digits", "space_sha256": Sources.read(find_space("cnn")).sha256}),
            TrialProposed(0, {}, {}, {"lr": 0.1, "layers": 3, "flip": True}, Origin.START, 5),
            *(EpochReported(0, epoch, metrics(0.5, 0.8, 0.4, 0.9, 0.01), 2.0, "desk:1") for epoch in range(1, 40)),
            *AFTER,
        )
    write_json(paths.config, config)
    report(paths.root)
    save_model(get_model("cnn").build(NARROW), paths.best_model, {})
    names = {"model": "cnn", "space": "cnn", "dataset": "digits", "class_names": [str(label) for label in range(10)]}
    write_json(paths.best_hparams, names | {"mean": 0.1, "std": 0.2, "hparams": NARROW})
    return paths


TABLES = ("trials", "epochs", "final", "retrain_epochs")


@FUZZ
@given(st.data())
def test_a_damaged_table_is_refused_or_equal(paths: RunPaths, data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(TABLES))
    file: Path = getattr(paths, name)
    content = file.read_bytes()
    expected: pd.DataFrame = getattr(load_run(paths.root), name)
    assert not expected.empty
    place = data.draw(st.integers(0, len(content) - 1))
    damaged = data.draw(
        st.sampled_from(
            [content[:place], content[:place] + bytes([content[place] ^ 255]) + content[place + 1 :], content[place:]]
        )
    )
    try:
        file.write_bytes(damaged)
        with suppress(StorageError):
            found: pd.DataFrame = getattr(load_run(paths.root), name)
            assert found.shape == expected.shape
            assert found.to_numpy().tolist() == expected.to_numpy().tolist()
    finally:
        file.write_bytes(content)


class CreatesFileWhenUnpickled:
    """What a stranger could put into a results folder."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self._path,)


def torch_pickle(value: object) -> bytes:
    buffer = io.BytesIO()
    torch.save(value, buffer)
    return buffer.getvalue()


def arrow_pickle(value: object) -> bytes:
    """A table whose column claims to be a pickled type of Arrow's."""
    extension = {"ARROW:extension:name": "arrow.py_extension_type", "ARROW:extension:metadata": pickle.dumps(value)}
    buffer = io.BytesIO()
    pq.write_table(pa.table([[1]], pa.schema([pa.field("trial", pa.int64(), metadata=extension)])), buffer)
    return buffer.getvalue()


def read_everything(paths: RunPaths, image: Path) -> int:
    """Read the run in every way there is; return how often it was refused."""
    readers: list[Callable[[], Any]] = [
        lambda: story(paths.root),
        lambda: replay(paths.root),
        lambda: predict([str(paths.root), str(image)]),
        lambda: load_run(paths.root).hparams,
        lambda: load_run(paths.root).model(),
        *(lambda name=name: getattr(load_run(paths.root), name) for name in TABLES),
        lambda: JournalReader(paths.journal).read() or configs.read_file(paths.config),
        lambda: report(paths.root),
    ]
    refused = 0
    for read in readers:
        try:
            read()
        except TunerError:
            refused += 1
        except AssertionError:
            raise
        except Exception as error:
            # A replay stops at this journal's first decision, which nobody made.
            assert type(error).__name__ == "DivergenceError", error  # noqa: PT017
    return refused


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
@pytest.mark.parametrize("dump", [pickle.dumps, torch_pickle, arrow_pickle])
def test_a_malicious_pickle_in_the_place_of_any_file_never_runs(
    paths: RunPaths, tmp_path: Path, dump: Callable[[object], bytes], capsys: pytest.CaptureFixture[str]
) -> None:
    victim, image = tmp_path / "victim", tmp_path / "image.png"
    Image.new("L", (28, 28)).save(image)
    assert read_everything(paths, image) == 0
    content = dump(CreatesFileWhenUnpickled(victim))
    files = sorted(path for path in paths.root.rglob("*") if path.is_file())
    assert len(files) > 8
    refused = 0
    for file in files:
        before = file.read_bytes()
        file.write_bytes(content)
        refused += read_everything(paths, image)
        file.write_bytes(before)
        assert not victim.exists(), file
    assert refused >= 5
    # The trap works.
    pickle.loads(pickle.dumps(CreatesFileWhenUnpickled(victim)))
    assert victim.exists()


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
def test_an_image_that_is_a_pickle_is_refused(paths: RunPaths, tmp_path: Path) -> None:
    victim, image = tmp_path / "victim", tmp_path / "image.png"
    image.write_bytes(pickle.dumps(CreatesFileWhenUnpickled(victim)))
    with pytest.raises(TunerError, match="not an image"):
        predict([str(paths.root), str(image)])
    assert not victim.exists()


@FUZZ
@given(st.data())
def test_a_damaged_description_of_the_best_model_is_refused_or_read(paths: RunPaths, data: st.DataObject) -> None:
    content = paths.best_hparams.read_bytes()
    values = json.loads(content)
    name = data.draw(st.sampled_from(sorted(values)))
    values[name] = data.draw(VALUES)
    try:
        paths.best_hparams.write_text(json.dumps(values))
        with suppress(TunerError):
            load_run(paths.root).model()
    finally:
        paths.best_hparams.write_bytes(content)


def test_the_hash_in_a_checkpoints_name_is_no_permission_to_run_it(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    content = torch_pickle({"model": CreatesFileWhenUnpickled(victim)})
    file = tmp_path / f"epoch-00001-{hashlib.sha256(content).hexdigest()}.pt"
    file.write_bytes(content)
    with pytest.raises(Exception, match="weights_only"):
        torch.load(file, weights_only=True)
    assert not victim.exists()
