"""Tests of the command `python -m tuner.doctor`."""

from __future__ import annotations

import json
import textwrap
from pathlib import Path

import pytest

from tuner import doctor
from tuner.engine.checkup.finding import Finding, Level, note, ok, problem


@pytest.mark.timeout(180)
def test_this_machine_can_run_a_study(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """With a real Ray, which starts on the loopback interface."""
    monkeypatch.delenv("TUNER_DATA_DIR", raising=False)
    assert doctor.run(["--json", "--ray-seconds", "150", "--storage", str(tmp_path / "runs")]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["problems"] == 0
    by_name = {one["name"]: one for one in found["findings"]}
    named = "Python tuner processors memory GPUs clock runs data token proxies Ray"
    assert set(named.split()) <= set(by_name)
    assert "at 127.0.0.1" in by_name["Ray"]["text"]
    assert not (tmp_path / "runs").exists()


def checked(monkeypatch: pytest.MonkeyPatch, *findings: Finding) -> None:
    monkeypatch.setattr(doctor, "checks", lambda config: {"all": lambda: iter(findings)})


def test_a_problem_makes_the_exit_code_1_and_is_told_with_what_mends_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    checked(monkeypatch, ok("Python", "3.12"), problem("memory", "far too little of it for anything.", "buy more"))
    assert doctor.run([]) == 1
    assert capsys.readouterr().out == textwrap.dedent(
        """\
        ok       Python           3.12
        problem  memory           far too little of it for anything.
                                  mend: buy more

        1 problem, 0 notes.
        """
    )


def test_notes_alone_let_you_begin(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    checked(monkeypatch, note("proxies", "set"))
    assert doctor.run([]) == 0
    assert capsys.readouterr().out.endswith("You can begin. 0 problems, 1 note.\n")


def test_a_check_that_fails_stops_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> None:
        raise OSError("no such device")

    monkeypatch.setattr(doctor, "checks", lambda config: {"GPUs": broken, "clock": lambda: iter([ok("clock", "now")])})
    first, second = doctor.examine(doctor.DoctorConfig())
    assert (first.name, first.level) == ("GPUs", Level.PROBLEM)
    assert "no such device" in first.text
    assert second.level is Level.OK
