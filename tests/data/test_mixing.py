"""Tests of `tuner.data.mixing`: what a mixed batch is made of, and in which shares."""

from __future__ import annotations

import pytest
import torch

from tuner.data.mixing import Mixed, Mixing

N, SIDE = 20, 8


def mix(mixing: Mixing, seed: int = 0) -> Mixed:
    """Mix images of which image k is filled with k; the label is k too."""
    labels = torch.arange(N)
    images = labels.float()[:, None, None, None].expand(N, 1, SIDE, SIDE).clone()
    return mixing(images, labels, torch.Generator().manual_seed(seed))


def test_nothing_is_mixed_or_drawn_by_default() -> None:
    generator = torch.Generator().manual_seed(0)
    before = generator.get_state()
    images = torch.rand(4, 1, 2, 2)
    mixed = Mixing()(images, torch.arange(4), generator)
    assert mixed.inputs is images
    assert mixed.share == 1.0
    assert torch.equal(generator.get_state(), before)


@pytest.mark.parametrize("mixing", [Mixing(mixup=0.5), Mixing(cutmix=1.0), Mixing(mixup=1.0, cutmix=1.0)])
def test_every_example_holds_its_two_classes_in_their_shares(mixing: Mixing) -> None:
    for seed in range(20):
        mixed = mix(mixing, seed)
        assert 0.5 <= mixed.share <= 1.0
        expected = mixed.share * mixed.labels + (1.0 - mixed.share) * mixed.others
        torch.testing.assert_close(mixed.inputs.mean((1, 2, 3)), expected, rtol=1e-4, atol=1e-4)


def test_mixup_blends_and_cutmix_pastes() -> None:
    blended, pasted = mix(Mixing(mixup=1.0)), mix(Mixing(cutmix=1.0), seed=1)
    assert all(len(set(image.flatten().tolist())) == 1 for image in blended.inputs)
    pair = zip(pasted.inputs, pasted.labels.tolist(), pasted.others.tolist(), strict=True)
    assert all(set(image.flatten().tolist()) == {label, other} for image, label, other in pair)


def test_with_both_kinds_each_batch_draws_one() -> None:
    kinds = {len(set(mix(Mixing(mixup=1.0, cutmix=1.0), seed).inputs[1].flatten().tolist())) for seed in range(20)}
    assert kinds == {1, 2}


def test_batches_at_rest_are_left_alone() -> None:
    images = torch.rand(N, 1, SIDE, SIDE)
    before = images.clone()
    for mixing in (Mixing(mixup=1.0), Mixing(cutmix=1.0)):
        mixing(images, torch.arange(N), torch.Generator().manual_seed(0))
    assert torch.equal(images, before)


def test_the_generator_alone_decides() -> None:
    one, again, other = (mix(Mixing(mixup=1.0), seed) for seed in (1, 1, 2))
    assert torch.equal(one.inputs, again.inputs)
    assert not torch.equal(one.inputs, other.inputs)
