"""Tests of `tuner.presets`: what each promises in its help."""

from __future__ import annotations

import inspect
import socket

import pytest

from tuner.data import load_dataset
from tuner.presets import PRESETS, preset


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_is_a_function_of_its_name_with_a_line_of_help(name: str) -> None:
    make = PRESETS[name]
    assert make.__name__ == name
    assert preset(name) == make()
    help_text = inspect.getdoc(make)
    assert help_text is not None
    assert help_text.endswith(".")
    assert "\n" not in help_text


def test_smoke_needs_no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: object) -> None:
        raise AssertionError("the network was asked")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)
    config = preset("smoke")
    assert load_dataset(config.data.dataset, config.data.data_dir).name == "digits"
    assert config.budget is None
    assert config.retrain.baseline


def test_quick_and_default_have_the_budgets_they_tell_of() -> None:
    assert preset("quick").budget_seconds == 30 * 60
    assert preset("default").budget_seconds == 2 * 3600
    assert (preset("default").retrain.retrain_seeds, preset("default").retrain.baseline) == (2, True)


def test_full_has_the_counts_it_tells_of() -> None:
    config = preset("full")
    assert (config.budget, config.search.trials, config.search.max_epochs) == (None, 128, 81)
    assert (config.retrain.retrain_seeds, config.retrain.baseline) == (5, True)
