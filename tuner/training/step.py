"""One step of the built-in loop: forward, loss, backward, optimizer. On a GPU it is recorded once and then replayed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn, optim
from torch.nn import functional

from tuner.data.mixing import Mixed
from tuner.training.evaluate import autocast

Step = Callable[[Mixed], Tensor]
"""Trains on one batch and returns its logits, detached; they are good until the next step."""

_STEPS_BEFORE_RECORDING = 3
"""In which libraries choose their algorithms and the optimizer makes its state; neither may be recorded."""


def build_step(
    model: nn.Module,
    optimizer: optim.Optimizer,
    *,
    label_smoothing: float,
    device: torch.device,
    precision: torch.dtype,
    recorded: bool,
) -> Step:
    """Return a step of the model, which is in training mode whenever it is called.

    Recorded it is for a GPU, where a small model's kernels end sooner than Python can start the next, and only for a
    model whose forward pass makes the same calls for each batch of one size. The optimizer must be one built for it.
    """

    def train(mixed: Mixed) -> Tensor:
        optimizer.zero_grad(set_to_none=True)
        # A recording may not use casts of weights that were cached outside of it.
        with autocast(device, precision, cache=not recorded):
            logits = model(mixed.inputs)
        logits = logits.float()
        torch.autograd.backward(cross_entropy(logits, mixed, label_smoothing=label_smoothing))
        optimizer.step()
        detached: Tensor = logits.detach()
        return detached

    return _Recorded(train) if recorded else train


def cross_entropy(logits: Tensor, mixed: Mixed, **options: Any) -> Tensor:
    """Return the cross-entropy with both classes of each example, each for its share."""
    first = functional.cross_entropy(logits, mixed.labels, **options)
    if mixed.others is mixed.labels:
        return first
    return first.lerp(functional.cross_entropy(logits, mixed.others, **options), 1.0 - mixed.share)


class _Recorded:
    """A step whose kernels are started as one CUDA graph.

    The first few, and batches of another size than the first, are run as given.

    See https://docs.pytorch.org/docs/stable/notes/cuda.html#cuda-graphs.
    """

    def __init__(self, step: Step) -> None:
        self._step = step
        # One for all that comes before: memory that one stream gives back is not another's.
        self._stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        self._batch_size = 0
        self._before = 0
        self._graph: torch.cuda.CUDAGraph | None = None

    def __call__(self, mixed: Mixed) -> Tensor:
        self._batch_size = self._batch_size or len(mixed.labels)
        if len(mixed.labels) != self._batch_size:
            return self._step(mixed)
        if self._before < _STEPS_BEFORE_RECORDING:
            self._before += 1
            return self._run_as_given(mixed)
        if self._graph is None:
            self._record(mixed)
        assert self._graph is not None
        _copy(mixed, self._mixed)
        self._graph.replay()
        return self._logits

    def _run_as_given(self, mixed: Mixed) -> Tensor:
        current = torch.cuda.current_stream()
        self._stream.wait_stream(current)
        with torch.cuda.stream(self._stream):
            logits = self._step(mixed)
        current.wait_stream(self._stream)
        return logits

    def _record(self, mixed: Mixed) -> None:
        self._mixed = _twin(mixed)
        graph = torch.cuda.CUDAGraph()
        # Another thread of this process may well be using the GPU.
        with torch.cuda.graph(graph, stream=self._stream, capture_error_mode="thread_local"):
            self._logits = self._step(self._mixed)
        self._graph = graph


def _twin(mixed: Mixed) -> Mixed:
    """Return a copy that the next batches can be copied into."""
    labels = mixed.labels.clone()
    if mixed.others is mixed.labels:
        return Mixed(mixed.inputs.clone(), labels, labels, mixed.share)
    share = torch.tensor(mixed.share, device=mixed.inputs.device)
    return Mixed(mixed.inputs.clone(), labels, mixed.others.clone(), share)


def _copy(mixed: Mixed, into: Mixed) -> None:
    into.inputs.copy_(mixed.inputs)
    into.labels.copy_(mixed.labels)
    if isinstance(into.share, Tensor):
        into.others.copy_(mixed.others)
        into.share.fill_(mixed.share)
