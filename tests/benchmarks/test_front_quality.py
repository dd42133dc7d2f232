"""The comparison in small: a model of both objectives beats chance, and beats a model of one."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

import pytest

from tests.benchmarks import front_quality
from tests.benchmarks.front_quality import METHODS, Arguments, curve, dominated_area, found_area, main

pytestmark = pytest.mark.timeout(180)  # none takes long, but all together: begun early


def test_the_area_is_that_of_the_rectangles() -> None:
    assert dominated_area([(0.5, 1e4), (0.8, 1e5), (0.4, 1e5), (0.5, 1e4)]) == pytest.approx(0.5 * 1 + 0.8 * 1)


def test_a_wide_model_is_behind_at_first_and_ahead_in_the_end() -> None:
    narrow, wide = (curve({"x": 0.7, "y": 0.2, "width": width}) for width in (8.0, 64.0))
    assert wide.values[1] < narrow.values[1]
    assert wide.values[-1] > narrow.values[-1]
    assert wide.measures["num_params"] > narrow.measures["num_params"]


@pytest.fixture(scope="module")
def simulated_once() -> Iterator[None]:
    """What several tests compare with is not simulated for each of them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(front_quality, "found_area", cache(found_area))
        yield


@pytest.mark.usefixtures("simulated_once")
@pytest.mark.parametrize("scheduler", ["asha-promote", "asha"])
def test_a_model_of_both_objectives_finds_a_better_front_than_chance_and_than_a_model_of_one(scheduler: str) -> None:
    found = main(Arguments(seeds=4, methods="tpe,random,tpe-one-objective", schedulers=scheduler))
    area = {name.split(",")[0]: of["mean"] for name, of in found["area"].items()}
    assert area["tpe"] > area["random"]
    assert area["tpe"] > area["tpe-one-objective"]


@pytest.mark.usefixtures("simulated_once")
def test_what_waits_at_a_rung_is_no_reason_to_keep_away_from_it() -> None:
    found = main(Arguments(seeds=4, methods="tpe,tpe-remembering", schedulers="asha-promote"))
    assert found["area"]["tpe, asha-promote"]["mean"] > found["area"]["tpe-remembering, asha-promote"]["mean"]


@pytest.mark.parametrize("method", METHODS)
def test_every_method_finds_the_same_each_time(method: str) -> None:
    first, again = (found_area(method, "asha-promote", 0, epochs=40, workers=2) for _ in range(2))
    assert first == again > 0
