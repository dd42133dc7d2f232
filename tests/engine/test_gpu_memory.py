"""Tests of `tuner.engine.gpu_memory`, as far as they go without a GPU."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from tuner.engine.gpu_memory import _measure
from tuner.engine.worker import Assignment, Job


@pytest.mark.parametrize(("share", "left_out"), [(1.0, 0), (0.4, 90 * (784 + 8) + 36 * (784 + 8))])
def test_a_sample_is_trained_and_leaves_no_checkpoint_and_all_data_count(
    job: Job, assign: Callable[..., Assignment], monkeypatch: pytest.MonkeyPatch, share: float, left_out: int
) -> None:
    answers = iter([True])  # to the question whether there is a GPU; the worker that asks next trains without
    monkeypatch.setattr(torch.cuda, "is_available", lambda: next(answers, False))
    monkeypatch.setattr(torch.cuda, "max_memory_reserved", lambda: 3 << 30)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda: (70 << 30, 80 << 30))
    assignment = assign(share=share)
    assert _measure(job, assignment) == ((3 << 30) + left_out, 80 << 30)
    assert next(answers, "asked") == "asked"
    assert not Path(assignment.checkpoints).exists()


def test_without_a_gpu_there_is_nothing_to_measure(job: Job, assign: Callable[..., Assignment]) -> None:
    assert torch.cuda.is_available() or _measure(job, assign()) is None
