"""Tests of `tuner.engine.recorded`: a run's code is found years later, and a stranger's is not run."""

from __future__ import annotations

from pathlib import Path

import pytest

from tuner.config import StudyConfig
from tuner.engine.begun import task_again
from tuner.engine.recorded import recorded_sources, remember
from tuner.errors import ConfigError, SpaceError
from tuner.io.sources import Sources
from tuner.paths import RunPaths


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return tmp_path / "state"


@pytest.fixture
def original(tmp_path: Path, state: Path) -> Path:
    """The user's file."""
    (tmp_path / "mine").mkdir()
    path = tmp_path / "mine" / "space.py"
    path.write_text("import nets\n")
    (path.parent / "nets.py").write_text("WIDTH = 1\n")
    return path


@pytest.fixture
def run(tmp_path: Path, original: Path) -> RunPaths:
    """A run that was made with it, with its copy."""
    paths = RunPaths(tmp_path / "run")
    Sources.read(original).write(paths.space)
    return paths


def test_the_users_file_is_taken_as_long_as_it_is_as_it_was(run: RunPaths, original: Path) -> None:
    sources = Sources.read(original)
    remember(sources)
    found, notice = recorded_sources(run, str(original), sources.sha256)
    assert (found.path, notice) == (original, None)


@pytest.mark.parametrize("is_named", [True, False])
def test_a_file_elsewhere_that_this_user_never_ran_is_not_run_because_a_run_names_it(
    run: RunPaths, original: Path, is_named: bool
) -> None:
    sha256 = Sources.read(original).sha256 if is_named else None
    with pytest.raises(SpaceError, match=r"was never run by you on this machine and is not run unasked: .* --space"):
        recorded_sources(run, str(original), sha256)


@pytest.mark.parametrize("helper", [False, True])
def test_of_a_file_that_has_changed_the_copy_is_taken_and_that_is_told(
    run: RunPaths, original: Path, helper: bool
) -> None:
    before = Sources.read(original)
    remember(before)
    (original.with_name("nets.py") if helper else original).write_text("WIDTH = 2\n")
    found, notice = recorded_sources(run, str(original), before.sha256)
    assert found.path == run.space / "space.py"
    assert found.files == before.files
    assert notice == f"{original} has changed since the run began: its copy in the run is used."


def test_of_a_file_that_is_gone_the_copy_is_taken_and_that_is_told(run: RunPaths, original: Path) -> None:
    before = Sources.read(original)
    remember(before)
    original.unlink()
    _, notice = recorded_sources(run, str(original), before.sha256)
    assert notice == f"{original} is gone: its copy in the run is used."


def test_a_copy_that_this_user_never_ran_is_not_run_unasked(run: RunPaths, original: Path) -> None:
    sha256 = Sources.read(original).sha256
    original.unlink()
    with pytest.raises(SpaceError, match=r"run's own folder, .*space/space\.py, and is not run unasked: .* --space"):
        recorded_sources(run, str(original), sha256)


def test_a_copy_that_was_exchanged_is_not_run_although_the_run_vouches_for_it(run: RunPaths, original: Path) -> None:
    remember(Sources.read(original))
    original.unlink()
    (run.space / "nets.py").write_text("import os\n")
    with pytest.raises(SpaceError, match="is not run unasked"):
        recorded_sources(run, str(original), Sources.read(run.space / "space.py").sha256)


def test_a_file_in_the_runs_folder_is_not_the_users(run: RunPaths) -> None:
    stranger = run.root / "evil.py"
    stranger.write_text("")
    with pytest.raises(SpaceError, match="is not run unasked"):
        recorded_sources(run, str(stranger), Sources.read(stranger).sha256)


def test_without_a_copy_a_changed_or_absent_file_is_named(run: RunPaths, original: Path) -> None:
    (run.space / "space.py").unlink()
    with pytest.raises(SpaceError, match=r"space\.py has changed since .*, and the run has no copy of it"):
        recorded_sources(run, str(original), "another")
    original.unlink()
    with pytest.raises(SpaceError, match=r"was '.*space\.py', but there is no such file"):
        recorded_sources(run, str(original), "another")


def test_an_older_run_that_tells_no_hash_takes_the_users_file(run: RunPaths, original: Path) -> None:
    remember(Sources.read(original))
    assert recorded_sources(run, str(original), None)[0].path == original


def test_code_is_remembered_once_and_where_nothing_can_be_written_not_at_all(
    original: Path, state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sources = Sources.read(original)
    remember(sources)
    remember(sources)
    assert (state / "tuner" / "own-code").read_text() == f"{sources.sha256}\n"
    monkeypatch.setenv("XDG_STATE_HOME", str(original))  # a file
    remember(sources)


def test_a_run_that_goes_on_refuses_a_file_that_has_changed_before_it_is_run(run: RunPaths, original: Path) -> None:
    victim = original.parent / "victim"
    original.write_text(f"from pathlib import Path\nPath({str(victim)!r}).touch()\n")
    differs = f"{original} differs from {run.space / 'space.py'}"
    ways = f"put it back as it was, or begin anew with --space {original} --warm-start {run.root}."
    for config, way in (
        (StudyConfig(space=str(original)), ways),
        (StudyConfig(space=str(original), objective="f"), f"or begin anew with --objective {original}:f."),
    ):
        with pytest.raises(ConfigError, match="the search space has changed since it began") as refused:
            task_again(run, config, {"space_sha256": "another"})
        assert differs in str(refused.value)
        assert str(refused.value).endswith(way)
    assert not victim.exists()


def test_a_module_beside_the_file_that_came_or_went_is_named(run: RunPaths, original: Path) -> None:
    original.write_text("import fresh\n")
    (original.parent / "fresh.py").write_text("")
    (run.space / "old.py").write_text("")
    with pytest.raises(ConfigError, match=r"fresh\.py is new; .*old\.py is imported no more; .*space\.py differs from"):
        task_again(run, StudyConfig(space=str(original)), {"space_sha256": "another"})


def test_without_a_copy_the_hashes_are_told(run: RunPaths, original: Path) -> None:
    (run.space / "space.py").unlink()
    with pytest.raises(ConfigError, match=r"\(another then, \w{64} now\): put it back"):
        task_again(run, StudyConfig(space=str(original)), {"space_sha256": "another"})
