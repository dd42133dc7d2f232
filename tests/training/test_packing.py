"""Tests of `tuner.training.packing`: what a schedule of torch's has as its state comes back as it was."""

from __future__ import annotations

from collections import Counter, OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn, optim
from torch.optim.lr_scheduler import LinearLR, MultiStepLR, SequentialLR

from tests.training.states import assert_identical
from tuner.errors import TrialFailedError
from tuner.training.packing import kept, pack, unpack


def through_a_file(state: Any, folder: Path) -> Any:
    torch.save(pack(state), folder / "state.pt")
    return unpack(torch.load(folder / "state.pt", weights_only=True))


def test_schedules_with_milestones_come_back_as_they_were(tmp_path: Path) -> None:
    optimizer = optim.SGD(nn.Linear(1, 1).parameters(), lr=1.0)
    steps = MultiStepLR(optimizer, milestones=[2, 2, 5])
    both = SequentialLR(optimizer, [LinearLR(optimizer), MultiStepLR(optimizer, milestones=[3])], milestones=[2])
    for schedule in (steps, both):
        assert_identical(through_a_file(schedule.state_dict(), tmp_path), schedule.state_dict())
    assert type(through_a_file(steps.state_dict(), tmp_path)["milestones"]) is Counter


@pytest.mark.parametrize("kind", [dict, OrderedDict, Counter])
def test_a_mapping_keeps_its_kind_also_with_numpy_in_it(kind: type[dict[str, Any]], tmp_path: Path) -> None:
    state = kind({"b": np.int64(3), "a": np.float32(0.5)})
    assert_identical(through_a_file(state, tmp_path), state)


def test_what_a_counter_holds_is_looked_at_too() -> None:
    with pytest.raises(TrialFailedError, match=r"^s\['a'\] is a value of type object,"):
        pack(Counter({"a": object()}), "s")
    with pytest.raises(TrialFailedError, match=r"^a key of s is a value of type tuple,"):
        pack(Counter([(1, 2)]), "s")

    class Mine(Counter[str]):
        """What only code of the user's could read."""

    with pytest.raises(TrialFailedError, match="type Mine"):
        pack(Mine("a"), "s")


def test_what_is_kept_stays_as_it_is_with_what_a_dictionary_carries_and_who_shares_a_tensor() -> None:
    layer = torch.nn.BatchNorm1d(3)
    state: dict[str, Any] = {"model": layer.state_dict(), "tied": [layer.weight, layer.weight], "epoch": 2}
    copied = kept(state)
    with torch.no_grad():
        layer.weight.zero_()
    assert copied["model"]["weight"].tolist() == [1.0, 1.0, 1.0]
    assert copied["model"]._metadata == state["model"]._metadata
    assert copied["tied"][0] is copied["tied"][1]
    assert copied["epoch"] == 2


def test_what_is_kept_takes_no_room_on_the_device() -> None:
    weights = torch.ones(2, device="meta")
    with pytest.raises(NotImplementedError, match="meta"):  # which cannot be brought to the CPU, but copied where it is
        kept({"weights": [weights]})
