"""Writing files whole or not at all, and telling one file from another by its hash."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tuner.errors import StorageError

_HASH_BLOCK_BYTES = 1 << 20


def write_whole(path: Path, write: Callable[[Path], object]) -> None:
    """Let `write` fill a temporary neighbour of `path`, then rename it into place.

    A reader sees the old file or the new one, never a part; a failed write leaves no trace.

    Raises:
        StorageError: if the disk is full or gone.
    """
    # The suffix is kept last because some writers choose their format by it.
    temporary = path.with_name(f".{path.stem}.{os.getpid()}.tmp{path.suffix}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            write(temporary)
            with temporary.open("rb") as handle:
                os.fsync(handle.fileno())
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        raise StorageError(f"{path} cannot be written: {error.strerror or error}.") from error


def remove_unfinished(folder: Path) -> None:
    """Remove what a process that was killed in `write_whole` has left in `folder`; nobody else may be writing there."""
    for left in folder.glob(".*.tmp*"):
        left.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write `text` as UTF-8, whole or not at all.

    What Python makes of a file's name that is no UTF-8, half a character, is written as Python's escape for it. In
    JSON that means the same half character again.
    """
    write_whole(path, lambda temporary: temporary.write_text(text, encoding="utf-8", errors="backslashreplace"))


def write_json(path: Path, value: Any) -> None:
    """Write `value` as indented JSON, whole or not at all."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False) + "\n")


def hash_file(path: Path, algorithm: str = "sha256") -> str:
    """Return the file's hexadecimal digest, read in blocks."""
    digest = hashlib.new(algorithm, usedforsecurity=False)
    with path.open("rb") as handle:
        while block := handle.read(_HASH_BLOCK_BYTES):
            digest.update(block)
    return digest.hexdigest()
