"""A small search space without a model, and drivers for searches."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tuner.search.space import SearchSpace, load_space

SPACE = """
MODEL = "cnn"
START = [{"x": 0.5, "kind": "a"}, {"x": 0.25, "kind": "b", "y": 3}]


def suggest(trial):
    hparams = {"x": trial.suggest_float("x", 0.0, 1.0), "kind": trial.suggest_categorical("kind", ["a", "b"])}
    if hparams["kind"] == "b":
        hparams["y"] = trial.suggest_int("y", 1, 8)
    return hparams
"""


@pytest.fixture
def make_space(tmp_path: Path) -> Callable[[str], SearchSpace]:
    """Load a space from its source."""

    def make(source: str) -> SearchSpace:
        path = tmp_path / "space.py"
        path.write_text(source)
        return load_space(str(path))

    return make


@pytest.fixture
def space(make_space: Callable[[str], SearchSpace]) -> SearchSpace:
    """A space with a conditional parameter and two start configurations."""
    return make_space(SPACE)
