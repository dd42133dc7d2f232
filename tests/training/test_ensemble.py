"""Tests of `tuner.training.ensemble` against means of probabilities computed by hand."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from tuner.training.ensemble import Ensemble, Mirrored


class Fixed(nn.Module):
    """Gives everyone the same logits."""

    def __init__(self, *logits: float) -> None:
        super().__init__()
        self.logits = torch.tensor([logits])

    def forward(self, inputs: Tensor) -> Tensor:
        return self.logits.expand(len(inputs), -1)


class LeftHalf(nn.Module):
    """Class 0's logit is what the left half of the image holds, class 1's is 0."""

    def forward(self, images: Tensor) -> Tensor:
        left = images[..., : images.shape[-1] // 2].sum((1, 2, 3))
        return torch.stack([left, torch.zeros_like(left)], 1)


def test_an_ensemble_answers_with_the_mean_of_probabilities() -> None:
    # Probabilities 0.8 and 0.2, 0.4 and 0.6.
    one, other = Fixed(0.8, 0.2), Fixed(0.4, 0.6)
    for member in (one, other):
        member.logits = member.logits.log() + 3.0  # a shift of logits changes no probability
    answer = Ensemble([one, other])(torch.zeros(5, 1)).softmax(1)
    torch.testing.assert_close(answer, torch.tensor([[0.6, 0.4]]).expand(5, 2))


def test_an_ensemble_of_one_answers_as_it_does() -> None:
    logits = torch.randn(7, 3)
    member = nn.Identity()
    torch.testing.assert_close(Ensemble([member])(logits).softmax(1), logits.softmax(1))


def test_a_mirrored_model_answers_alike_to_an_image_and_its_mirror_image() -> None:
    images = torch.rand(4, 1, 6, 6)
    model = Mirrored(LeftHalf())
    torch.testing.assert_close(model(images), model(images.flip(-1)))
    expected = (LeftHalf()(images).softmax(1) + LeftHalf()(images.flip(-1)).softmax(1)) / 2
    torch.testing.assert_close(model(images).softmax(1), expected)


class Spoiling(LeftHalf):
    """Answers, and leaves nothing of what it was given."""

    def forward(self, images: Tensor) -> Tensor:
        answer = super().forward(images)
        images.zero_()
        return answer


def test_a_model_that_writes_into_its_inputs_spoils_no_other_answer() -> None:
    images = torch.rand(4, 1, 6, 6)
    mirrored, together = Mirrored(LeftHalf())(images), Ensemble([LeftHalf(), LeftHalf()])(images)
    torch.testing.assert_close(Mirrored(Spoiling())(images.clone()), mirrored)
    torch.testing.assert_close(Ensemble([Spoiling(), Spoiling()])(images.clone()), together)
