"""Tests of `tuner.training.initialise`."""

from __future__ import annotations

import torch
from torch import nn

from tuner.models import get_model
from tuner.models.cnn import REFERENCE_SHAPE
from tuner.training.initialise import build_seeded

HPARAMS = {"stem1_width": 4, "dense1_width": 8, "head_width": 4}


def weights(seed: int) -> torch.Tensor:
    return nn.utils.parameters_to_vector(
        build_seeded(get_model("cnn").build, HPARAMS, REFERENCE_SHAPE, seed).parameters()
    )


def test_equal_seeds_give_equal_weights_and_others_do_not() -> None:
    first = weights(3)
    torch.rand(5)
    assert torch.equal(first, weights(3))
    assert not torch.equal(first, weights(4))


def test_the_callers_random_state_is_left_alone() -> None:
    before = torch.get_rng_state()
    weights(3)
    assert torch.equal(torch.get_rng_state(), before)
