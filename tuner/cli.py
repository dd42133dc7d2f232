"""What every command shares: arguments from a dataclass, and what is wrong with them in one sentence."""

from __future__ import annotations

import difflib
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, TypeVar

import tyro
from tyro import _errors as tyro_errors
from tyro.constructors import ConstructorRegistry, PrimitiveConstructorSpec, PrimitiveTypeInfo

from tuner import help_text
from tuner.errors import ConfigError
from tuner.exits import EXIT_DONE
from tuner.exits import main as main
from tuner.paths import at_home

T = TypeVar("T")

Run = Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="RUN")]
"""The run that a command reads, as its first argument: a folder's path or an `s3://` address."""

_LIST = "STR,STR"
_KINDS = {
    "INT": "a whole number",
    "FLOAT": "a number",
    "STR": "text",
    "PATH": "a path",
    "{None}": "None",
    "{auto}": "auto",
    _LIST: "a list with commas",
}
"""tyro's names for what a value may be, in words."""

_CONSTRUCTORS = ConstructorRegistry()


@_CONSTRUCTORS.primitive_rule
def _comma_list(info: PrimitiveTypeInfo) -> PrimitiveConstructorSpec[tuple[str, ...]] | None:
    """Read a tuple of texts as `a,b`, where tyro's own way, `a b`, would swallow what follows."""
    if info.type != tuple[str, ...]:
        return None
    return PrimitiveConstructorSpec(
        nargs=1,
        metavar=_LIST,
        instance_from_str=lambda texts: tuple(texts[0].split(",")),
        is_instance=lambda value: isinstance(value, tuple) and all(isinstance(item, str) for item in value),
        str_from_instance=lambda value: [",".join(value)],
    )


def parse(
    cls: type[T],
    args: Sequence[str] | None = None,
    *,
    prog: str,
    description: str | None = None,
    default: T | None = None,
    config: Sequence[Any] = (),
    basic: Sequence[str] = (),
    examples: Mapping[str, str] | None = None,
) -> T:
    """Return a `cls` (a dataclass) read from `args`, by default the command line's; `--help` exits with 0.

    Flags that are absent come from `default`, else from the dataclass. `config` holds tyro's markers. The help shows
    `description` (else the docstring of `cls`), the `examples` and the `basic` flags; see `tuner.help_text`.
    Raises ConfigError in one sentence, where tyro alone would draw a box, for an unknown flag, an
    impossible value or a missing one.
    """
    given = with_homes(sys.argv[1:] if args is None else args)
    prog = as_called(prog)
    options: dict[str, Any] = {"prog": prog, "config": tuple(config), "registry": _CONSTRUCTORS}
    if default is not None:
        options["default"] = default
    asked = [token for token in given if token in help_text.FLAGS]
    if asked:
        arguments = help_text.arguments_of(cls, options)
        if asked[0] == "--help-json":
            print(json.dumps([argument.to_json() for argument in arguments]))
        else:
            text = description or cls.__doc__ or ""
            everything = asked[0] == "--help-all"
            print(
                help_text.render(prog, text, arguments, basic=basic, examples=examples, everything=everything), end=""
            )
        sys.exit(EXIT_DONE)

    def refuse(event: tyro_errors.ParseErrorEvent) -> None:
        sentence = _explain(
            event, given, lambda: [one.name for one in help_text.arguments_of(cls, options) if one.is_flag]
        )
        if sentence is not None:
            raise ConfigError(sentence)

    # tyro calls this hook just before it would print its box; of an event unknown to us the box stays.
    with tyro_errors.on_parse_error(refuse):
        parsed: T = tyro.cli(cls, args=given, **options)
    return parsed


def as_called(prog: str) -> str:
    """Return `python -m tuner.X` as the user called it: `tuner X`, if that is how the process was started."""
    called = Path(sys.argv[0])
    if called.parts[-2:] == ("tuner", "__main__.py"):
        return prog.replace("-m tuner.", "-m tuner ", 1)
    return prog.replace("python -m tuner.", "tuner ", 1) if called.stem == "tuner" else prog


def with_homes(args: Sequence[str]) -> list[str]:
    """Return the arguments with the user's home for `~` in `--flag=~/...`, where shells leave it as it is."""
    return [
        f"{flag}={at_home(value)}" if flag.startswith("--") and value.startswith("~") else token
        for token in args
        for flag, _, value in [token.partition("=")]
    ]


def given_names(args: Sequence[str]) -> set[str]:
    """Return the fields whose flags stand in the arguments, whatever their values."""
    flags = (token.partition("=")[0] for token in args if token.startswith("--"))
    return {flag.removeprefix("--").replace("-", "_") for flag in flags}


def _explain(event: tyro_errors.ParseErrorEvent, given: list[str], flags: Callable[[], list[str]]) -> str | None:
    """Return the sentence for what tyro refused; None for an event we do not know."""
    if isinstance(event, tyro_errors.UnrecognizedArgs):
        return _explain_unknown(event.tokens[0], event.prog, flags())
    if isinstance(event, tyro_errors.InvalidChoice):
        name = event.argument.display_name()
        return f"{name} is {event.value!r}, but must be one of: {', '.join(event.choices)}."
    if isinstance(event, tyro_errors.BadValue) and event.reason == "too_few_values":
        if event.argument.is_positional():
            return _explain_missing([event.argument], event.prog, given, flags())
        return f"{event.argument.display_name()} lacks a value; it must be {_kind(event.argument)}."
    if isinstance(event, tyro_errors.MissingArgs):
        return _explain_missing([one.arg for one in event.missing_arguments], event.prog, given, flags())
    if isinstance(event, tyro_errors.InstantiationFailure):
        return _explain_failure(event, given)
    return None


def _explain_unknown(token: str, prog: str, flags: list[str]) -> str:
    flag = token.partition("=")[0]
    close = difflib.get_close_matches(flag, flags, n=3)
    hint = f"did you mean {' or '.join(close)}?" if close else f"available: {', '.join(flags)}."
    return f"{flag!r} is not an argument of {prog}; {hint}"


def _explain_missing(arguments: Sequence[Any], prog: str, given: list[str], flags: list[str]) -> str:
    """Return which values are missing, or rather which flag is unknown: it may have been taken for one of them."""
    known = {*flags, *(flag.replace("--", "--no-", 1) for flag in flags)}
    for token in given:
        if token.startswith("--") and token.partition("=")[0].replace("_", "-") not in known:
            return _explain_unknown(token, prog, flags)
    return f"{prog} needs a value for: {', '.join(map(_name, arguments))}."


def _explain_failure(event: tyro_errors.InstantiationFailure, given: list[str]) -> str:
    if event.argument is None:
        return event.message
    value = _value_of(event.argument.lowered.name_or_flags, given)
    if value is None:
        return f"{event.argument.display_name()} is impossible: {event.message}."
    return f"{event.argument.display_name()} is {value!r}, but must be {_kind(event.argument)}."


def _value_of(flags: Sequence[str], given: list[str]) -> str | None:
    """Return what was given last for one of the flags; None for a positional argument."""
    found = None
    for position, token in enumerate(given):
        name, equals, value = token.partition("=")
        if name.replace("_", "-") in flags:
            found = value if equals else " ".join(given[position + 1 : position + 2])
    return found


def _name(argument: Any) -> str:
    """Return what the help calls an argument: "--trials", "RUN"."""
    metavar = str(argument.lowered.metavar)
    has_metavar = argument.is_positional() and not any(kind in metavar for kind in _KINDS)
    return metavar if has_metavar else str(argument.display_name())


def _kind(argument: Any) -> str:
    """Return in words what the argument's value may be: "INT" is "a whole number"."""
    alternatives = str(argument.lowered.metavar).split("|")
    named = [_KINDS.get(alternative, alternative) for alternative in alternatives]
    return " or ".join(sorted(named, key="None".__eq__))
