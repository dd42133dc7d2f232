"""An Optuna trial as a search space sees it, so that any plain value can be a choice.

Optuna keeps a categorical parameter by its choices, which must be None, booleans, numbers or strings, all different. A
space may as well choose among tuples, lists, dictionaries or NumPy's numbers: Optuna and the journal then know the
choices by their JSON, and `suggest` gets back what it listed.
"""

from __future__ import annotations

import copy
import difflib
import json
import warnings
from collections.abc import Iterable, Mapping, MutableMapping, Sequence
from functools import lru_cache
from typing import Any

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from tuner.search.plain import plain

_SIMPLE = frozenset({str, bool, int, type(None)})
"""Kinds of choices of which equal ones are the same, so that what they are known by is worked out once."""
_QUESTIONS = ("suggest_float", "suggest_int", "suggest_categorical")


class ParameterError(ValueError):
    """A parameter that cannot be as it is asked for; its text says what of it is wrong."""

    def __init__(self, name: str, reason: str) -> None:
        """Take the parameter's name and what is wrong."""
        super().__init__(f"parameter {name!r}: {reason}")


class LackingError(ValueError):
    """A parameter is asked for of which fixed values say nothing."""

    def __init__(self, name: str) -> None:
        """Take the parameter's name."""
        self.name = name
        super().__init__(f"no value is given for parameter {name!r}")


class OutsideError(ValueError):
    """A fixed value is none of those that its parameter may have."""

    def __init__(self, name: str, value: Any, distribution: BaseDistribution) -> None:
        """Take the parameter's name, the value and what it should be of."""
        self.name, self.value, self.law = name, value, law_of([distribution])
        super().__init__(f"{value!r} is given for parameter {name!r}, but must {self.law}")


class AskedTrial:
    """What `suggest` is given: Optuna's trial, with categorical choices of every plain kind."""

    def __init__(self, trial: optuna.trial.BaseTrial, answers: MutableMapping[str, Any] | None = None) -> None:
        """Ask `trial`; of a `FixedTrial`, `answers` is the very dictionary of values that it was made with."""
        self._trial = trial
        self._answers = answers
        self._chosen: dict[str, Any] = {}

    @property
    def params(self) -> dict[str, Any]:
        """What was suggested so far, by name."""
        return {**self._trial.params, **self._chosen}

    def suggest_float(self, name: str, *bounds: Any, **options: Any) -> float:
        """See `optuna.Trial.suggest_float`; raises ParameterError for what cannot be a range."""
        found: float = self._number("suggest_float", name, bounds, options)
        return found

    def suggest_int(self, name: str, *bounds: Any, **options: Any) -> int:
        """See `optuna.Trial.suggest_int`; raises ParameterError for what cannot be a range."""
        found: int = self._number("suggest_int", name, bounds, options)
        return found

    def suggest_categorical(self, name: str, choices: Iterable[Any]) -> Any:
        """Return one of the choices, which may be tuples, lists, dictionaries and NumPy's numbers too.

        Raises:
            ParameterError: if there is no choice, or it is a text and no list of choices.
            ValueError: if a choice has no plain form (see `plain`).
        """
        if isinstance(choices, str):
            raise ParameterError(_name(name), f"its choices are {choices!r}, but must be a list, such as [{choices!r}]")
        listed = list(choices)
        texts, keys = _texts_and_keys(_name(name), listed)
        if self._answers is not None and name in self._answers and keys:
            self._answers[name] = _key_of(self._answers[name], keys, texts)
            if self._answers[name] not in keys:
                raise OutsideError(name, self._answers[name], CategoricalDistribution(keys))
        chosen = listed[keys.index(self._asked("suggest_categorical", name, keys))]
        self._chosen[name] = copy.deepcopy(chosen)
        return copy.deepcopy(chosen)

    def __getattr__(self, attribute: str) -> Any:
        try:
            return getattr(self._trial, attribute)
        except AttributeError:
            near = difflib.get_close_matches(attribute, _QUESTIONS, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"it has: {', '.join(_QUESTIONS)}"
            raise AttributeError(f"a trial has no {attribute!r}; {hint}") from None

    def _number(self, method: str, name: str, bounds: tuple[Any, ...], options: dict[str, Any]) -> Any:
        name, low_and_high = _name(name), tuple(_bound(name, one) for one in bounds)
        given = {key: _bound(name, option) for key, option in options.items()}
        if self._answers is not None and name in self._answers:
            distribution = _range(method, name, low_and_high, given)
            if not _holds(distribution, self._answers[name]):
                raise OutsideError(name, self._answers[name], distribution)
        return self._asked(method, name, *low_and_high, **given)

    def _asked(self, method: str, name: str, *given: Any, **options: Any) -> Any:
        """Return what Optuna answers, and say of which parameter it is what it refuses."""
        if self._answers is not None and name not in self._answers:
            raise LackingError(name)
        try:
            return getattr(self._trial, method)(name, *given, **options)
        except (TypeError, ValueError) as error:
            raise ParameterError(name, _reason(error, given, options)) from error


def law_of(met: Sequence[BaseDistribution]) -> str:
    """Return what a value must be for a parameter that was met with these distributions, behind "must"."""
    if isinstance(met[0], CategoricalDistribution):
        return f"be one of: {', '.join(map(repr, met[0].choices))}."
    numbers = [one for one in met if isinstance(one, FloatDistribution | IntDistribution)]
    steps = {one.step for one in numbers} - {None, 1}
    by = f" in steps of {steps.pop()}" if len(numbers) == len(steps) == 1 else ""
    return f"be a number from {min(one.low for one in numbers)} to {max(one.high for one in numbers)}{by}."


def _bound(name: str, value: Any) -> Any:
    try:
        return plain(value)
    except ValueError as error:
        raise ParameterError(name, str(error)) from None


def _range(method: str, name: str, bounds: tuple[Any, ...], options: dict[str, Any]) -> BaseDistribution:
    kind: Any = FloatDistribution if method == "suggest_float" else IntDistribution
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Optuna itself will say it once more
            made: BaseDistribution = kind(*bounds, **options)
    except (TypeError, ValueError) as error:
        raise ParameterError(name, _reason(error, bounds, options)) from error
    return made


def _holds(distribution: BaseDistribution, value: Any) -> bool:
    return isinstance(value, int | float) and distribution._contains(distribution.to_internal_repr(value))


def _reason(error: Exception, bounds: tuple[Any, ...], options: Mapping[str, Any]) -> str:
    """Return what is wrong with a range, or what Optuna says of it where it is nothing that we know."""
    given = {**dict(zip(("low", "high"), bounds, strict=False)), **options}
    for which in ("low", "high"):
        if which in given and not isinstance(given[which], int | float):
            return f"{which} is {given[which]!r}, but must be a number"
    low, high = given.get("low"), given.get("high")
    if low is not None and high is not None and low > high:
        return f"low is {low}, but must not be above high, which is {high}"
    if low is not None and given.get("log") and low <= 0:
        return f"low is {low}, but must be above 0 where log=True"
    return " ".join(str(error).split()).rstrip(".")


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
