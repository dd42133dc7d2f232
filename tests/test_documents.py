"""What the documents show runs as it stands."""

from __future__ import annotations

import sys
from dataclasses import asdict
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from PIL import Image

from tests.documents import REPOSITORY, blocks, sections, table_rows
from tuner import config, load_run, tune
from tuner.models import available_models, get_model
from tuner.presets import PRESETS, preset
from tuner.training.hparams import TrainingHparams

README = REPOSITORY / "README.md"
YOUR_OWN = REPOSITORY / "docs" / "your-own.md"
BUILT_IN = REPOSITORY / "docs" / "built-in.md"
COMMANDS = REPOSITORY / "docs" / "commands.md"
FEW: dict[str, Any] = {
    "preset": "smoke",
    "trials": 3,
    "max_epochs": 3,
    "retrain_epochs": 2,
    "retrain_seeds": 1,
    "in_process": True,
}
"""In one process, one trial after another: quick, and without Ray."""

pytestmark = pytest.mark.timeout(180)  # none takes long, but all together: begun early


def tuned(code: str, folder: Path, **values: Any) -> Any:
    """Return the run of a file with this code."""
    path = folder / "mine.py"
    path.write_text(code)
    return tune(**FEW, **values, space=str(path), storage=str(folder / "runs"), name="NAME")


def test_the_readme_is_short_and_its_snippets_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert len(README.read_text(encoding="utf-8").splitlines()) < 100
    mine, reading = blocks(README, "python")
    run = tuned(mine, tmp_path)
    assert run.final["split"].tolist()[:3] == ["train", "dev", "test"]
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    exec(reading, names)
    assert names["run"].path == Path("runs/NAME")
    assert names["run"].final["accuracy"].between(0, 1).all()


def test_the_script_and_what_it_becomes_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    script, loop, data, space, task, notebook = blocks(YOUR_OWN, "python")
    exec(script, {})
    assert len(capsys.readouterr().out.splitlines()) == 5
    for code in ("\n\n".join([loop, data, space]), "\n\n".join([loop, data, space, task])):
        folder = tmp_path / str(len(code))
        folder.mkdir()
        run = tuned(code, folder)
        assert run.trials["best_dev_accuracy"].notna().all()
        assert set(run.final["candidate"]) == {"tuned", "baseline"}
    assert 'budget="5m"' in notebook


def test_what_the_notebook_shows_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _, loop, data, space, task, notebook = blocks(YOUR_OWN, "python")
    monkeypatch.chdir(tmp_path)
    few = ", ".join(f"{name}={value!r}" for name, value in FEW.items())
    cells = tmp_path / "cells.py"
    cells.write_text("\n\n".join([loop, data, space, task, notebook.replace('budget="5m"', few)]))
    spec = spec_from_file_location("cells", cells)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "cells", module)
    spec.loader.exec_module(module)
    assert len(load_run(module.run.path).trials) == 3


def test_what_is_shown_for_the_built_in_loop_trains(tmp_path: Path) -> None:
    photos, own = blocks(BUILT_IN, "python")
    drawn = np.random.default_rng(0)
    for name in ("cat", "dog"):
        (tmp_path / "images" / name).mkdir(parents=True)
        for number in range(20):
            image = Image.fromarray(drawn.integers(0, 256, (40, 30, 3), dtype=np.uint8))
            image.save(tmp_path / "images" / name / f"{number}.png")
    run = tuned(photos, tmp_path, data_dir=str(tmp_path / "images"))
    assert run.trials["best_dev_accuracy"].notna().all()
    assert set(run.final["candidate"]) >= {"tuned", "baseline"}
    (tmp_path / "own").mkdir()
    assert tuned(own, tmp_path / "own").trials["best_dev_accuracy"].notna().all()


def test_every_hyperparameter_of_the_built_in_loop_and_its_models_is_listed_with_its_default() -> None:
    found = sections(BUILT_IN)
    loop = {row[0]: row[-1] for row in table_rows(found["Hyperparameters of the loop"])}
    assert loop == {f"`{name}`": f"`{default}`" for name, default in asdict(TrainingHparams()).items()}
    assert {row[0] for row in table_rows(found["Models by name"])} == {f"`{model}`" for model in available_models()}
    own = {(model, name): default for model, name, _, default in table_rows(found["Hyperparameters of the models"])}
    assert own == {
        (f"`{model}`", f"`{name}`"): f"`{default}`"
        for model in available_models()
        for name, default in (get_model(model).defaults or {}).items()
    }


def test_every_preset_is_described_with_its_budget_and_the_configuration_file_can_be_read() -> None:
    rows = {row[0].strip("`"): row for row in table_rows(sections(COMMANDS)["`tuner run`"])}
    assert list(rows) == list(PRESETS)
    for name, (_, _, time, retraining) in rows.items():
        budget, retrain = preset(name).budget, preset(name).retrain
        assert ("--budget" in time) is (budget is not None)
        assert f"`--budget {budget}`" in time or budget is None
        assert ("baseline" in retraining) is retrain.baseline
    (text,) = blocks(COMMANDS, "yaml")
    study = config.merge(preset("default"), config.nested(yaml.safe_load(text)), "night.yaml")
    assert (study.budget, study.resources.workers, study.retrain.retrain_seeds) == ("8h", 2, 3)
