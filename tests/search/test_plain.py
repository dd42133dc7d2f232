from __future__ import annotations

import enum
import json
from collections import OrderedDict
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuner.search.plain import plain


class Colour(enum.StrEnum):
    RED = "red"


class Size(enum.IntEnum):
    BIG = 3


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        ((3, (5, None)), [3, [5, None]]),
        (range(3), [0, 1, 2]),
        (np.int64(7), 7),
        (np.float32(0.5), 0.5),
        (np.bool_(True), True),
        (np.str_("ä"), "ä"),
        (np.arange(4).reshape(2, 2), [[0, 1], [2, 3]]),
        (OrderedDict(b=np.int8(1), a=(2,)), {"b": 1, "a": [2]}),
        ({Colour.RED: Size.BIG}, {"red": 3}),
        (Colour.RED, "red"),
    ],
)
def test_other_types_become_those_that_json_gives_back(value: Any, kept: Any) -> None:
    found = plain(value)
    assert found == kept
    assert type(found) is type(kept)
    assert json.dumps(found) == json.dumps(kept)


def test_nothing_is_shared_with_what_was_given() -> None:
    given_value = {"opt": {"units": [1]}}
    kept = plain(given_value)
    given_value["opt"]["units"].append(2)
    assert kept == {"opt": {"units": [1]}}


PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)


@given(PLAIN)
def test_what_is_plain_already_stays_as_it_is_also_through_json(value: Any) -> None:
    assert repr(plain(value)) == repr(value) == repr(json.loads(json.dumps(plain(value))))


def holding_itself() -> list[Any]:
    value: list[Any] = []
    value.append(value)
    return value


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ({"widths": {1: 16}}, r"\['widths'\] has the key 1, but keys must be strings: write '1'"),
        ({None: 1}, "it has the key None, but keys must be strings"),
        ([0.5, float("nan")], r"\[1\] is nan, but numbers must be finite"),
        (np.float32("inf"), "it is inf, but numbers must be finite"),
        ({"a": {1, 2}}, r"\['a'\] is of type set: use numbers, strings, booleans, None, and lists"),
        (b"bytes", "it is of type bytes"),
        (3j, "it is of type complex"),
        (np.datetime64("2026-01-01"), "it is of type date"),
        (np.longdouble(1), "it is of type longdouble"),
        ("caf\udce9", "which is no text in UTF-8"),
        ({"caf\udce9": 1}, "which is no text in UTF-8"),
        (holding_itself(), "nested more than 32 levels deep, or holds itself"),
        (10**5000, "Exceeds the limit"),
    ],
    ids=lambda one: one if isinstance(one, str) and one.isascii() else "value",  # pytest would print it
)
def test_what_json_would_change_or_cannot_hold_is_refused_by_its_place(value: Any, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        plain(value)
