"""What a shell needs to complete the command `tuner`: one script, with nothing of Python in it."""

from __future__ import annotations

import contextlib
import io
import json
import shlex
from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib import import_module

from tuner.data import available_datasets
from tuner.errors import unknown_name
from tuner.help_text import Argument
from tuner.models import available_models
from tuner.new import available_kinds
from tuner.presets import PRESETS
from tuner.search.names import SCHEDULERS, SEARCHERS
from tuner.search.space import available_spaces
from tuner.training.precision import PRECISIONS

_GLOBAL = {
    "--help": "list the commands",
    "--version": "say which version this is",
    "--completion": "print a script such as this one",
}


def script(shell: str, summaries: Mapping[str, str]) -> str:
    """Return the script for a shell, given what each command does by its name.

    Raises:
        ConfigError: for a shell that we do not know.
    """
    writers = {"bash": _bash, "fish": _fish, "zsh": _zsh}
    if shell not in writers:
        raise unknown_name("--completion", shell, writers)
    return writers[shell](summaries, {name: arguments_of(name) for name in summaries})


def arguments_of(command: str) -> list[Argument]:
    """Return what a command can be told, as it says itself."""
    told = io.StringIO()
    with contextlib.redirect_stdout(told), contextlib.suppress(SystemExit):
        import_module(f"tuner.{command}").run(["--help-json"])
    return [Argument(**{**one, "choices": tuple(one["choices"])}) for one in json.loads(told.getvalue())]


def _values(argument: Argument) -> list[str]:
    """Return the values that there are, if they are few; others may be possible besides."""
    known: dict[str, Callable[[], Iterable[str]]] = {
        "--dataset": available_datasets,
        "--kind": available_kinds,
        "--model": available_models,
        "--precision": lambda: PRECISIONS,
        "--preset": lambda: PRESETS,
        "--scheduler": lambda: SCHEDULERS,
        "--searcher": lambda: SEARCHERS,
        "--space": available_spaces,
    }
    return list(known[argument.name]()) if argument.name in known else list(argument.choices)


def _takes_files(argument: Argument) -> bool:
    return argument.name == "--space" or (not _values(argument) and argument.value in ("TEXT", "PATH"))


def _flags(arguments: Sequence[Argument]) -> list[Argument]:
    return [one for one in arguments if one.is_flag]


def _summary(argument: Argument) -> str:
    """Return the beginning of the help, without what shells read as their own."""
    first = argument.help.partition(". ")[0].partition(": ")[0].partition("; ")[0].rstrip(".")
    return "".join(char for char in first if char not in "[]`\\")


def _bash(summaries: Mapping[str, str], arguments: Mapping[str, Sequence[Argument]]) -> str:
    values, flags = [], []
    for command, known in arguments.items():
        names = [one.name for one in _flags(known)] + ["--help", "--help-all"]
        flags.append(f'        {command}) COMPREPLY=($(compgen -W "{" ".join(names)}" -- "$cur")) ;;')
        for one in _flags(known):
            if one.is_switch:
                continue
            files = ' $(compgen -f -- "$cur")' if _takes_files(one) else ""
            offered = f'$(compgen -W "{" ".join(_values(one))}" -- "$cur")' if _values(one) else ""
            values.append(f'        "{command} {one.name}") COMPREPLY=({(offered + files).strip()}); return ;;')
    return f"""\
# Completion of tuner for bash.
_tuner() {{
    local cur="${{COMP_WORDS[COMP_CWORD]}}" before="${{COMP_WORDS[COMP_CWORD-1]}}"
    COMPREPLY=()
    if ((COMP_CWORD == 1)); then
        COMPREPLY=($(compgen -W "{" ".join([*summaries, *_GLOBAL])}" -- "$cur"))
        return
    fi
    case "${{COMP_WORDS[1]}} $before" in
        "--completion --completion") COMPREPLY=($(compgen -W "bash fish zsh" -- "$cur")); return ;;
{chr(10).join(values)}
    esac
    if [[ $cur != -* ]]; then
        COMPREPLY=($(compgen -f -- "$cur"))
        return
    fi
    case "${{COMP_WORDS[1]}}" in
{chr(10).join(flags)}
    esac
}}
complete -o filenames -F _tuner tuner
"""


def _zsh(summaries: Mapping[str, str], arguments: Mapping[str, Sequence[Argument]]) -> str:
    commands = "\n".join(
        f"        {shlex.quote(f'{name}:{text}'.replace(': ', ', '))}"
        for name, text in {**summaries, **_GLOBAL}.items()
    )
    cases = []
    for command, known in arguments.items():
        specs = [_zsh_spec(one) for one in _flags(known)]
        specs += ["'--help[the first of it]'", "'--help-all[all that it can be told]'", "'*:file:_files'"]
        cases.append(f"        {command}) _arguments {' '.join(specs)} ;;")
    return f"""\
#compdef tuner
# Completion of tuner for zsh.
_tuner() {{
    local -a commands
    commands=(
{commands}
    )
    if ((CURRENT == 2)); then
        _describe command commands
        return
    fi
    local command=$words[2]
    shift words
    ((CURRENT--))
    case $command in
        --completion) compadd bash fish zsh ;;
{chr(10).join(cases)}
    esac
}}
if [[ $funcstack[1] == _tuner ]]; then
    _tuner "$@"
else
    compdef _tuner tuner
fi
"""


def _zsh_spec(argument: Argument) -> str:
    if argument.is_switch:
        return shlex.quote(f"{argument.name}[{_summary(argument)}]")
    offered = f"({' '.join(_values(argument))})" if _values(argument) else ""
    action = offered or ("_files" if _takes_files(argument) else " ")
    return shlex.quote(f"{argument.name}=[{_summary(argument)}]:{argument.value}:{action}")


def _fish(summaries: Mapping[str, str], arguments: Mapping[str, Sequence[Argument]]) -> str:
    lines = ["# Completion of tuner for fish."]
    for name, text in summaries.items():
        lines.append(f"complete -c tuner -f -n __fish_use_subcommand -a {name} -d {_fish_quote(text)}")
    for name, text in _GLOBAL.items():
        lines.append(
            f"complete -c tuner -f -n __fish_use_subcommand -l {name.removeprefix('--')} -d {_fish_quote(text)}"
        )
    for command, known in arguments.items():
        seen = f"-n '__fish_seen_subcommand_from {command}'"
        for one in _flags(known):
            name, text = one.name.removeprefix("--"), _summary(one)
            offered = f" -a '{' '.join(_values(one))}'" if _values(one) else ""
            takes = "" if one.is_switch else (" -r -F" if _takes_files(one) else " -x") + offered
            lines.append(f"complete -c tuner {seen} -l {name}{takes} -d {_fish_quote(text)}")
        lines.append(f"complete -c tuner {seen} -l help-all -d 'all that it can be told'")
    return "\n".join(lines) + "\n"


def _fish_quote(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"
