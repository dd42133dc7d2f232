"""Cutting batches out of the uint8 images and normalising them on the fly."""

from __future__ import annotations

import warnings
from collections.abc import Iterator

import torch
from torch import Tensor

from tuner.data.augmentation import Augmentation
from tuner.data.splits import PIXEL_MAX, Split


class Batches:
    """A split as normalised float batches [n, 1, 28, 28]; the images stay uint8, on a GPU in its memory."""

    def __init__(self, split: Split, mean: float, std: float, device: torch.device) -> None:
        """Take the split and the train split's pixel moments; on CPU nothing is copied."""
        with warnings.catch_warnings():
            # Ray maps arrays read-only; torch warns, but nothing here writes to them.
            warnings.filterwarnings("ignore", message=".*not writable.*")
            self._images = torch.from_numpy(split.images).unsqueeze(1).to(device)
            self._labels = torch.from_numpy(split.labels).to(device)
        self._mean = mean
        self._std = std
        self._device = device

    def __len__(self) -> int:
        return len(self._labels)

    def in_order(self, batch_size: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield every image once, in order, for evaluation."""
        for start in range(0, len(self), batch_size):
            stop = start + batch_size
            yield self._normalised(self._images[start:stop].float() / PIXEL_MAX), self._labels[start:stop]

    def shuffled(
        self, batch_size: int, augmentation: Augmentation, generator: torch.Generator
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield every image once, in an order and with changes drawn from `generator` (on the CPU)."""
        order = torch.randperm(len(self), generator=generator)
        for chosen in _cut(order, batch_size):
            index = chosen.to(self._device)
            images = augmentation(self._images[index].float() / PIXEL_MAX, generator)
            yield self._normalised(images), self._labels[index]

    def _normalised(self, images: Tensor) -> Tensor:
        scaled = (images - self._mean) / self._std
        return scaled.contiguous(memory_format=torch.channels_last)


def _cut(order: Tensor, batch_size: int) -> list[Tensor]:
    """Cut into batches; a last one of a single image, on which batch norm cannot train, joins the one before."""
    batches = list(torch.split(order, batch_size))
    if len(batches) > 1 and len(batches[-1]) == 1:
        batches[-2:] = [torch.cat(batches[-2:])]
    return batches
