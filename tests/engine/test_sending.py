"""Tests of `tuner.engine.sending`: what cannot travel to the workers is told before anything starts, with its name."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import ray

from tuner.engine.sending import check_code_travels, check_data_fit, send_by_value
from tuner.errors import DataError, ResourceError, SpaceError
from tuner.io.sources import Sources

LOCK = """
import threading
LOCK = threading.Lock()
HELD = {"deep": [LOCK]}

def MODEL(h):
    with LOCK:
        return 1

def indirect(h):
    return MODEL(h)

def nested(h):
    return [HELD for _ in h]

class Model:
    lock = LOCK

    def __call__(self, h):
        return 1
"""


@pytest.fixture
def brought(tmp_path: Path) -> Any:
    (tmp_path / "locked.py").write_text(LOCK)
    sources = Sources.read(tmp_path / "locked.py")
    module = sources.load()
    send_by_value(sources)
    return module


@pytest.mark.parametrize(
    ("name", "culprit"), [("MODEL", "LOCK"), ("indirect", "LOCK"), ("nested", "HELD.deep.0"), ("Model", "Model.lock")]
)
def test_the_object_that_cannot_be_pickled_is_named_with_what_to_do(brought: Any, name: str, culprit: str) -> None:
    with pytest.raises(SpaceError, match=rf"^{culprit} is a lock and cannot be sent .*: make it inside the function"):
        check_code_travels(getattr(brought, name), name)
    with pytest.raises(SpaceError, match=rf"^{culprit} is a lock and cannot be sent"):
        check_code_travels(partial(max, getattr(brought, name), key=len), name)  # as a model is sent, in its training


def test_what_can_be_pickled_is_let_through(brought: Any) -> None:
    check_code_travels(lambda h: np.zeros(3), "MODEL")


def test_data_that_cannot_be_pickled_are_refused_with_the_way_out() -> None:
    with pytest.raises(DataError, match=r"the dev split cannot be sent .* because dev\.1 cannot be pickled"):
        check_data_fit({"train": [1], "dev": [2, threading.Lock()]})


def nodes(store: float) -> Callable[[], list[dict[str, Any]]]:
    def node(name: str, resources: dict[str, float]) -> dict[str, Any]:
        return {"NodeManagerHostname": name, "Alive": True, "Resources": resources}

    return lambda: [
        node("large", {"CPU": 2.0, "object_store_memory": 2.0**40}),
        node("small", {"CPU": 2.0, "object_store_memory": store}),
        node("head", {"object_store_memory": 1.0}),
    ]


def test_data_too_large_for_a_node_are_refused_with_both_sizes(monkeypatch: pytest.MonkeyPatch) -> None:
    splits = {"train": np.zeros(3 << 20, np.uint8), "dev": [np.zeros(1 << 20, np.uint8)]}
    monkeypatch.setattr(ray, "nodes", nodes(3 * 2**20))
    with pytest.raises(ResourceError, match=r"the data take 0\.00 GiB, but the object store of small holds 0\.00 GiB"):
        check_data_fit(splits)
    monkeypatch.setattr(ray, "nodes", nodes(5 * 2**20))
    check_data_fit(splits)
