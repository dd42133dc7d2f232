"""What a command can be told, read from its dataclass: as help for people, and as data for shells and documents."""

from __future__ import annotations

import argparse
import inspect
import re
import shutil
import textwrap
import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import tyro

FLAGS = ("-h", "--help", "--help-all", "--help-json")
"""What every command answers by itself: its basic arguments, all of them, and all of them as JSON."""

_WIDEST = 100
_LEFT = 26
"""Columns for the names; a longer one has a line of its own."""
_LEFT_OF_EXAMPLES = 44
_VALUES = {"INT": "N", "FLOAT": "X", "STR": "TEXT", "STR,STR": "A,B"}
"""tyro's names for the kinds of values, as they stand in the help."""
_DEFAULT = re.compile(r"\s*\((?:default: (?P<default>.*)|required)\)$", re.DOTALL)
_NONE = "None"
_SAYS_NOTHING = ("", _NONE, "False", "''")
"""Defaults that a reader need not be told."""


@dataclass(frozen=True)
class Argument:
    """One argument of a command."""

    name: str
    """`--budget`, or of one that is told by its place, what it is called: `RUN`."""
    value: str
    """What follows it, such as `N` or `minimize|maximize`; empty if nothing does."""
    help: str
    default: str
    """Empty if there is none, or none that says anything."""
    choices: tuple[str, ...]
    section: str
    """What it is about, with others; empty for those of the command itself."""
    is_switch: bool = False
    """Whether it takes no value, and `--no-` before its name turns it off."""
    is_required: bool = False

    @property
    def is_flag(self) -> bool:
        """Whether it is given by its name and not by its place."""
        return self.name.startswith("--")

    @property
    def title(self) -> str:
        """The argument with its value, as it is typed."""
        name = self.name.replace("--", "--[no-]", 1) if self.is_switch and self.default else self.name
        return f"{name} {self.value}".rstrip()

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        return asdict(self)


def arguments_of(cls: type[Any], options: Mapping[str, Any]) -> list[Argument]:
    """Return the arguments of a command in their order; `options` are those of `tyro.cli`."""
    with warnings.catch_warnings():
        # tyro has no other public list of what it parses; its version is pinned for more than this.
        warnings.simplefilter("ignore", DeprecationWarning)
        parser = tyro.extras.get_parser(cls, **options)
    return [
        _argument(action, (group.description or "").strip().rstrip("."))
        for group in parser._action_groups
        for action in group._group_actions
        if action.dest != "help"
    ]


def _argument(action: argparse.Action, section: str) -> Argument:
    text = " ".join((action.help or "").split())
    found = _DEFAULT.search(text)
    default = (found and found["default"]) or ""
    is_switch = action.nargs == 0
    if is_switch:
        default = "yes" if default == "True" else ""
    return Argument(
        name=action.option_strings[0] if action.option_strings else str(action.metavar),
        value=_value(str(action.metavar)) if action.option_strings and not is_switch else "",
        help=_DEFAULT.sub("", text),
        default="" if default in _SAYS_NOTHING else default,
        choices=tuple(sorted(str(choice) for choice in action.choices or () if choice != _NONE)),
        section=section,
        is_switch=is_switch,
        is_required=not default and not action.option_strings,
    )


def _value(metavar: str) -> str:
    """Return tyro's `{None}|INT` as `N`, and `{a,b,None}` as `a|b`: None is what is not given."""
    kinds = [_VALUES.get(kind, kind.strip("{}").replace(",", "|")) for kind in metavar.split("|")]
    return "|".join(name for kind in kinds for name in kind.split("|") if name != _NONE)


def render(
    prog: str,
    description: str,
    arguments: Sequence[Argument],
    *,
    basic: Sequence[str] = (),
    examples: Mapping[str, str] | None = None,
    everything: bool = False,
) -> str:
    """Return the help of a command, no wider than the terminal.

    `basic` are the flags that a beginner needs, in the order in which to read them; without any, all of them are.
    `examples` say what a command does, by the command without `prog`. `everything` adds the arguments that are not
    basic, by section.
    """
    width = min(_WIDEST, shutil.get_terminal_size().columns)
    first = [one for one in arguments if not basic or not one.is_flag]
    first += [one for name in basic for one in arguments if one.name == name]
    rest = [one for one in arguments if one not in first]
    blocks = [_usage(prog, arguments), _wrapped(description, width)]
    if examples:
        blocks.append(
            _block(
                "Try it", {f"{prog} {command}": text for command, text in examples.items()}, width, _LEFT_OF_EXAMPLES
            )
        )
    blocks.append(_arguments("Arguments", first, width))
    if everything:
        for section in dict.fromkeys(one.section for one in rest):
            title = section or "More arguments"
            blocks.append(_arguments(title, [one for one in rest if one.section == section], width))
    elif rest:
        blocks.append(_wrapped(f"{len(rest)} more arguments, for when you need them: {prog} --help-all", width))
    return "\n\n".join(block for block in blocks if block) + "\n"


def _usage(prog: str, arguments: Iterable[Argument]) -> str:
    places = [one.name if one.is_required else f"[{one.name}]" for one in arguments if not one.is_flag]
    has_flags = any(one.is_flag for one in arguments)
    return " ".join(["usage:", prog, *places, *(["[ARGUMENTS]"] if has_flags else [])])


def _arguments(title: str, arguments: Iterable[Argument], width: int) -> str:
    return _block(title, {one.title: _with_default(one) for one in arguments}, width)


def _with_default(argument: Argument) -> str:
    return f"{argument.help} Default: {argument.default}." if argument.default else argument.help


def _block(title: str, lines: Mapping[str, str], width: int, left: int = _LEFT) -> str:
    """Return texts beside their names, below a title; where there is no room beside them, below them."""
    if not lines:
        return ""
    left = min(left, 2 + max(map(len, lines))) if width >= left + _LEFT else 4
    found = [f"{title}:"]
    for name, text in lines.items():
        wrapped = textwrap.wrap(text, max(width - left - 2, 20), break_on_hyphens=False) or [""]
        if len(name) + 2 > left:
            found.append(f"  {name}")
        else:
            found.append(f"  {name:<{left}}{wrapped.pop(0)}")
        found += [f"  {'':<{left}}{line}" for line in wrapped]
    return "\n".join(line.rstrip() for line in found)


def _wrapped(text: str, width: int) -> str:
    """Return paragraphs no wider than `width`; a line that begins with spaces stays as it is."""
    paragraphs = re.split(r"\n\s*\n", inspect.cleandoc(text))
    return "\n\n".join(
        paragraph if paragraph.startswith(" ") else textwrap.fill(" ".join(paragraph.split()), width)
        for paragraph in paragraphs
    )
