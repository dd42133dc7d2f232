"""How a command ends: its exit codes, and a user's error as one line.

Apart from `tuner.cli`, because `tuner --help` need not wait for the parser of arguments.
"""

from __future__ import annotations

import codecs
import contextlib
import io
import os
import sys
from collections.abc import Callable
from typing import NoReturn, TextIO

from tuner.errors import TunerError
from tuner.home import ensure_home

EXIT_DONE = 0
EXIT_NO = 1
"""The command did its work and the answer is no: a replay differs, the doctor found a problem. Also of a bug, which
leaves a traceback, and of a command whose reader left before its end."""
EXIT_BAD_INPUT = 2
"""Something you can put right: an argument, a file, a machine. One line on stderr names it."""
EXIT_STOPPED = 130
"""Stopped by Ctrl-C, as shells count it: 128 and the number of SIGINT."""

_IN_ASCII = {"\N{PLUS-MINUS SIGN}": "+-", "\N{REPLACEMENT CHARACTER}": "?"}
"""What our reports write instead where there is only ASCII."""


def main(run: Callable[[], int | None]) -> NoReturn:
    """Run a command and exit with what it returns; None is 0.

    A TunerError is one line on stderr and exit code 2, after the traceback of the user's code if it says where that
    went wrong, and so is an output that cannot be written, as on a full disk.
    Ctrl-C is 130, and a reader that leaves before the end is 1.
    """
    _make_printable()
    try:
        ensure_home()
        code = _code_of(run)
        sys.stdout.flush()
    except TunerError as error:
        _complain(*getattr(error, "__notes__", ()), f"error: {error}")
        code = EXIT_BAD_INPUT
    except KeyboardInterrupt:
        _complain("stopped.")
        code = EXIT_STOPPED
    except OSError as error:
        if not _is_of_output(error):
            raise
        code = EXIT_NO
        if not isinstance(error, BrokenPipeError):  # else the reader (`| head`) has left, and wants to hear no more
            _complain(f"error: the output cannot be written: {error.strerror}.")
            code = EXIT_BAD_INPUT
    sys.exit(code)


def _code_of(run: Callable[[], int | None]) -> int | str:
    """Return the command's exit code; `--help` exits by itself, and what it printed is still to be written."""
    try:
        return run() or EXIT_DONE
    except SystemExit as over:
        return over.code or EXIT_DONE


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


def _complain(*text: str) -> None:
    """Print the last text in a line, below the others as they are."""
    *above, sentence = text
    with contextlib.suppress(OSError):  # then nobody can be told
        print(*above, " ".join(sentence.split()), sep="\n", file=sys.stderr)


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
