"""A small module under Lightning's own trainer, and what others make of it; Lightning takes long to import."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import lightning.pytorch as pl
import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import DataLoader, TensorDataset

from tuner.integrations.lightning import LightningTask


def layers_of(width: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(64, width), nn.ReLU(), nn.Dropout(0.2), nn.Linear(width, 10))


class Module(pl.LightningModule):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.layers = layers_of(width)

    def training_step(self, batch: tuple[Tensor, Tensor], index: int) -> Tensor:
        loss = functional.cross_entropy(self.layers(batch[0]), batch[1])
        self.log("train_loss", loss, on_epoch=True, on_step=False)
        return loss

    def validation_step(self, batch: tuple[Tensor, Tensor], index: int) -> None:
        logits = self.layers(batch[0])
        self.log("dev_loss", functional.cross_entropy(logits, batch[1]))
        self.log("dev_accuracy", (logits.argmax(1) == batch[1]).float().mean())

    def configure_optimizers(self) -> Any:
        optimizer = torch.optim.SGD(self.parameters(), lr=0.1, momentum=0.9)
        return [optimizer], [torch.optim.lr_scheduler.StepLR(optimizer, 1, 0.7)]


class Plateau(Module):
    def configure_optimizers(self) -> Any:
        optimizer = torch.optim.SGD(self.parameters(), lr=0.1, momentum=0.9)
        # The loss never falls by so much, so each step of it halves the rate.
        schedule = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, factor=0.5, patience=0, threshold=0.9)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "monitor": "dev_loss"}}


class Late(Module):
    def __init__(self, width: int) -> None:
        super().__init__(width)
        self._width = width
        del self.layers

    def configure_model(self) -> None:
        if not hasattr(self, "layers"):
            self.layers = layers_of(self._width)


class Weighted(Module):
    def __init__(self, width: int) -> None:
        super().__init__(width)
        self.save_hyperparameters({"class_weights": np.ones(10), "largest": np.float32(2)})


class Task(LightningTask):
    def make_module(self, hparams: Mapping[str, Any]) -> pl.LightningModule:
        return Module(hparams["width"])

    def make_loader(self, split: Any, hparams: Mapping[str, Any], *, shuffle: bool) -> DataLoader[tuple[Tensor, ...]]:
        return DataLoader(TensorDataset(*split), batch_size=64, shuffle=shuffle)
