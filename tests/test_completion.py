"""Tests of `tuner.completion`: the shells themselves say what they would offer."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tuner.__main__ import available_commands
from tuner.completion import arguments_of, script
from tuner.errors import ConfigError

SUMMARIES = {name: text for name, text in available_commands().items() if name in ("run", "new", "report", "replay")}
"""Those that need no torch, to be quick."""

OFFERED = [
    ("tuner re", ["replay", "report"]),
    ("tuner run --retrain", ["--retrain-epochs", "--retrain-seeds"]),
    ("tuner run --direction ", ["maximize", "minimize"]),
    ("tuner run --preset s", ["smoke"]),
    ("tuner run --scheduler h", ["hyperband"]),
    ("tuner new --kind sk", ["sklearn"]),
    ("tuner report --jou", ["--journal"]),
    ("tuner report some", ["somewhere.py"]),
    ("tuner run --space some", ["somewhere.py"]),
    ("tuner run --space cn", ["cnn"]),
    ("tuner run --trials ", []),
]

BASH = """\
source ./completion
read -ra COMP_WORDS <<< "$1"
[[ $1 == *" " ]] && COMP_WORDS+=("")
COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
_tuner
printf '%s\\n' "${COMPREPLY[@]}"
"""
ASK = {
    "bash": ["bash", "-c", BASH, "bash"],
    "fish": ["fish", "-c", "source ./completion; complete -C $argv[1]", "--"],
}


@pytest.fixture(scope="module", params=["bash", "fish", "zsh"])
def shell(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    """Return a shell that is installed, and a folder with its script."""
    if shutil.which(request.param) is None:
        pytest.skip(f"needs {request.param}")
    folder = tmp_path_factory.mktemp(request.param)
    (folder / "completion").write_text(script(request.param, SUMMARIES))
    (folder / "somewhere.py").touch()
    return request.param, folder


def test_the_script_is_one_that_the_shell_can_read(shell: tuple[str, Path]) -> None:
    name, folder = shell
    subprocess.run([name, "-n", "completion"], cwd=folder, check=True)


@pytest.mark.parametrize(("line", "offered"), OFFERED)
@pytest.mark.parametrize("shell", ASK, indirect=True)  # zsh completes in a terminal alone
def test_the_shell_offers_what_can_follow(shell: tuple[str, Path], line: str, offered: list[str]) -> None:
    name, folder = shell
    found = subprocess.run([*ASK[name], line], cwd=folder, capture_output=True, text=True, check=True)
    assert sorted(one.split("\t")[0] for one in found.stdout.split("\n") if one) == offered


def test_every_argument_of_every_command_is_known_to_it() -> None:
    names = {name: [one.name for one in arguments_of(name)] for name in SUMMARIES}
    assert names["new"] == ["NAME", "--kind"]
    assert {"--budget", "--baseline", "--retrain-seeds"} <= set(names["run"])


def test_an_unknown_shell_is_told_with_those_there_are() -> None:
    with pytest.raises(ConfigError, match="--completion is 'tcsh', but must be one of: bash, fish, zsh"):
        script("tcsh", SUMMARIES)
