"""An image classifier's training as the tutorials of PyTorch and Ray have it: a DataLoader, float32, eager."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms

from tuner.data.splits import Split
from tuner.models import get_model

_MEAN, _STD = (0.5,), (0.3,)
_EVALUATION_BATCH = 250


class _Pixels(Dataset[tuple[torch.Tensor, int]]):
    """As torchvision's data sets: an image made of a row of the array, then transformed, one at a time."""

    def __init__(self, split: Split, augmentation: list[Any]) -> None:
        self._split = split
        normal = [transforms.ToTensor(), transforms.Normalize(_MEAN, _STD)]
        before = [one for one in augmentation if not isinstance(one, transforms.RandomErasing)]
        after = [one for one in augmentation if isinstance(one, transforms.RandomErasing)]
        self._transform = transforms.Compose([transforms.ToPILImage(), *before, *normal, *after])

    def __len__(self) -> int:
        return len(self._split)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        return self._transform(self._split.images[index]), int(self._split.labels[index])


def _augmentation(hparams: Mapping[str, Any]) -> list[Any]:
    found: list[Any] = []
    if hparams.get("shift"):
        found.append(transforms.RandomCrop(28, padding=hparams["shift"]))
    if hparams.get("flip"):
        found.append(transforms.RandomHorizontalFlip())
    if hparams.get("erasing"):
        found.append(transforms.RandomErasing(hparams["erasing"]))
    return found


class TutorialTraining:
    """The CNN in the hands of somebody who follows a tutorial; what tutorials do not have it leaves out.

    Of the hyperparameters of the built-in loop it knows learning rate, decay, batch size, optimizer, weight decay,
    label smoothing, shift, flip and erasing.
    """

    def __init__(self, hparams: Mapping[str, Any], train: Split, dev: Split, seed: int) -> None:
        """Prepare to train the CNN with `hparams` on `train`, and to measure on `dev`."""
        torch.manual_seed(seed)
        self.model = get_model("cnn").build(hparams)
        batch = hparams.get("batch_size", 128)
        self._train = DataLoader(_Pixels(train, _augmentation(hparams)), batch, shuffle=True)
        self._dev = dev
        rate, decay = hparams.get("learning_rate", 0.01), hparams.get("weight_decay", 0.0)
        optimizers = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}
        self._optimizer = optimizers[hparams.get("optimizer", "adam")](
            self.model.parameters(), lr=rate, weight_decay=decay
        )
        factor = 0.1 ** (1.0 / hparams.get("decay_epochs", 10.0))
        self._schedule = torch.optim.lr_scheduler.ExponentialLR(self._optimizer, factor)
        self._criterion = nn.CrossEntropyLoss(label_smoothing=hparams.get("label_smoothing", 0.0))

    def train_epoch(self) -> float:
        """Train an epoch and return the accuracy on dev."""
        self.model.train()
        for images, labels in self._train:
            self._optimizer.zero_grad()
            self._criterion(self.model(images), labels).backward()
            self._optimizer.step()
        self._schedule.step()
        return self.accuracy(self._dev)

    def accuracy(self, split: Split) -> float:
        """Return the share of the images that are classified correctly."""
        self.model.eval()
        correct = 0
        with torch.no_grad():
            for images, labels in DataLoader(_Pixels(split, []), _EVALUATION_BATCH):
                correct += int((self.model(images).argmax(1) == labels).sum())
        return correct / len(split)
