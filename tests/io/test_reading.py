"""Tests of `tuner.io.reading`: what is no address is told in a line; the rest is tested where runs are read."""

from __future__ import annotations

from pathlib import Path

import pytest

from tuner.errors import ConfigError
from tuner.io.reading import reading_run


@pytest.mark.parametrize(
    ("run", "text"),
    [
        ("s3://", "RUN is 's3://', but must be a folder or s3://bucket/prefix"),
        ("s3:///runs/a", "RUN is 's3:///runs/a', but must be a folder or s3://bucket/prefix"),
        ("s3://bucket//runs", "RUN is 's3://bucket//runs', but no part of its path may be empty"),
        ("s3://key:secret@bucket/runs/a", "RUN holds credentials"),
        (Path("s3://key:secret@bucket/runs/a"), "RUN holds credentials"),
    ],
)
def test_an_address_that_is_none_is_refused_in_a_line_without_what_is_secret(run: str | Path, text: str) -> None:
    with pytest.raises(ConfigError, match=text) as caught, reading_run(run):
        pass
    assert "secret" not in str(caught.value)
