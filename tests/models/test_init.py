"""Tests of `tuner.models`: the registry, and the contract that every model keeps."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
import torch
from torch import nn

from tuner.errors import ConfigError
from tuner.models import available_models, get_model


def my_model(hparams: Mapping[str, Any]) -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(784, hparams["width"]))


def test_an_unknown_name_lists_those_that_exist() -> None:
    with pytest.raises(ConfigError, match=r"model is 'vgg', but must be one of: cnn, resnet, small-cnn."):
        get_model("vgg")


def test_a_helper_module_is_not_a_model() -> None:
    assert available_models() == ["cnn", "resnet", "small-cnn"]
    with pytest.raises(ConfigError):
        get_model("summary")


def test_a_users_callable_is_taken_as_it_is() -> None:
    spec = get_model(my_model)
    assert (spec.name, spec.defaults) == ("my_model", None)
    assert spec.build({"width": 3})(torch.zeros(2, 1, 28, 28)).shape == (2, 3)


def test_changing_a_specs_defaults_leaves_the_model_alone() -> None:
    spec = get_model("cnn")
    assert spec.defaults is not None
    spec.defaults["stem1_width"] = 1
    assert get_model("cnn").defaults != spec.defaults


@pytest.mark.parametrize("name", available_models())
def test_every_model_maps_images_to_logits_and_ignores_foreign_hyperparameters(name: str) -> None:
    spec = get_model(name)
    assert spec.defaults
    model = spec.build({**spec.defaults, "learning_rate": 0.01})
    logits = model(torch.rand(2, 1, 28, 28))
    assert logits.shape == (2, 10)
    assert logits.dtype == torch.float32
    assert bool(logits.isfinite().all())


@pytest.mark.parametrize("name", available_models())
def test_every_model_can_be_trained_by_its_gradient(name: str) -> None:
    model = get_model(name).build({})
    loss = nn.functional.cross_entropy(model(torch.rand(4, 1, 28, 28)), torch.arange(4))
    torch.autograd.backward(loss)
    assert all(weight.grad is not None and weight.grad.isfinite().all() for weight in model.parameters())


@pytest.mark.parametrize("name", available_models())
def test_every_model_is_the_same_in_channels_last(name: str) -> None:
    torch.manual_seed(0)
    model, images = get_model(name).build({}).eval(), torch.rand(2, 1, 28, 28)
    with torch.no_grad():
        expected = model(images)
        model.to(memory_format=torch.channels_last)
        found = model(images.to(memory_format=torch.channels_last))
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)
