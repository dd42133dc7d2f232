from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from tuner.io.files import hash_file, write_text, write_whole


def test_a_failed_write_leaves_the_old_file_and_no_trace(tmp_path: Path) -> None:
    target = tmp_path / "table.parquet"
    write_text(target, "old")

    def fail(temporary: Path) -> None:
        temporary.write_text("half")
        raise RuntimeError("disk gone")

    with pytest.raises(RuntimeError, match="disk gone"):
        write_whole(target, fail)
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_the_temporary_name_keeps_the_suffix_that_writers_choose_a_format_by(tmp_path: Path) -> None:
    seen: list[Path] = []

    def write(temporary: Path) -> None:
        seen.append(temporary)
        temporary.write_text("x")

    write_whole(tmp_path / "new" / "figure.svg", write)
    assert seen[0].suffix == ".svg"
    assert (tmp_path / "new" / "figure.svg").read_text() == "x"


def test_a_hash_is_that_of_hashlib(tmp_path: Path) -> None:
    path = tmp_path / "data"
    path.write_bytes(b"abc" * 1_000_000)
    assert hash_file(path) == hashlib.sha256(path.read_bytes()).hexdigest()
    assert hash_file(path, "md5") == hashlib.md5(path.read_bytes()).hexdigest()
