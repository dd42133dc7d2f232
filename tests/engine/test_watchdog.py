"""Tests of `tuner.engine.watchdog` in processes of their own, which it ends."""

from __future__ import annotations

import errno
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from tuner.engine.watchdog import take_report, watched
from tuner.errors import StorageError

PROLOGUE = "import sys, time\nfrom pathlib import Path\nfrom tuner.engine.watchdog import watched\n"


def run(body: str, checkpoints: str | Path) -> subprocess.CompletedProcess[str]:
    code = PROLOGUE + body
    return subprocess.run([sys.executable, "-c", code, str(checkpoints)], capture_output=True, text=True, check=False)


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


def test_of_checkpoints_in_a_bucket_it_is_told_by_a_folder_that_nobody_else_can_write(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)
    checkpoints = "s3://bucket/runs/a/checkpoints/trial-1"
    body = "def forward():\n    time.sleep(600)\nwith watched(0.3, sys.argv[1]):\n    forward()\n"
    assert run(body, checkpoints).returncode == 1
    [folder] = tmp_path.iterdir()
    assert stat.S_ISDIR(folder.stat().st_mode)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert "in forward" in (take_report(checkpoints) or "")
    assert list(folder.iterdir()) == []


def test_a_place_for_the_report_that_cannot_be_made_is_a_storage_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "no"))
    with pytest.raises(StorageError, match="cannot be written: No such file"), watched(9.0, "s3://bucket/trial-1"):
        pass
    assert take_report("s3://bucket/trial-1") is None


def test_without_a_limit_nothing_is_written(tmp_path: Path) -> None:
    with watched(None, tmp_path / "trial-1"):
        assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_written_is_a_storage_error(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="cannot be written: No such file"), watched(9.0, tmp_path / "no" / "trial"):
        pass
