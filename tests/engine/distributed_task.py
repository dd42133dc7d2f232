"""A task that spreads each training over two processes: data parallel under `torch.distributed`, on the CPU."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import distributed, nn
from torch import multiprocessing as mp

from tuner import Dataset, Objective

PROCESSES = 2
OBJECTIVE = Objective("dev_mse", "minimize")
START = [{"learning_rate": 0.1}]

Points = tuple[torch.Tensor, torch.Tensor]


def suggest(trial: Any) -> dict[str, Any]:
    return {"learning_rate": trial.suggest_float("learning_rate", 0.01, 0.3, log=True)}


def load_data(data_dir: Path | None) -> Dataset:
    generator = torch.Generator().manual_seed(0)
    return Dataset(points(generator, 64), points(generator, 32), points(generator, 32), name="plane")


def points(generator: torch.Generator, n: int) -> Points:
    x = torch.randn(n, 3, generator=generator)
    return x, x @ torch.tensor([1.0, -2.0, 3.0])


class Task:
    """Each rank has half of the examples; gradients are averaged."""

    def __init__(self, hparams: Mapping[str, Any], data: Any, *, seed: int, device: object) -> None:
        self.learning_rate, self.data = hparams["learning_rate"], data
        self.model = nn.Linear(3, 1, bias=False)

    def train_epoch(self) -> dict[str, float]:
        # A process started afresh would import torch for seconds, and look for this file, which Ray sent, by its name.
        context = mp.get_context("fork")
        with tempfile.TemporaryDirectory() as folder:
            found = context.SimpleQueue()
            work = (f"file://{folder}/meeting", self.model.state_dict(), self.data.train, self.learning_rate, found)
            ranks = [context.Process(target=train_rank, args=(rank, *work)) for rank in range(PROCESSES)]
            for process in ranks:
                process.start()
            state, pids = found.get()
            for process in ranks:
                process.join()
        self.model.load_state_dict({name: torch.tensor(value) for name, value in state.items()})
        assert all(process.exitcode == 0 for process in ranks)
        return {"dev_mse": self.evaluate(self.data.dev)["mse"], "processes": float(len(set(pids) - {os.getpid()}))}

    def evaluate(self, split: Points) -> dict[str, float]:
        x, y = split
        with torch.no_grad():
            return {"mse": float(nn.functional.mse_loss(self.model(x).squeeze(1), y))}

    def state_dict(self) -> dict[str, Any]:
        return {"model": self.model.state_dict()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.model.load_state_dict(state["model"])


def train_rank(
    rank: int, meeting: str, state: Mapping[str, torch.Tensor], train: Points, learning_rate: float, found: Any
) -> None:
    torch.set_num_threads(1)
    distributed.init_process_group("gloo", init_method=meeting, rank=rank, world_size=PROCESSES)
    model = nn.Linear(3, 1, bias=False)
    model.load_state_dict(state)
    x, y = (part[rank::PROCESSES] for part in train)
    for batch in (slice(start, start + 8) for start in range(0, len(x), 8)):
        [gradient] = torch.autograd.grad(nn.functional.mse_loss(model(x[batch]).squeeze(1), y[batch]), [model.weight])
        # By hand: `DistributedDataParallel` and `torch.optim` take longer to import than this to train.
        distributed.all_reduce(gradient)
        with torch.no_grad():
            model.weight -= learning_rate * gradient / PROCESSES
    pids: list[Any] = [None] * PROCESSES
    distributed.all_gather_object(pids, os.getpid())
    if rank == 0:
        found.put(({name: value.tolist() for name, value in model.state_dict().items()}, pids))
    distributed.destroy_process_group()


TRAINABLE = Task
