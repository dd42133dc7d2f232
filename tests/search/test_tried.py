from __future__ import annotations

import json
from typing import Any

import pytest

from tuner.search.tried import Tried

SAME: list[tuple[Any, Any]] = [
    (0.3, 0.1 + 2 * 0.1),
    (0.0, -0.0),
    (1, 1.0),
    ([0.3, {"inner": 0.8}], [0.1 + 2 * 0.1, {"inner": 0.7 + 0.1}]),
]
OTHERS: list[tuple[Any, Any]] = [
    (0.3, 0.3001),
    (1e-8, 2e-8),
    (1e-16, 2e-16),
    (0.0, 1e-16),
    (1, True),
    (0, None),
    ("1", 1),
    ([0.1, 0.2], [0.2, 0.1]),
]


@pytest.mark.parametrize("rounds", [True, False])
@pytest.mark.parametrize(("first", "second"), SAME)
def test_what_differs_in_the_last_digits_is_tried_but_by_older_rules(first: Any, second: Any, rounds: bool) -> None:
    assert json.dumps(first) != json.dumps(second)
    for one, other in ((first, second), (second, first)):
        tried = Tried(rounds=rounds)
        tried.add({"x": one, "kind": "a"})
        assert {"x": one, "kind": "a"} in tried
        assert ({"kind": "a", "x": other} in tried) is rounds
        assert {"x": other, "kind": "b"} not in tried


@pytest.mark.parametrize(("first", "second"), OTHERS)
def test_what_differs_otherwise_is_not(first: Any, second: Any) -> None:
    tried = Tried()
    tried.add({"x": first})
    assert {"x": second} not in tried
