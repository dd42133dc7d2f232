"""Reading Parquet files so that damage is noticed and nothing of Arrow's is at work when Python ends.

Given a path, Arrow takes only one that is UTF-8. Given a file of Python's, or threads, it may still be at work when
Python ends, which then aborts: of scripts that read a table and no more, one in five.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa

READING: Mapping[str, Any] = {"page_checksum_verification": True, "use_threads": False, "pre_buffer": False}
"""Arguments for pandas and pyarrow, beside the `content` of a file."""


def content(path: Path) -> pa.BufferReader:
    """Return the content of a file; raises OSError if it cannot be read."""
    return pa.BufferReader(path.read_bytes())
