"""An Optuna trial as a search space sees it, so that any plain value can be a choice.

Optuna keeps a categorical parameter by its choices, which must be None, booleans, numbers or strings, all different. A
space may as well choose among tuples, lists, dictionaries or NumPy's numbers: Optuna and the journal then know the
choices by their JSON, and `suggest` gets back what it listed.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterable, MutableMapping, Sequence
from functools import lru_cache
from typing import Any

import optuna

from tuner.search.plain import plain

_SIMPLE = frozenset({str, bool, int, type(None)})
"""Kinds of choices of which equal ones are the same, so that what they are known by is worked out once."""


class AskedTrial:
    """What `suggest` is given: Optuna's trial, with categorical choices of every plain kind."""

    def __init__(self, trial: optuna.trial.BaseTrial, answers: MutableMapping[str, Any] | None = None) -> None:
        """Ask `trial`; of a `FixedTrial`, `answers` is the very dictionary of values that it was made with."""
        self._trial = trial
        self._answers = {} if answers is None else answers
        self._chosen: dict[str, Any] = {}

    @property
    def params(self) -> dict[str, Any]:
        """What was suggested so far, by name."""
        return {**self._trial.params, **self._chosen}

    def suggest_float(self, name: str, *bounds: Any, **options: Any) -> float:
        """See `optuna.Trial.suggest_float`."""
        return self._trial.suggest_float(
            _name(name), *map(plain, bounds), **{key: plain(option) for key, option in options.items()}
        )

    def suggest_int(self, name: str, *bounds: Any, **options: Any) -> int:
        """See `optuna.Trial.suggest_int`."""
        return self._trial.suggest_int(
            _name(name), *map(plain, bounds), **{key: plain(option) for key, option in options.items()}
        )

    def suggest_categorical(self, name: str, choices: Iterable[Any]) -> Any:
        """Return one of the choices, which may be tuples, lists, dictionaries and NumPy's numbers too.

        Raises:
            ValueError: if a choice has no plain form (see `plain`).
        """
        listed = list(choices)
        texts, keys = _texts_and_keys(_name(name), listed)
        if name in self._answers:
            self._answers[name] = _key_of(self._answers[name], keys, texts)
        chosen = listed[keys.index(self._trial.suggest_categorical(name, keys))]
        self._chosen[name] = copy.deepcopy(chosen)
        return copy.deepcopy(chosen)

    def __getattr__(self, attribute: str) -> Any:
        return getattr(self._trial, attribute)


def key_of(answer: Any, keys: Sequence[Any]) -> Any:
    """Return which of the keys by which Optuna knows choices an answer names, by the choice itself or its key.

    One that names none comes back as it is.
    """
    listed = list(keys)
    return _key_of(answer, listed, listed if _are_texts(listed) else [_json(key) for key in listed])


def _name(name: Any) -> str:
    if not isinstance(name, str):
        raise ValueError(f"a parameter's name is {name!r}, but must be a string")
    return name


def _texts_and_keys(name: str, choices: list[Any]) -> tuple[list[str], list[Any]]:
    is_simple = all(type(choice) in _SIMPLE for choice in choices)
    return _remembered(name, *choices) if is_simple else _worked_out(name, *choices)


def _worked_out(name: str, *choices: Any) -> tuple[list[str], list[Any]]:
    texts = _texts(name, list(choices))
    return texts, _keys(texts)


_remembered = lru_cache(maxsize=1024, typed=True)(_worked_out)  # by type, for to Python True is 1


def _texts(name: str, choices: list[Any]) -> list[str]:
    try:
        return [_json(plain(choice)) for choice in choices]
    except ValueError as error:
        raise ValueError(f"a choice of {name!r} cannot be written as JSON: {error}") from None


def _keys(texts: list[str]) -> list[Any]:
    """Return what Optuna knows the choices by: themselves, or their JSON if it could not tell them apart."""
    values = [json.loads(text) for text in texts]
    is_known_by_value = not any(isinstance(value, list | dict) for value in values)
    # To Python, and so to Optuna, True is 1 and 1 is 1.0.
    return values if is_known_by_value and len(set(values)) == len(set(texts)) else texts


def _are_texts(keys: list[Any]) -> bool:
    """Whether keys are the JSON of the choices, not the choices themselves."""
    try:
        return _keys(keys) == keys
    except (TypeError, ValueError):  # no text, or no JSON
        return False


def _key_of(answer: Any, keys: list[Any], texts: list[str]) -> Any:
    """Return the key of a choice that is named by itself, as in a start configuration, or by its key."""
    text = _json(answer)
    if text in texts:
        return keys[texts.index(text)]
    return keys[keys.index(answer)] if answer in keys else answer


def _json(value: Any) -> str:
    return json.dumps(value, sort_keys=True, ensure_ascii=False)
