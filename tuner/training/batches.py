"""Cutting batches out of arrays; pixels are normalised on the fly."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tuner.data.augmentation import Augmentation
from tuner.data.splits import PIXEL_MAX, Split


@dataclass(frozen=True)
class Normalisation:
    """Subtracts a mean and divides by a standard deviation, for all pixels or for each channel."""

    mean: Sequence[float]
    std: Sequence[float]

    @staticmethod
    def of(train: Split) -> Normalisation | None:
        """Return what makes the train split's pixels 0 on average with a deviation of 1; None if it has no pixels."""
        if not train.has_pixels:
            return None
        mean, std = zip(*train.channel_moments, strict=True)
        return Normalisation(mean, [value or 1.0 for value in std])  # if all are alike there is nothing to scale by

    def __call__(self, pixels: Tensor) -> Tensor:
        """Return normalised pixels of [n, ...], scaled to [0, 1]; of [n, channels, height, width] if by channel."""
        if len(self.mean) == 1:
            return (pixels - self.mean[0]) / self.std[0]
        mean, std = (pixels.new_tensor(values).view(1, -1, 1, 1) for values in (self.mean, self.std))
        return (pixels - mean) / std


def blank_inputs(split: Split, n: int) -> Tensor:
    """Return `n` inputs of a split's shape as a model takes them, all zeros."""
    inputs = torch.zeros(n, *split.input_shape)
    return inputs.long() if split.tokens else inputs


class Batches:
    """A split in batches as a model takes them; the arrays stay as they are, on a GPU in its memory.

    Pixels (uint8) become float32, scaled to [0, 1] and normalised, and [n, height, width] get their channel. Floats
    become float32 as they are, for only their author knows their scale. Other integers are tokens: int64.
    """

    def __init__(
        self,
        split: Split,
        normalisation: Normalisation | None,
        device: torch.device,
        memory_format: torch.memory_format = torch.contiguous_format,
    ) -> None:
        """Take the split and what pixels are normalised by; on CPU nothing is copied."""
        with warnings.catch_warnings():
            # Ray maps arrays read-only; torch warns, but nothing here writes to them.
            warnings.filterwarnings("ignore", message=".*not writable.*")
            inputs = torch.from_numpy(_for_torch(split.images)).to(device)
            self._labels = torch.from_numpy(_for_torch(split.labels)).to(device)
        self._inputs = inputs.view(len(split), *split.input_shape)
        self._is_tokens = split.tokens is not None
        self._normalisation = normalisation
        self._device = device
        self._memory_format = memory_format

    def __len__(self) -> int:
        return len(self._labels)

    @property
    def input_shape(self) -> tuple[int, ...]:
        """One input's shape as a model takes it."""
        return tuple(self._inputs.shape[1:])

    def in_order(self, batch_size: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield every example once, in order, for evaluation."""
        for start in range(0, len(self), batch_size):
            chosen = slice(start, start + batch_size)
            inputs = self._normalised(self._scaled(self._inputs[chosen]))
            if inputs.untyped_storage().data_ptr() == self._inputs.untyped_storage().data_ptr():
                inputs = inputs.clone()  # a model may write into what it is given, and these are the data themselves
            yield inputs, self._labels[chosen]

    def drawn(self, n: int, batch_size: int) -> Iterator[Tensor]:
        """Yield the inputs of `n` examples, or of all if they are fewer, always the same.

        They are drawn by chance: however the examples lie, class by class or in turn, no batch is of one class.
        """
        order = torch.randperm(len(self), generator=torch.Generator().manual_seed(0))
        for index in _cut(order[:n], batch_size):
            yield self._normalised(self._scaled(self._inputs[index.to(self._device)]))

    def shuffled(
        self, batch_size: int, augmentation: Augmentation, generator: torch.Generator
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield every example once, in an order and with changes drawn from `generator` (on the CPU)."""
        order = torch.randperm(len(self), generator=generator)
        for chosen in _cut(order, batch_size):
            # What the CPU draws follows the GPU's work from afar; waiting for each batch would take half of the time.
            index = chosen.to(self._device, non_blocking=True)
            inputs = augmentation(self._scaled(self._inputs[index]), generator)
            yield self._normalised(inputs), self._labels[index]

    def steps(self, batch_size: int) -> int:
        """Return into how many batches an epoch is cut."""
        whole, rest = divmod(len(self), batch_size)
        return max(1, whole + (rest > 1))

    def _scaled(self, inputs: Tensor) -> Tensor:
        if inputs.dtype is torch.uint8:
            return inputs.float() / PIXEL_MAX
        return inputs.long() if self._is_tokens else inputs.float()

    def _normalised(self, inputs: Tensor) -> Tensor:
        if self._normalisation is not None:
            inputs = self._normalisation(inputs)
        return inputs.contiguous(memory_format=self._memory_format)


def _for_torch(array: NDArray[Any]) -> NDArray[Any]:
    """Return the array, a copy if torch does not take it as it lies: backwards, or in another machine's byte order."""
    native = array.astype(array.dtype.newbyteorder("="), copy=False)
    return np.ascontiguousarray(native) if min(native.strides, default=0) < 0 else native


def _cut(order: Tensor, batch_size: int) -> list[Tensor]:
    """Cut into batches; a last one of a single example, on which batch norm cannot train, joins the one before."""
    batches = list(torch.split(order, batch_size))
    if len(batches) > 1 and len(batches[-1]) == 1:
        batches[-2:] = [torch.cat(batches[-2:])]
    return batches
