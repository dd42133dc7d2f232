"""Tests of `tuner.training.watched`: every way to read a dictionary is seen."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from typing import Any

import pytest

from tuner.training.watched import WatchedHparams

ONE: list[Callable[[Any], Any]] = [
    lambda h: h["a"],
    lambda h: h.get("a"),
    lambda h: h.get("a", 3),
    lambda h: "a" in h,
    lambda h: h.pop("a"),
    lambda h: h.pop("a", None),
    lambda h: h.setdefault("a", 3),
]
ALL: list[Callable[[Any], Any]] = [
    dict,
    list,
    lambda h: {**h},
    lambda h: (lambda **given: given)(**h),
    lambda h: h | {},
    lambda h: {} | h,
    lambda h: list(h.items()),
    lambda h: list(h.values()),
    lambda h: h.copy(),
    copy.deepcopy,
    json.dumps,
    lambda h: {}.update(h),
]


@pytest.mark.parametrize("read", ONE)
def test_who_reads_one_has_not_read_the_other(read: Callable[[Any], Any]) -> None:
    hparams = WatchedHparams({"a": 1, "b": 2})
    read(hparams)
    assert hparams.asked == {"a"}
    assert hparams.unread == (["b"])


@pytest.mark.parametrize("read", ALL)
def test_who_reads_all_has_read_each(read: Callable[[Any], Any]) -> None:
    hparams = WatchedHparams({"a": 1, "b": 2})
    read(hparams)
    assert hparams.unread == []


def test_what_was_asked_for_in_vain_is_known_too() -> None:
    hparams = WatchedHparams({"learning_rte": 1})
    assert hparams.get("learning_rate", 0.01) == 0.01
    assert (hparams.asked, hparams.unread) == ({"learning_rate"}, ["learning_rte"])


def test_it_behaves_as_the_dictionary_it_holds() -> None:
    hparams = WatchedHparams({"a": 1, "b": [2]})
    assert isinstance(hparams, dict)
    assert dict(hparams) == hparams == {"a": 1, "b": [2]}
    assert json.loads(json.dumps(hparams)) == {"a": 1, "b": [2]}
    assert hparams | {"c": 3} == {"a": 1, "b": [2], "c": 3}
    with pytest.raises(KeyError):
        hparams["absent"]
