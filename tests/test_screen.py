"""Tests of `tuner.screen` and what stands behind it: nobody need watch a study to its end."""

from __future__ import annotations

import io
import os
import pty
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tuner.loaded_run import load_run
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


@pytest.mark.timeout(240)
def test_a_study_outlives_the_terminal_it_was_started_in_and_its_log_has_what_was_said(
    space_file: Path, tmp_path: Path
) -> None:
    flags = "--preset smoke --workers 1 --trials 2 --max-epochs 2 --retrain-seeds 1 --no-baseline --name closed"
    command = [
        sys.executable,
        "-m",
        "tuner.run",
        *flags.split(),
        "--space",
        str(space_file),
        "--storage",
        str(tmp_path),
    ]
    process, terminal = pty.fork()
    if process == 0:
        os.execv(sys.executable, command)
    said = b""
    while b"rungs " not in said:
        said += os.read(terminal, 1024)
    os.close(terminal)  # the kernel sends SIGHUP, and every write fails from now on
    _, status = os.waitpid(process, 0)
    assert os.waitstatus_to_exitcode(status) == 0, signal.strsignal(os.WTERMSIG(status))
    run = load_run(tmp_path / "closed")
    assert set(run.final["split"]) == {"train", "dev", "test"}
    log = (tmp_path / "closed" / "run.log").read_text()
    for line in ("data       digits", "trials     2", "the search ended", "ended with the weights of epoch"):
        assert line in log
