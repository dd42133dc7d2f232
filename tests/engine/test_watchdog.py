"""Tests of `tuner.engine.watchdog` in processes of their own, which it ends."""

from __future__ import annotations

import errno
import subprocess
import sys
from pathlib import Path

import pytest

from tuner.engine.watchdog import take_report, watched
from tuner.errors import StorageError

PROLOGUE = "import sys, time\nfrom pathlib import Path\nfrom tuner.engine.watchdog import watched\n"


def run(body: str, *places: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", PROLOGUE + body, *map(str, places)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    "hanging",
    [
        pytest.param("time.sleep(600)", id="waiting"),
        pytest.param("while True: pass", id="busy"),
        # Holds the interpreter's lock, so that no thread of Python's could do anything.
        pytest.param("import re; re.match('(a+)+b', 'a' * 60)", id="in C"),
    ],
)
def test_a_process_that_hangs_is_ended_and_says_where(tmp_path: Path, hanging: str) -> None:
    body = f"def forward():\n    {hanging}\nwith watched(0.3, Path(sys.argv[1])):\n    forward()\nprint('survived')\n"
    found = run(body, tmp_path / "trial-1")
    assert found.returncode == 1
    assert found.stdout == ""
    report = take_report(tmp_path / "trial-1")
    assert report is not None
    assert "in forward" in report
    assert report.splitlines()[-1] == "it hung: its epoch took more than --trial-timeout allows"
    assert take_report(tmp_path / "trial-1") is None
    assert list(tmp_path.iterdir()) == []


def test_a_process_in_time_is_left_alone_and_leaves_nothing(tmp_path: Path) -> None:
    body = "for _ in range(3):\n    with watched(1.0, Path(sys.argv[1])):\n        time.sleep(0.1)\ntime.sleep(1.2)\n"
    assert run(body + "print('survived')\n", tmp_path / "trial-1").stdout == "survived\n"
    assert list(tmp_path.iterdir()) == []


def test_an_exception_passes_and_stops_the_watch(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), watched(60.0, tmp_path / "trial-1"):
        raise ZeroDivisionError
    assert take_report(tmp_path / "trial-1") is None


def test_a_storage_that_goes_away_meanwhile_does_not_undo_what_was_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stale(path: Path, missing_ok: bool = False) -> None:
        raise OSError(errno.ESTALE, "Stale file handle")

    monkeypatch.setattr(Path, "unlink", stale)
    with watched(60.0, tmp_path / "trial-1"):
        done = True
    assert done


BUCKET = "s3://bucket/runs/a/checkpoints/trial-1"
HANGING_IN_A_BUCKET = """
def forward():
    time.sleep(600)
with watched(0.3, sys.argv[1], Path(sys.argv[2])):
    forward()
"""


def test_of_checkpoints_in_a_bucket_it_is_told_by_a_file_that_the_driver_has_chosen(tmp_path: Path) -> None:
    file = tmp_path / "drivers" / "7.hanging"
    file.parent.mkdir(mode=0o700)
    assert run(HANGING_IN_A_BUCKET, BUCKET, file).returncode == 1
    assert "in forward" in (take_report(BUCKET, file) or "")
    assert list(file.parent.iterdir()) == []
    with watched(60.0, BUCKET, file):
        assert file.exists()
    assert not file.exists()


@pytest.mark.parametrize("mode", [None, 0o777])
def test_on_a_machine_without_the_drivers_folder_it_is_told_to_the_log(tmp_path: Path, mode: int | None) -> None:
    file = tmp_path / "drivers" / "7.hanging"
    if mode is not None:  # somebody else's, who could lay a link there
        file.parent.mkdir()
        file.parent.chmod(mode)
    found = run(HANGING_IN_A_BUCKET, BUCKET, file)
    assert found.returncode == 1
    assert "in forward" in found.stderr
    assert not file.exists()
    assert take_report(BUCKET, file) is None
    assert take_report(BUCKET) is None


def test_without_a_limit_nothing_is_written(tmp_path: Path) -> None:
    with watched(None, tmp_path / "trial-1"):
        assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_written_is_a_storage_error(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="cannot be written: No such file"), watched(9.0, tmp_path / "no" / "trial"):
        pass
