"""What every command shares: arguments from a dataclass, and a user's error as one line and exit code 2."""

from __future__ import annotations

import codecs
import contextlib
import difflib
import io
import os
import re
import sys
from collections.abc import Callable, Sequence
from typing import Annotated, Any, NoReturn, TextIO, TypeVar

import tyro
from tyro import _errors as tyro_errors
from tyro.constructors import ConstructorRegistry, PrimitiveConstructorSpec, PrimitiveTypeInfo

from tuner.errors import ConfigError, TunerError
from tuner.home import ensure_home
from tuner.paths import at_home

T = TypeVar("T")

EXIT_BAD_INPUT = 2

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

_IN_ASCII = {"\N{PLUS-MINUS SIGN}": "+-", "\N{REPLACEMENT CHARACTER}": "?"}
"""What our reports write instead where there is only ASCII."""

_TERMINAL_CODES = re.compile(r"\x1b\[[0-9;]*m")
_FLAG_IN_HELP = re.compile(r"(?:^|[│\s] )(--[a-z][\w.-]*)", re.MULTILINE)
"""A flag at the left of a box, with or without its line; one in a sentence follows a word and one space."""


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


def main(run: Callable[[], int | None]) -> NoReturn:
    """Run a command and exit with what it returns (None is 0), or with 2 and one line for a TunerError.

    The code is 1 if whoever reads its output leaves before its end, and 2, with a line, if the output cannot be
    written, as on a full disk.
    """
    _make_printable()
    try:
        ensure_home()
        code = _code_of(run)
        sys.stdout.flush()
    except TunerError as error:
        _complain(str(error))
        code = EXIT_BAD_INPUT
    except OSError as error:
        if not _is_of_output(error):
            raise
        code = 1
        if not isinstance(error, BrokenPipeError):  # else the reader (`| head`) has left, and wants to hear no more
            _complain(f"the output cannot be written: {error.strerror}.")
            code = EXIT_BAD_INPUT
    sys.exit(code)


def _code_of(run: Callable[[], int | None]) -> int | str:
    """Return the command's exit code; `--help` exits by itself, and what it printed is still to be written."""
    try:
        return run() or 0
    except SystemExit as over:
        return over.code or 0


def _is_of_output(error: OSError) -> bool:
    """Return whether standard output is what failed: then it fails again, at what it still holds or at an empty line.

    What it holds is dropped, or Python would try once more at its end.
    """
    try:
        print(flush=True)
    except OSError as again:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return again.errno == error.errno
    return False


def _complain(text: str) -> None:
    with contextlib.suppress(OSError):  # then nobody can be told
        print(f"error: {_one_line(text)}", file=sys.stderr)


def _make_printable() -> None:
    """Let what the terminal's encoding lacks, and a file's name that is no UTF-8, be written in other characters.

    A stream that was closed before the command began (`>&-`) takes everything.
    """
    sys.stdout = sys.stdout or _nowhere()
    sys.stderr = sys.stderr or _nowhere()
    codecs.register_error("tuner.printable", _in_ascii)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="tuner.printable")


def _nowhere() -> TextIO:
    return os.fdopen(os.open(os.devnull, os.O_WRONLY), "w")


def _in_ascii(error: UnicodeError) -> tuple[str, int]:
    """Return what stands for the characters that could not be encoded, and where to go on; see `codecs`."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    lacking = error.object[error.start : error.end]
    return "".join(_IN_ASCII.get(char) or ascii(char)[1:-1] for char in lacking), error.end


def parse(
    cls: type[T],
    args: Sequence[str] | None = None,
    *,
    prog: str,
    description: str | None = None,
    default: T | None = None,
    config: Sequence[Any] = (),
) -> T:
    """Return a `cls` (a dataclass) read from `args`, by default the command line's; `--help` exits with 0.

    Flags that are absent come from `default`, else from the dataclass. `config` holds tyro's markers.
    Raises ConfigError in one sentence, where tyro alone would draw a box, for an unknown flag, an
    impossible value or a missing one.
    """
    given = with_homes(sys.argv[1:] if args is None else args)
    options: dict[str, Any] = {"prog": prog, "description": description, "config": tuple(config)}
    options["registry"] = _CONSTRUCTORS
    if default is not None:
        options["default"] = default

    def refuse(event: tyro_errors.ParseErrorEvent) -> None:
        sentence = _explain(event, given, lambda: _flags(cls, options))
        if sentence is not None:
            raise ConfigError(sentence)

    # tyro calls this hook just before it would print its box; of an event unknown to us the box stays.
    with tyro_errors.on_parse_error(refuse):
        parsed: T = tyro.cli(cls, args=given, **options)
    return parsed


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
    known = {*flags, *(flag.replace("--", "--no-", 1) for flag in flags), "--help"}
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


def _flags(cls: type[Any], options: dict[str, Any]) -> list[str]:
    """Return the command's flags, read from its help: tyro has no public list of them."""
    text = io.StringIO()
    with contextlib.redirect_stdout(text), contextlib.suppress(SystemExit):
        tyro.cli(cls, args=["--help"], **options)
    return _FLAG_IN_HELP.findall(_TERMINAL_CODES.sub("", text.getvalue()))


def _one_line(text: str) -> str:
    return " ".join(text.split())
