"""Tests of `tuner.engine.ingredients`: what the user should know of before anything is trained."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.engine.test_own_task import GENERATOR, SOURCE
from tuner.config import merge
from tuner.engine.ingredients import gather
from tuner.engine.task import load_configured
from tuner.presets import preset


@pytest.mark.parametrize(
    ("source", "resource", "is_told"),
    [(GENERATOR, "seconds", True), (GENERATOR, "epochs", False), (SOURCE, "seconds", False)],
)
def test_who_plans_by_the_epochs_to_come_is_told_that_by_cost_they_are_not_known(
    tmp_path: Path, source: str, resource: str, is_told: bool
) -> None:
    (tmp_path / "line.py").write_text(source)
    config = merge(preset("smoke"), {"space": str(tmp_path / "line.py"), "resource": resource}, "test")
    notices = gather(config, load_configured(config), ()).notices
    assert any(notice.startswith("with --resource seconds") for notice in notices) is is_told
