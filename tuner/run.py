"""The command: configuration -> search -> select -> retrain -> report."""

from __future__ import annotations

import argparse
import dataclasses
import os
import sys
import time
import traceback
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import tyro
from rich.console import Console

from tuner import cli, config
from tuner.config import StudyConfig
from tuner.engine.interrupt import hangups_ignored, terminations_interrupt
from tuner.exits import EXIT_NO, EXIT_STOPPED
from tuner.presets import PRESETS, preset
from tuner.screen import lasting_console

_PROG = "python -m tuner.run"
_KEPT = "Nothing is lost: go on with --resume and the run's folder."
_EXAMPLES = {
    "--preset smoke": "a whole study in half a minute, without a download",
    "--space mine.py --budget 30m": "a training of your own, in half an hour",
}
_BASIC = (
    "--preset",
    "--space",
    "--budget",
    "--trials",
    "--max-epochs",
    "--dataset",
    "--workers",
    "--name",
    "--resume",
)
"""What a first run needs; the rest is for later."""
_PRESET_HELP = "Where to start from. " + " ".join(f"`{name}`: {make.__doc__}" for name, make in PRESETS.items())


@dataclass(frozen=True)
class Arguments:
    """Find the best configuration for a model, retrain it, and report it on train, dev and test.

    Values come from the preset, then from --config, then from the flags given here.
    """

    study: tyro.conf.OmitArgPrefixes[StudyConfig]
    preset: Annotated[str, tyro.conf.arg(help=_PRESET_HELP)] = "default"
    config: Path | None = None
    """A .json, .toml or .yaml file with some of the values; the `config.json` of an earlier run is one."""
    resume: str | None = None
    """Go on with the run in this folder, or at this `s3://` address, as it was configured. Of the other arguments only
    those are taken that say where it runs, such as `--workers`, `--address` or `--data-dir`."""


def parse_arguments(argv: Sequence[str]) -> Arguments:
    """Return the command line's meaning: preset < --config < flags.

    A number of trials or epochs given without a budget, in the file or here, replaces the preset's budget.

    Raises:
        ConfigError: for anything unknown or impossible.
    """
    argv = cli.with_homes(argv)
    early = argparse.ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    early.add_argument("--preset", nargs="?", default="default")
    early.add_argument("--config", nargs="?", type=Path)
    known, _ = early.parse_known_args(argv)
    base = preset(known.preset or "default")
    flags = cli.given_names(argv)
    given = set(flags)
    if known.config is not None:
        changes = config.nested(config.read_file(known.config), str(known.config))
        base = config.merge(base, changes, str(known.config))
        given |= config.given_names(changes)
    default = Arguments(study=base, preset=known.preset or "default", config=known.config)
    arguments = cli.parse(
        Arguments,
        argv,
        prog=_PROG,
        default=default,
        config=(tyro.conf.OmitSubcommandPrefixes,),
        basic=_BASIC,
        examples=_EXAMPLES,
    )
    if arguments.resume is not None:
        config.check_where(_named(flags), "--resume")
        return arguments
    config.check_given(arguments.study, flags)
    study = config.at_this_machine(config.without_replaced_budget(config.with_homes(arguments.study), given))
    config.check(study)
    return dataclasses.replace(arguments, study=study)


def where_of(argv: Sequence[str], arguments: Arguments) -> dict[str, Any]:
    """Return what the command line says of where a run goes on, by name; empty for a new run."""
    if arguments.resume is None:
        return {}
    return config.values_of(config.with_homes(arguments.study), _named(cli.given_names(argv)))


def _named(flags: Iterable[str]) -> set[str]:
    """Return the fields that flags beside --resume set."""
    return {flag.removeprefix("no_") for flag in flags} - {"resume"}


def run(argv: Sequence[str] | None = None, *, in_own_process: bool = False) -> int:
    """Do what the command line says and return the exit code.

    `in_own_process` says that the process has nothing else to do: then Ray starts while torch is imported.
    """
    began = time.monotonic()
    argv = sys.argv[1:] if argv is None else argv
    arguments = parse_arguments(argv)
    # Ray's processes are born with what this one does at a signal.
    with terminations_interrupt(), hangups_ignored() if in_own_process else nullcontext():
        return _run(arguments, where_of(argv, arguments), began, in_own_process=in_own_process)


def _run(arguments: Arguments, where: Mapping[str, Any], began: float, *, in_own_process: bool) -> int:
    # Ray and torch take seconds to import; a wrong argument should not wait for them.
    if in_own_process and arguments.resume is None and not arguments.study.resources.in_process:
        from tuner.engine.ray_session import start_early

        start_early(arguments.study.resources)
    console = lasting_console()
    with _loading(console):
        from tuner.engine import driver

    try:
        if arguments.resume is not None:
            driver.resume(arguments.resume, console, began=began, where=where)
        else:
            driver.run_new(arguments.study, console, began=began)
    except KeyboardInterrupt as error:
        print(f"\nStopped. {str(error) or _KEPT}", file=sys.stderr)
        return EXIT_STOPPED
    return 0


def _loading(console: Console) -> AbstractContextManager[object]:
    """Tell who waits at a terminal what for, until the run itself has something to tell."""
    if not (console.file.isatty() and console.is_terminal) or console.is_dumb_terminal:
        return nullcontext()
    return console.status("loading PyTorch", spinner="line", refresh_per_second=4)


def main(argv: Sequence[str] | None = None) -> None:
    """Do what the command line says, in a process that does nothing else."""
    try:
        cli.main(lambda: run(argv, in_own_process=True))
    finally:  # the user has been told of an error by now, and need not wait for what was started
        with terminations_interrupt():
            _end_early()


def _end_early() -> None:
    """End a Ray that was started early, or else the process, with the exit code that it has come to."""
    if "tuner.engine.ray_session" not in sys.modules:
        return
    from tuner.engine.ray_session import end_early

    with suppress(KeyboardInterrupt):
        if end_early():
            return
    error = sys.exc_info()[1]
    if not isinstance(error, SystemExit):
        traceback.print_exc()
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()
    # Python's own end would wait for the thread, or break off in it.
    os._exit(error.code if isinstance(error, SystemExit) and isinstance(error.code, int) else EXIT_NO)


if __name__ == "__main__":
    main()
