"""Tests of `tuner.engine.begun`: a run that cannot be gone on with is not begun again."""

from __future__ import annotations

from pathlib import Path

import pytest

from tuner.engine.begun import check_begun
from tuner.errors import ConfigError, JournalError
from tuner.paths import RunPaths


def test_the_copy_of_an_unfinished_run_in_a_bucket_is_not_begun_again(tmp_path: Path) -> None:
    paths = RunPaths(tmp_path)
    paths.config.write_text("{}")
    paths.journal.mkdir()
    (paths.journal / "00000001.jsonl.000000000000").touch()
    with pytest.raises(JournalError, match=r"copy of .* an unfinished run in a bucket.* s3://BUCKET/\.\.\."):
        check_begun(paths)


def test_a_folder_with_another_configuration_is_no_run_and_stays_as_it_is(tmp_path: Path) -> None:
    paths = RunPaths(tmp_path)
    paths.config.write_text('{"compilerOptions": {}}')
    with pytest.raises(ConfigError, match="compilerOptions"):
        check_begun(paths)
    assert list(tmp_path.iterdir()) == [paths.config]
