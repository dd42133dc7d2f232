"""Tests of `tuner.cli`: what a user reads when the command line is wrong."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

import pytest
import tyro

from tuner.cli import main, parse
from tuner.errors import ConfigError, TunerError


@dataclass(frozen=True)
class Search:
    trials: int = 32
    """How many; --never-a-flag is only mentioned here."""
    max_hours: float | None = None
    widths: tuple[int, int] = (1, 2)
    names: tuple[str, ...] = ("a",)


@dataclass(frozen=True)
class Config:
    folder: tyro.conf.Positional[Path]
    search: Search = field(default_factory=Search)
    scheduler: Literal["asha", "none"] = "asha"
    quiet: bool = False


@dataclass(frozen=True)
class Refusing:
    trials: int = 1

    def __post_init__(self) -> None:
        if self.trials < 1:
            raise ConfigError(f"trials is {self.trials}, but must be at least 1.")


def read(*args: str) -> Config:
    return parse(Config, args, prog="command", config=(tyro.conf.OmitArgPrefixes,))


def test_absent_flags_take_the_default_given_and_flags_win_over_it() -> None:
    default = Config(Path("a"), Search(trials=7), "none")
    config = parse(Config, ["b", "--search.max-hours", "2"], prog="command", default=default)
    assert config == Config(Path("b"), Search(trials=7, max_hours=2.0), "none")


@pytest.mark.parametrize("args", [["--names", "a,b", "r"], ["--names=a,b", "r"], ["r", "--names", "a,b"]])
def test_a_list_is_given_with_commas_and_swallows_nothing_behind_it(args: list[str]) -> None:
    assert read(*args) == Config(Path("r"), Search(names=("a", "b")))


@pytest.mark.parametrize(
    ("args", "sentence"),
    [
        (["r", "--trials", "many"], "--trials is 'many', but must be a whole number."),
        (["r", "--trials=1.5"], "--trials is '1.5', but must be a whole number."),
        (["r", "--trials", "3", "--trials", "x"], "--trials is 'x', but must be a whole number."),
        (["r", "--max_hours", "long"], "--max-hours is 'long', but must be a number or None."),
        (["r", "--scheduler", "pbt"], "--scheduler is 'pbt', but must be one of: asha, none."),
        (["r", "--names"], "--names lacks a value; it must be a list with commas."),
        (["r", "--trials"], "--trials lacks a value; it must be a whole number."),
        (["r", "--trails", "3"], "'--trails' is not an argument of command; did you mean --trials?"),
        (["r", "--xy"], "'--xy' is not an argument of command; available: "),
        (["r", "stray"], "'stray' is not an argument of command; available: "),
        ([], "command needs a value for: folder."),
    ],
)
def test_a_wrong_command_line_is_told_in_one_sentence(args: list[str], sentence: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read(*args)
    assert str(caught.value).startswith(sentence)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("columns", ["40", "80", "250"])
def test_an_unknown_flag_lists_exactly_the_flags_there_are(columns: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    with pytest.raises(ConfigError) as caught:
        read("r", "--xy")
    listed = str(caught.value).split("available: ")[1].rstrip(".").split(", ")
    assert sorted(listed) == ["--max-hours", "--names", "--quiet", "--scheduler", "--trials", "--widths"]


def test_a_config_that_refuses_its_values_is_heard() -> None:
    with pytest.raises(ConfigError, match=r"trials is 0, but must be at least 1."):
        parse(Refusing, ["--trials", "0"], prog="command")


def test_a_value_error_of_the_config_becomes_a_config_error() -> None:
    @dataclass(frozen=True)
    class Odd:
        n: Annotated[int, tyro.conf.arg(help="odd")] = 1

        def __post_init__(self) -> None:
            if self.n % 2 == 0:
                raise ValueError("n must be odd")

    with pytest.raises(ConfigError, match="n must be odd"):
        parse(Odd, ["--n", "2"], prog="command")


def test_help_goes_to_stdout_with_exit_code_0(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        read("--help")
    assert not caught.value.code
    assert "--trials" in capsys.readouterr().out


@pytest.mark.parametrize(("returned", "code"), [(None, 0), (0, 0), (3, 3)])
def test_a_command_exits_with_what_it_returns(returned: int | None, code: int) -> None:
    with pytest.raises(SystemExit) as caught:
        main(lambda: returned)
    assert caught.value.code == code


def test_a_users_error_is_one_line_on_stderr_and_exit_code_2(capsys: pytest.CaptureFixture[str]) -> None:
    def fail() -> None:
        raise TunerError("first\n  second")

    with pytest.raises(SystemExit) as caught:
        main(fail)
    printed = capsys.readouterr()
    assert (caught.value.code, printed.out, printed.err) == (2, "", "error: first second\n")


def test_a_bug_keeps_its_traceback() -> None:
    with pytest.raises(ZeroDivisionError):
        main(lambda: 1 // 0)


@pytest.mark.parametrize(
    "code",
    [
        "from tuner.cli import main; main(lambda: print('x\\n' * 1_000_000))",
        "from tuner.cli import main; main(lambda: print('x'))",
        "from tuner.cli import main; from tuner.new import run; main(lambda: run(['--help']))",
    ],
    ids=["much", "what fits into a buffer", "help"],
)
def test_a_reader_that_leaves_early_causes_no_traceback(code: str) -> None:
    waiting = f"import sys; sys.stdin.read(); {code}"
    with subprocess.Popen(
        [sys.executable, "-c", waiting], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as command:
        assert command.stdin is not None
        assert command.stdout is not None
        assert command.stderr is not None
        command.stdout.close()
        command.stdin.close()
        assert command.stderr.read() == b""
        assert command.wait(timeout=30) == 1


@pytest.mark.parametrize(
    ("option", "code"),
    [
        ("-b", "print('x\\n' * 1_000_000)"),
        ("-b", "print('x')"),
        ("-b", "__import__('tuner.new').new.run(['--help'])"),
        ("-u", "print('x')"),
    ],
    ids=["much", "what fits into a buffer", "help", "unbuffered"],
)
def test_a_full_disk_is_told_in_one_sentence(option: str, code: str) -> None:
    command = [sys.executable, option, "-c", f"from tuner.cli import main; main(lambda: {code})"]
    with Path("/dev/full").open("w") as full:
        found = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert found.stderr == "error: the output cannot be written: No space left on device.\n"
    assert found.returncode == 2


def test_an_error_that_cannot_be_told_keeps_its_exit_code() -> None:
    command = "from tuner.cli import main; from tuner.report import run; main(lambda: run(['nowhere']))"
    with Path("/dev/full").open("w") as full:
        assert subprocess.run([sys.executable, "-c", command], stderr=full, check=False).returncode == 2


def test_an_error_of_another_file_is_a_bug_and_keeps_its_traceback() -> None:
    def fail() -> None:
        with Path("/dev/full").open("w") as full:
            full.write("x")

    with pytest.raises(OSError, match="No space left"):
        main(fail)


@pytest.mark.parametrize("closed", [">&-", "2>&-", ">&- 2>&-"])
def test_a_command_whose_output_is_closed_does_its_work(closed: str) -> None:
    code = "import sys; from tuner.cli import main; main(lambda: print('x') or print('y', file=sys.stderr))"
    found = subprocess.run(["sh", "-c", f'"$0" -c "$1" {closed}', sys.executable, code], check=False)
    assert found.returncode == 0


@pytest.mark.parametrize(
    ("encoding", "expected"), [("ascii", "0.5 +-0.1 caf\\xe9 \\udcff ?\n"), ("utf-8", "0.5 ±0.1 café \\udcff \ufffd\n")]
)
def test_what_the_terminal_cannot_show_is_written_in_other_characters(encoding: str, expected: str) -> None:
    text = "0.5 ±0.1 café \udcff \ufffd"
    shown = f"print({text!a}) or print({text!a}, file=sys.stderr)"
    code = f"import sys; from tuner.cli import main; main(lambda: {shown})"
    found = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONIOENCODING": encoding},
        capture_output=True,
        check=False,
    )
    assert (found.returncode, found.stdout.decode(encoding), found.stderr.decode(encoding)) == (0, expected, expected)
