"""Tests of `tuner.engine.sharing`: every GPU has its trial, and none more than its memory and the CPUs allow."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuner.config import ResourceConfig
from tuner.engine.sharing import Node, fitting, of_a_trial, settle, share_gpus, share_in_words

GIB = 1 << 30
BIG: Node = {"CPU": 64.0, "GPU": 8.0}


def asked(**values: Any) -> ResourceConfig:
    return replace(ResourceConfig(), **values)


@pytest.mark.parametrize(
    ("node", "given_", "share", "side_by_side"),
    [
        ({"CPU": 2.0}, {}, (1, 0.0), 2),
        (BIG, {}, (8, 1.0), 8),
        ({"CPU": 4.0, "GPU": 8.0}, {}, (1, 1.0), 4),
        ({"CPU": 30.0, "GPU": 8.0}, {}, (3, 1.0), 8),
        (BIG, {"gpus_per_trial": 0.0}, (1, 0.0), 64),
        (BIG, {"gpus_per_trial": 2.0}, (16, 2.0), 4),
        (BIG, {"gpus_per_trial": 0.5}, (4, 0.5), 16),
        (BIG, {"cpus_per_trial": 16}, (16, 1.0), 4),
        (BIG, {"cpus_per_trial": 3, "gpus_per_trial": 0.5}, (3, 0.5), 16),
        ({"CPU": 4.0, "GPU": 1.0}, {}, (4, 1.0), 1),
    ],
)
def test_a_trial_has_a_gpu_and_its_part_of_the_cpus_where_there_are_gpus_and_else_a_cpu(
    node: Node, given_: dict[str, Any], share: tuple[int, float], side_by_side: int
) -> None:
    resources = settle(asked(**given_), [node])
    assert of_a_trial(resources) == share
    assert fitting(node, resources) == side_by_side


def test_among_several_machines_no_gpu_stays_without_its_trial() -> None:
    nodes: list[Node] = [{"CPU": 4.0}, {"CPU": 64.0, "GPU": 8.0}, {"CPU": 12.0, "GPU": 4.0}]
    resources = settle(ResourceConfig(), nodes)
    assert of_a_trial(resources) == (3, 1.0)
    assert [fitting(node, resources) for node in nodes] == [0, 8, 4]


def test_what_is_settled_stays() -> None:
    once = settle(ResourceConfig(), [BIG])
    assert settle(once, [{"CPU": 2.0}]) == once


@pytest.mark.parametrize(
    ("peak", "trials"),
    [(1 * GIB, 4), (8 * GIB, 4), (12 * GIB, 3), (18 * GIB, 2), (19 * GIB, 1), (70 * GIB, 1)],
)
def test_a_gpu_of_80_gib_is_shared_by_as_many_as_have_room_should_they_need_twice_what_was_measured(
    peak: int, trials: int
) -> None:
    resources = share_gpus(ResourceConfig(), [BIG], peak_bytes=peak, gpu_bytes=80 * GIB)
    assert fitting(BIG, resources) == 8 * trials
    assert of_a_trial(resources)[0] == 8 // trials


def test_where_gpus_differ_none_is_shared_for_the_memory_of_only_one_was_measured() -> None:
    kinds: list[Node] = [{**BIG, "accelerator_type:A100": 1.0}, {**BIG, "accelerator_type:T4": 1.0}]

    def shared(nodes: list[Node]) -> float:
        return of_a_trial(share_gpus(ResourceConfig(), nodes, peak_bytes=GIB, gpu_bytes=80 * GIB))[1]

    assert shared(kinds) == 1.0
    assert shared([kinds[0], kinds[0]]) == 0.25
    assert shared([kinds[0], {"CPU": 64.0, "accelerator_type:T4": 1.0}]) == 0.25
    assert shared([kinds[0], BIG]) == 1.0
    assert shared([BIG, BIG]) == 0.25


def test_a_gpu_is_shared_by_no_more_than_have_a_cpu() -> None:
    node = {"CPU": 2.0, "GPU": 1.0}
    assert fitting(node, share_gpus(ResourceConfig(), [node], peak_bytes=GIB, gpu_bytes=80 * GIB)) == 2


@pytest.mark.parametrize("gpus", [0.0, 1.0, 2.0])
def test_what_the_user_gave_is_not_shared(gpus: float) -> None:
    resources = share_gpus(asked(gpus_per_trial=gpus), [BIG], peak_bytes=GIB, gpu_bytes=80 * GIB)
    assert of_a_trial(resources)[1] == gpus


def test_without_gpus_there_is_nothing_to_share() -> None:
    resources = share_gpus(ResourceConfig(), [{"CPU": 4.0}], peak_bytes=0, gpu_bytes=0)
    assert of_a_trial(resources) == (1, 0.0)


@given(
    cpus=st.integers(1, 256),
    gpus=st.integers(1, 16),
    peak=st.integers(0, 100 * GIB),
    memory=st.integers(4 * GIB, 200 * GIB),
)
def test_nothing_is_ever_overbooked(cpus: int, gpus: int, peak: int, memory: int) -> None:
    node = {"CPU": float(cpus), "GPU": float(gpus)}
    resources = share_gpus(ResourceConfig(), [node], peak_bytes=peak, gpu_bytes=memory)
    share, fraction = of_a_trial(resources)
    trials = fitting(node, resources)
    assert min(cpus, gpus) <= trials
    assert trials * share <= cpus
    # Ray counts in ten thousandths, rounded; and a fraction must lie on one GPU.
    on_one = -(-trials // gpus)
    assert on_one * round(fraction * 10_000) <= 10_000
    assert on_one == 1 or on_one * peak <= memory


@pytest.mark.parametrize(
    ("nodes", "given_", "words"),
    [
        ([{"CPU": 2.0}], {}, "one for each of 2 usable cores of this machine"),
        ([{"CPU": 1.0}], {}, "for this machine has 1 usable core"),
        ([{"CPU": 8.0}], {"cpus_per_trial": 4}, "each with 4 of 8 usable cores of this machine"),
        ([{"CPU": 2.0}], {"workers": 1}, "as --workers says; this machine has 2 usable cores"),
        ([BIG], {}, "one for each of 8 GPUs of this machine, with 8 cores each"),
        ([BIG], {"gpus_per_trial": 0.5}, "2 on each of 8 GPUs of this machine, with 4 cores each"),
        ([BIG], {"gpus_per_trial": 2.0}, "each with 2 of 8 GPUs and 16 cores of this machine"),
        ([BIG], {"gpus_per_trial": 0.0}, "one for each of 64 usable cores of this machine"),
        ([BIG], {"workers": 3}, "as --workers says; this machine has 64 usable cores and 8 GPUs"),
        (
            [{"CPU": 4.0}, {"CPU": 2.0}, {"CPU": 0.0}],
            {"address": "auto"},
            "one for each of 6 usable cores of the cluster of 2 machines",
        ),
        ([], {"address": "auto", "workers": 12, "cpus_per_trial": 1}, "as --workers says"),
    ],
)
def test_the_number_of_workers_is_explained(nodes: list[Node], given_: dict[str, Any], words: str) -> None:
    resources = asked(**given_)
    assert share_in_words(resources, settle(resources, nodes), nodes) == words
