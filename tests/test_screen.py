"""Tests of `tuner.screen` and what stands behind it; in `test_whole_run` a study's terminal is closed."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tuner.screen import Lasting

CODE = """
import sys
from pathlib import Path
from tuner import cli
from tuner.screen import lasting_console

def run():
    console = lasting_console()
    with console.status("working"):
        for number in range(20_000):
            console.print(number, "of a long study")
    Path(sys.argv[1]).write_text("done")

cli.main(run)
"""


def test_a_pipe_whose_reader_leaves_ends_nothing_and_is_no_error(tmp_path: Path) -> None:
    done = tmp_path / "done"
    command = [sys.executable, "-c", CODE, str(done)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline() == "0 of a long study\n"
        process.stdout.close()
        assert process.stderr.read() == ""
        assert process.wait() == 0
    assert done.read_text() == "done"


def test_what_a_full_disk_does_not_take_is_dropped() -> None:
    with Path("/dev/full").open("w") as full:
        lasting = Lasting(full)
        lasting.write("lost")
        lasting.flush()
        with pytest.raises(OSError, match="No space left"):
            full.flush()
        os.dup2(os.open(os.devnull, os.O_WRONLY), full.fileno())  # there is space again


def test_a_closed_stream_takes_everything() -> None:
    stream = io.StringIO()
    stream.close()
    assert Lasting(stream).write("lost") == 4
    Lasting(stream).flush()


def test_what_its_encoding_lacks_is_still_told() -> None:
    with pytest.raises(UnicodeEncodeError):
        Lasting(io.TextIOWrapper(io.BytesIO(), encoding="ascii")).write("±")
