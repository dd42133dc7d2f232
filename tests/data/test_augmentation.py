"""Tests of `tuner.data.augmentation`."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from tuner.data.augmentation import Augmentation
from tuner.errors import ConfigError

EVERYTHING = Augmentation(flip=True, shift=2, erasing=0.5)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def random_images(n: int) -> Tensor:
    """Images without a zero, so that a zero in the result was put there."""
    return torch.rand(n, 1, 28, 28, generator=seeded(99)) + 0.5


def moved(image: Tensor, down: int, right: int) -> Tensor:
    """One image [1, 28, 28] moved by whole pixels, written with loops as a reference."""
    result = torch.zeros_like(image)
    for row in range(28):
        for column in range(28):
            if 0 <= row - down < 28 and 0 <= column - right < 28:
                result[0, row, column] = image[0, row - down, column - right]
    return result


def test_no_augmentation_returns_the_images_and_draws_nothing() -> None:
    images, generator = random_images(3), seeded()
    assert torch.equal(Augmentation()(images, generator), images)
    assert torch.equal(generator.get_state(), seeded().get_state())


def test_a_flipped_image_is_mirrored_and_about_half_are_flipped() -> None:
    images = random_images(1000)
    result = Augmentation(flip=True)(images, seeded())
    same = (result == images).flatten(1).all(1)
    mirrored = (result == images.flip(-1)).flatten(1).all(1)
    assert bool((same ^ mirrored).all())
    # 1,000 fair coins: beyond 6 standard deviations of 15.8 something is wrong.
    assert 405 < int(mirrored.sum()) < 595


def test_an_image_is_moved_by_whole_pixels_and_black_moves_in() -> None:
    images = random_images(60)
    result = Augmentation(shift=2)(images, seeded())
    offsets = [(down, right) for down in range(-2, 3) for right in range(-2, 3)]
    candidates = {offset: moved(images[0], *offset) for offset in offsets}
    assert sum(torch.equal(result[0], candidate) for candidate in candidates.values()) == 1
    for image, changed in zip(images[1:20], result[1:20], strict=True):
        assert any(torch.equal(changed, moved(image, *offset)) for offset in offsets)


def test_every_offset_up_to_the_shift_occurs_and_none_beyond() -> None:
    point = torch.zeros(2000, 1, 28, 28)
    point[:, 0, 14, 14] = 1.0
    result = Augmentation(shift=2)(point, seeded())
    found = {(row - 14, column - 14) for _, _, row, column in result.nonzero().tolist()}
    assert found == {(down, right) for down in range(-2, 3) for right in range(-2, 3)}


def test_what_is_erased_is_one_black_rectangle_of_the_papers_size() -> None:
    result = Augmentation(erasing=1.0)(random_images(500), seeded())
    for image in result[:, 0]:
        rows, columns = (image == 0).any(1), (image == 0).any(0)
        assert torch.equal(image == 0, rows[:, None] & columns[None, :])
        height, width = int(rows.sum()), int(columns.sum())
        assert int(rows.nonzero()[-1] - rows.nonzero()[0]) + 1 == height
        assert int(columns.nonzero()[-1] - columns.nonzero()[0]) + 1 == width
        # Rounding to whole pixels moves each side by up to half a pixel.
        assert height * width >= 0.01 * 784
        assert (height - 0.5) * (width - 0.5) <= 0.33 * 784


def test_the_share_of_erased_images_is_the_probability() -> None:
    result = Augmentation(erasing=0.25)(random_images(2000), seeded())
    erased = int((result == 0).flatten(1).any(1).sum())
    # Standard deviation of the count is 19.4.
    assert 384 < erased < 616


def test_erased_rectangles_reach_every_corner() -> None:
    result = Augmentation(erasing=1.0)(random_images(3000), seeded())
    for row in (0, 27):
        for column in (0, 27):
            assert bool((result[:, 0, row, column] == 0).any())


def test_images_draw_for_themselves() -> None:
    same = random_images(1).expand(50, 1, 28, 28)
    result = EVERYTHING(same, seeded())
    assert len({image.numpy().tobytes() for image in result}) > 40


def test_the_same_generator_state_gives_the_same_images_and_another_gives_others() -> None:
    images = random_images(20)
    assert torch.equal(EVERYTHING(images, seeded(1)), EVERYTHING(images, seeded(1)))
    assert not torch.equal(EVERYTHING(images, seeded(1)), EVERYTHING(images, seeded(2)))


def test_torchs_global_randomness_is_not_touched() -> None:
    before = torch.get_rng_state()
    EVERYTHING(random_images(4), seeded())
    assert torch.equal(torch.get_rng_state(), before)


def test_the_images_given_are_not_changed() -> None:
    images = random_images(10)
    before = images.clone()
    EVERYTHING(images, seeded())
    assert torch.equal(images, before)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_memory_format_makes_no_difference_and_the_type_is_kept(dtype: torch.dtype) -> None:
    images = random_images(8).to(dtype)
    last = images.to(memory_format=torch.channels_last)
    result = EVERYTHING(last, seeded())
    assert result.dtype == dtype
    assert result.shape == images.shape
    assert result.is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(result, EVERYTHING(images, seeded()))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_cpu_generator_gives_the_same_images_on_a_gpu() -> None:
    images = random_images(64)
    assert torch.equal(EVERYTHING(images.cuda(), seeded()).cpu(), EVERYTHING(images, seeded()))


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"shift": -1}, "shift is -1, but must be a whole number of pixels between 0 and 14."),
        ({"shift": 15}, "shift is 15, but must be a whole number of pixels between 0 and 14."),
        ({"shift": 1.5}, "shift is 1.5, but must be a whole number of pixels between 0 and 14."),
        ({"erasing": -0.1}, "erasing is -0.1, but must be a probability between 0 and 1."),
        ({"erasing": 1.1}, "erasing is 1.1, but must be a probability between 0 and 1."),
        ({"erasing": float("nan")}, "erasing is nan, but must be a probability between 0 and 1."),
    ],
)
def test_an_impossible_value_is_refused(arguments: dict[str, float], sentence: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Augmentation(**arguments)  # type: ignore[arg-type]
    assert str(caught.value) == sentence
