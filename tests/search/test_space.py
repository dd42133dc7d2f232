from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tuner.errors import ConfigError, SpaceError
from tuner.search.space import SearchSpace, available_spaces, load_space

GOOD = 'MODEL = "cnn"\nSTART = [{}]\ndef suggest(trial):\n    return {}\n'

MakeSpace = Callable[[str], SearchSpace]


def test_an_unknown_space_lists_those_that_exist() -> None:
    with pytest.raises(ConfigError, match=r"--space is 'cmm', but must be one of: a path to a \.py file, cnn"):
        load_space("cmm")


def test_a_file_that_is_named_without_its_ending_is_proposed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mine.py").write_text(GOOD)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match=r"--space is 'mine', .* or one of: cnn, .*; did you mean 'mine\.py'\?"):
        load_space("mine")


def test_a_missing_file_is_named() -> None:
    with pytest.raises(SpaceError, match=r"absent\.py', but there is no such file"):
        load_space("somewhere/absent.py")


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("def suggest(", "cannot be imported: SyntaxError"),
        ("import no_such_module", "cannot be imported: ModuleNotFoundError"),
        (GOOD.replace("def suggest", "def propose"), r"must define suggest\(trial\)"),
        (
            "def objective(trial):\n    return 1.0\n",
            r"must define suggest\(trial\)\. To tune its objective\(trial\) as it stands: --objective .*:objective, in",
        ),
        (GOOD.replace("START = [{}]", "START = []"), "START of space .* must be a list of at least one dictionary"),
        (GOOD.replace("START = [{}]", "START = [3]"), "START of space .* must be a list of at least one dictionary"),
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
        ("return {'x': trial.suggest_float('z', 0, 1)}", r"START\[0\] of space .* lacks 'z', which .*; it is empty"),
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


def test_a_space_without_a_start_has_a_random_reference_that_is_always_the_same(make_space: MakeSpace) -> None:
    space = make_space("def suggest(trial):\n    return {'x': trial.suggest_float('x', 0, 1)}\n")
    assert space.start == ()
    assert space.reference() == space.reference()
    assert 0 < space.reference()["x"] < 1


def test_the_reference_is_the_first_start(make_space: MakeSpace) -> None:
    assert make_space(GOOD.replace("return {}", "return {'x': 3}")).reference() == {"x": 3}


def test_the_nearest_known_name_is_proposed(make_space: MakeSpace) -> None:
    space = make_space(GOOD.replace("return {}", "return {'learning_rte': 3}"))
    with pytest.raises(SpaceError, match=r"'learning_rte', which neither .* did you mean 'learning_rate'\?"):
        space.check({"learning_rate", "units"})


def test_the_spaces_that_come_with_us_are_found() -> None:
    assert available_spaces() == ["cnn", "digits", "resnet"]


LINE = "def suggest(trial):\n    b = 1\n    return {{'x': trial.{}}}\n"


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ("suggest_float('a', '1e-3', 1.0, log=True)", "fails at parameter 'a': low is '1e-3', but must be a number"),
        ("suggest_float('a', 1e-3, None)", "fails at parameter 'a': high is None, but must be a number"),
        ("suggest_float('a', 1.0, high=0.1)", "parameter 'a': low is 1.0, but must not be above high, which is 0.1"),
        ("suggest_int('a', 0, 9, log=True)", "parameter 'a': low is 0, but must be above 0 where log=True"),
        ("suggest_float('a', 1, float('inf'))", "parameter 'a': it is inf, but numbers must be finite"),
        ("suggest_int('a', 1, 9, stepp=2)", "parameter 'a': .*stepp"),
        (
            "suggest_categorical('a', 'abc')",
            r"parameter 'a': its choices are 'abc', but must be a list, such",
        ),
        ("suggest_categorical('a', [])", "parameter 'a': "),
        ("sugest_float('a', 0, 1)", "AttributeError: a trial has no 'sugest_float'; did you mean 'suggest_float'"),
        ("draw('a')", "a trial has no 'draw'; it has: suggest_float, suggest_int, suggest_categorical"),
    ],
)
@pytest.mark.parametrize("start", ["", "START = [{'a': 0.5}]\n"])
def test_a_parameter_that_cannot_be_is_named_with_its_line(
    make_space: MakeSpace, asked: str, message: str, start: str
) -> None:
    space = make_space(LINE.format(asked) + start)
    with pytest.raises(SpaceError, match=rf"{message}.* \(.*\.py, line 3\)$"):
        space.check(None)


BRANCHES = """
def suggest(trial):
    x = trial.suggest_float("x", 0.1, 1.0)
    if trial.suggest_categorical("kind", ["plain", "deep"]) == "deep":
        return {"x": x, "n": trial.suggest_int("n", 1, 9, step=2)}
    return {"x": x}
"""


@pytest.mark.parametrize(
    ("start", "message"),
    [
        (
            {"xx": 0.5, "kind": "deep"},
            r"START\[1\] .* lacks 'x', which suggest\(\) asks for; it has: xx, kind\.",
        ),
        (
            {"x": 5.0, "kind": "plain"},
            r"START\[1\] .* is 5\.0 for parameter 'x', but must be a number from 0\.1 to",
        ),
        (
            {"x": "0.5", "kind": "plain"},
            "is '0.5' for parameter 'x', but must be a number from 0.1 to 1.0",
        ),
        ({"x": 0.5, "kind": "deep", "n": 4}, "is 4 for parameter 'n', but must be a number from 1 to 9 in steps of 2"),
        ({"x": 0.5, "kind": "depp"}, "is 'depp' for parameter 'kind', but must be one of: 'plain', 'deep'"),
        (
            {"x": 0.5, "kind": "plain", "kinds": 1},
            r"START\[1\] .* is 1 for 'kinds', but .* did you mean 'kind'",
        ),
    ],
)
def test_a_start_that_does_not_fit_says_which_and_what_would(
    make_space: MakeSpace, start: dict[str, object], message: str
) -> None:
    space = make_space(f"START = [{{'x': 0.5, 'kind': 'plain'}}, {start}]\n{BRANCHES}")
    with pytest.raises(SpaceError, match=message):
        check_all(space)


def check_all(space: SearchSpace) -> None:
    space.check(None)
    space.check_starts()


@pytest.mark.parametrize("more", ["'note': 'from the paper'", "'y': 0.3"])
def test_a_start_may_hold_what_is_hardly_ever_asked_for_and_is_told_of_it(make_space: MakeSpace, more: str) -> None:
    rare = """
def suggest(trial):
    hparams = {"x": trial.suggest_float("x", 0.0, 1.0)}
    if hparams["x"] > 0.9999:
        hparams["y"] = trial.suggest_float("y", 0.0, 1.0)
    return hparams
"""
    space = make_space(f"START = [{{'x': 0.5, {more}}}]\n{rare}")
    space.check(None)
    name, value = more.split(": ")
    (notice,) = space.check_starts()
    assert f"is {value} for {name}, which suggest() asked for in none of 200 random configurations" in notice
    assert notice.endswith("it has no effect, unless a rare one does; known are: x.")


def test_a_start_may_name_a_parameter_of_another_branch(make_space: MakeSpace) -> None:
    space = make_space(f"START = [{{'x': 0.5, 'kind': 'plain', 'n': 3}}]\n{BRANCHES}")
    assert space.check(None)[0] == {"x": 0.5}
    assert space.check_starts() == []
