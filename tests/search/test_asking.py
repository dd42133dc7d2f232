from __future__ import annotations

from typing import Any

import numpy as np
import optuna
import pytest
from optuna.distributions import distribution_to_json, json_to_distribution

from tuner.search.asking import AskedTrial, key_of
from tuner.search.plain import plain
from tuner.search.quiet import quiet_study
from tuner.search.rung_study import RungStudy

CHOICES: dict[str, list[Any]] = {
    "tuples": [(3, 3), (5, 5)],
    "lists": [[16], [32, 16]],
    "dictionaries": [{"name": "adam"}, {"name": "sgd", "momentum": 0.9}],
    "mixed": [None, "(3, 3)", (3, 3), 3],
    "equal to Python": [True, 1, 1.0, 0, False],
    "numpy": list(np.arange(16, 65, 16)),
    "plain": ["adam", "sgd", None, 2, 0.5],
    "unicode": ["größe", "大小"],
}


def drawn(choices: list[Any]) -> list[tuple[optuna.Trial, Any]]:
    """Every choice once, as Optuna knows it and as the space gets it."""
    first = quiet_study().ask()
    AskedTrial(first).suggest_categorical("c", choices)
    (known,) = (getattr(one, "choices", ()) for one in first.distributions.values())
    assert len(known) == len(choices)
    answers = []
    for place in range(len(choices)):
        study = quiet_study()
        study.enqueue_trial({"c": known[place]})
        trial = study.ask()
        answers.append((trial, AskedTrial(trial).suggest_categorical("c", choices)))
    return answers


@pytest.mark.parametrize("choices", CHOICES.values(), ids=CHOICES)
def test_a_space_gets_back_the_choice_as_it_listed_it(choices: list[Any]) -> None:
    found = [answer for _, answer in drawn(choices)]
    assert [(type(answer), answer) for answer in found] == [(type(choice), choice) for choice in choices]


@pytest.mark.parametrize("choices", CHOICES.values(), ids=CHOICES)
def test_optuna_can_keep_every_choice_and_the_journal_gives_it_back(choices: list[Any]) -> None:
    study = RungStudy()
    for number, (trial, _) in enumerate(drawn(choices)):
        distributions = {"c": json_to_distribution(distribution_to_json(trial.distributions["c"]))}
        assert distributions == trial.distributions
        study.start(number, trial.params, distributions)
        study.complete(number, 0.5)
        assert study.trials[-1].params == trial.params
    assert study.completed == len(choices)


@pytest.mark.parametrize("choices", CHOICES.values(), ids=CHOICES)
def test_a_start_configuration_may_name_the_choice_itself_or_as_the_journal_has_it(choices: list[Any]) -> None:
    for trial, choice in drawn(choices):
        for given in (choice, trial.params["c"]):
            answers = {"c": plain(given)}
            fixed = optuna.trial.FixedTrial(answers)
            found = AskedTrial(fixed, answers).suggest_categorical("c", choices)
            assert (type(found), found) == (type(choice), choice)
            assert fixed.params == trial.params


@pytest.mark.parametrize("choices", CHOICES.values(), ids=CHOICES)
def test_a_choice_is_known_by_its_key_from_the_distribution_alone(choices: list[Any]) -> None:
    for trial, choice in drawn(choices):
        keys = getattr(trial.distributions["c"], "choices", ())
        for given in (choice, trial.params["c"]):
            found = key_of(plain(given), keys)
            assert (type(found), found) == (type(trial.params["c"]), trial.params["c"])
    assert key_of("none of them", ["adam", "sgd"]) == "none of them"


def test_a_choice_that_is_changed_afterwards_changes_nothing() -> None:
    choices = [[16], [32]]
    study = quiet_study()
    asked = AskedTrial(study.ask())
    asked.suggest_categorical("sizes", choices).append(1)
    assert choices == [[16], [32]]
    assert asked.params["sizes"] in choices


def test_a_choice_that_cannot_be_written_down_is_refused_by_the_parameters_name() -> None:
    asked = AskedTrial(quiet_study().ask())
    with pytest.raises(ValueError, match="a choice of 'act' cannot be written as JSON: it is of type type"):
        asked.suggest_categorical("act", [int, float])
    with pytest.raises(ValueError, match="a choice of 'clip' cannot be written as JSON: it is inf"):
        asked.suggest_categorical("clip", [1.0, float("inf")])
    with pytest.raises(ValueError, match="a choice of 'word' cannot be written as JSON"):
        asked.suggest_categorical("word", ["a", "\ud800"])


def test_bounds_may_be_numpys_and_names_must_be_text() -> None:
    trial = quiet_study().ask()
    asked = AskedTrial(trial)
    asked.suggest_int("n", np.int64(1), np.int64(8), log=np.bool_(True))
    asked.suggest_float("x", np.float32(0.5), high=np.float32(1.0))
    assert {json_to_distribution(distribution_to_json(one)) for one in trial.distributions.values()} == set(
        trial.distributions.values()
    )
    with pytest.raises(ValueError, match="a parameter's name is 3, but must be a string"):
        asked.suggest_int(3, 1, 2)  # type: ignore[arg-type]


def test_everything_else_is_optunas() -> None:
    trial = quiet_study().ask()
    asked = AskedTrial(trial)
    asked.set_user_attr("seen", 1)
    assert asked.number == trial.number
    assert trial.user_attrs == {"seen": 1}
