from __future__ import annotations

from collections.abc import Callable

import pytest

from tuner.errors import ConfigError, SpaceError
from tuner.models import get_model
from tuner.search.space import SearchSpace, available_spaces, load_space
from tuner.training.hparams import TrainingHparams

GOOD = 'MODEL = "cnn"\nSTART = [{}]\ndef suggest(trial):\n    return {}\n'

MakeSpace = Callable[[str], SearchSpace]


@pytest.mark.parametrize("name", available_spaces())
def test_every_registered_space_suits_its_model(name: str) -> None:
    space = load_space(name)
    model = get_model(space.model)
    assert model.defaults is not None
    space.check({*model.defaults, *TrainingHparams.names()})
    for index in range(len(space.start)):
        hparams = space.hparams_of_start(index)
        TrainingHparams.of(hparams)
        model.build(hparams)


def test_the_cnn_space_tries_the_reference_first() -> None:
    hparams = load_space("cnn").hparams_of_start(0)
    model = get_model("cnn")
    assert model.defaults is not None
    assert {name: hparams[name] for name in model.defaults} == model.defaults
    assert TrainingHparams.of(hparams) == TrainingHparams()


def test_an_unknown_space_lists_those_that_exist() -> None:
    with pytest.raises(ConfigError, match=r"--space is 'cmm', but must be one of: a path to a \.py file, cnn"):
        load_space("cmm")


def test_a_missing_file_is_named() -> None:
    with pytest.raises(SpaceError, match=r"absent\.py', but there is no such file"):
        load_space("somewhere/absent.py")


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("def suggest(", "cannot be imported: SyntaxError"),
        ("import no_such_module", "cannot be imported: ModuleNotFoundError"),
        (GOOD.replace("def suggest", "def propose"), r"must define suggest\(trial\)"),
        (GOOD.replace('MODEL = "cnn"', ""), "must define MODEL"),
        (GOOD.replace("START = [{}]", "START = []"), "must define START"),
        (GOOD.replace("START = [{}]", "START = [3]"), "must define START"),
    ],
)
def test_a_space_that_cannot_be_loaded_says_why(make_space: MakeSpace, source: str, message: str) -> None:
    with pytest.raises(SpaceError, match=message):
        make_space(source)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("return {'x': 1 / 0}", "raised ZeroDivisionError"),
        ("return [1]", r"returned \[1\], but must return a dictionary"),
        ("return {1: 2}", "must return a dictionary of hyperparameters by name"),
        ("return {'widht': 3}", "returns hyperparameter 'widht', which neither .* known are: .*x"),
        ("return {'x': trial.suggest_float('z', 0, 1)}", "raised ValueError: .*'z'"),
        ("return {'x': {1, 2}}", r"returns hyperparameter 'x' = \{1, 2\}, which cannot be written as JSON: .*set"),
        ("return {'x': {1: 16}}", r"which cannot be written as JSON: it has the key 1, but keys must be strings"),
        ("return {'x': float('inf')}", "returns hyperparameter 'x' = inf, .* it is inf, but numbers must be finite"),
        ("return {'x': trial.suggest_categorical('z', [int, str])}", "a choice of 'z' cannot be written as JSON"),
        ("x = []; x.append(x); return {'x': x}", "which cannot be written as JSON: it is nested more than"),
    ],
)
def test_a_space_that_misbehaves_is_found_out_before_the_study(make_space: MakeSpace, body: str, message: str) -> None:
    space = make_space(GOOD.replace("return {}", body))
    with pytest.raises(SpaceError, match=message):
        space.check({"x"})


def test_a_branch_the_start_does_not_take_is_checked_too(make_space: MakeSpace) -> None:
    body = "x = trial.suggest_float('x', 0, 1)\n    return {'x': x} if x < 0.5 else {'typo': x}"
    space = make_space(GOOD.replace("START = [{}]", "START = [{'x': 0.1}]").replace("return {}", body))
    with pytest.raises(SpaceError, match="'typo'"):
        space.check({"x"})


def test_a_model_of_the_users_own_may_read_anything(make_space: MakeSpace) -> None:
    space = make_space(GOOD.replace("return {}", "return {'anything': 1}").replace('"cnn"', "lambda hparams: None"))
    space.check(None)


def test_the_hash_follows_the_file(make_space: MakeSpace) -> None:
    assert make_space(GOOD).sha256 != make_space(GOOD + "\n").sha256
