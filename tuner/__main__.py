"""The command `tuner`: one name for all commands, each imported only when it is asked for."""

from __future__ import annotations

import difflib
import sys
from collections.abc import Callable, Sequence
from functools import partial
from importlib import import_module
from importlib.metadata import version
from importlib.util import find_spec
from typing import NoReturn

from tuner import exits
from tuner.errors import ConfigError

_SUMMARIES = {
    "run": "Find the best configuration, retrain it and report its score.",
    "new": "Write a file to start from: your data, your training, your metric.",
    "describe": "See what is in a data set and what a model is made of.",
    "serve": "Watch your runs in the browser while they train.",
    "report": "Write a run's tables and its report again.",
    "predict": "Ask a run's best model about your images.",
    "export": "Take a run or its model to another tool.",
    "replay": "Check that a run's decisions follow from its journal.",
    "doctor": "Check this machine, and learn how to mend what is missing.",
}
_HELP = """\
usage: tuner COMMAND [ARGUMENTS]

Give it a search space and a budget. Get back the best configuration, retrained, with every number behind it.

commands:
{commands}

Try it:
  tuner run --preset smoke      a whole study in half a minute, without a download
  tuner new mine                a file with a training of your own, ready to run

Learn more:
  tuner COMMAND --help          what a command does and what you can tell it
  tuner --completion SHELL      let your shell complete commands: bash, zsh or fish
  tuner --version
"""


def available_commands() -> dict[str, str]:
    """Return what each command does, by name."""
    return {name: text for name, text in _SUMMARIES.items() if find_spec(f"tuner.{name}") is not None}


def main() -> NoReturn:
    """Do what the command line says."""
    name, *args = sys.argv[1:] or ["--help"]
    if name == "run":
        from tuner.run import main as run_study  # which starts Ray while it imports the rest

        run_study(args)
    exits.main(partial(_run, name, args))


def _run(name: str, args: Sequence[str]) -> int | None:
    if name in ("-h", "--help"):
        print(help_text(), end="")
        return exits.EXIT_DONE
    if name == "--version":
        print(f"tuner {version('tuner')}")
        return exits.EXIT_DONE
    if name == "--completion":
        if not args:
            raise ConfigError("--completion lacks a value; it must be one of: bash, fish, zsh.")
        from tuner.completion import script

        print(script(args[0], available_commands()), end="")
        return exits.EXIT_DONE
    if name not in available_commands():
        raise _unknown(name)
    run: Callable[[Sequence[str]], int | None] = import_module(f"tuner.{name}").run
    return run(args)


def help_text() -> str:
    """Return what `tuner --help` prints."""
    commands = available_commands()
    width = max(map(len, commands))
    return _HELP.format(commands="\n".join(f"  {name:<{width}}  {text}" for name, text in commands.items()))


def _unknown(name: str) -> ConfigError:
    commands = available_commands()
    close = difflib.get_close_matches(name, commands, n=1)
    hint = f"did you mean {close[0]!r}?" if close else f"available: {', '.join(commands)}."
    return ConfigError(f"{name!r} is no command of tuner; {hint}")


if __name__ == "__main__":
    main()
