from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.metrics import metrics
from tuner.errors import JournalError
from tuner.journal.events import EpochReported, RungDecided, StudyStarted, TrialEnded, TrialProposed
from tuner.journal.store import JournalWriter
from tuner.paths import RunPaths
from tuner.report import report, run, story
from tuner.search.trial import Origin, TrialState


@pytest.fixture
def paths(tmp_path: Path) -> RunPaths:
    """A run that was stopped during its search."""
    paths = RunPaths(tmp_path / "study")
    with JournalWriter(paths.journal) as journal:
        journal.append(
            StudyStarted({"space": "cnn", "data": {"dataset": "digits"}}, {"dataset": "digits"}),
            TrialProposed(17, {}, {}, {"learning_rate": 0.01}, Origin.START, 5),
            EpochReported(17, 9, metrics(0.5, 0.8, 0.4, 0.9, 0.01), 2.0, "desk:1"),
            RungDecided(17, 9, "STOP", "0.9000 < 0.9100"),
            TrialEnded(17, TrialState.PRUNED, "0.9000 < 0.9100"),
        )
    return paths


def test_everything_is_rebuilt_from_the_journal_alone(paths: RunPaths, capsys: pytest.CaptureFixture[str]) -> None:
    run([str(paths.root)])
    printed = capsys.readouterr().out
    assert printed == paths.report_text.read_text()
    assert "Trial 17 is the best so far with dev accuracy 0.9000" in printed
    assert paths.report_html.exists()
    assert paths.trials.exists()


def test_the_journal_is_told_as_a_story_and_nothing_is_written(
    paths: RunPaths, capsys: pytest.CaptureFixture[str]
) -> None:
    run([str(paths.root), "--journal"])
    printed = capsys.readouterr().out
    assert len(printed.splitlines()) == 5
    assert "trial 17 stopped at rung 9: 0.9000 < 0.9100" in printed
    assert not paths.trials.exists()


def test_a_report_needs_neither_torch_nor_ray(paths: RunPaths) -> None:
    code = f"""
import sys
from tuner.report import run
run([{str(paths.root)!r}])
assert not {{"torch", "ray", "optuna"}} & set(sys.modules), "imported"
"""
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stderr


def test_a_folder_that_does_not_exist_is_named(tmp_path: Path) -> None:
    with pytest.raises(JournalError, match="nowhere is no folder"):
        report(tmp_path / "nowhere")


def test_a_folder_that_is_no_run_is_named_and_stays_empty(tmp_path: Path) -> None:
    with pytest.raises(JournalError, match="holds no journal"):
        report(tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("tell", [report, story])
def test_a_damaged_journal_is_named_with_the_place(paths: RunPaths, tell: object) -> None:
    (segment,) = paths.journal.glob("*.jsonl")
    segment.write_bytes(segment.read_bytes().replace(b"0.0", b"0.1", 1))
    assert callable(tell)
    with pytest.raises(JournalError, match=r"00000001\.jsonl is damaged at byte \d+"):
        tell(paths.root)
