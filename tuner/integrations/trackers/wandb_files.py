"""Reading W&B's `.wandb` files: a short head, then records in the format of LevelDB's log.

A record lies in one chunk, or in a first, middle ones and a last; no chunk crosses the end of a block. See
https://github.com/google/leveldb/blob/main/doc/log_format.md.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

_BLOCK = 32 << 10
_HEAD = 7
"""Bytes of the file's head, which count as the first block's, and as many of each chunk's: checksum, length, kind."""
_WHOLE, _FIRST, _MIDDLE, _LAST = 1, 2, 3, 4


def records(path: Path) -> Iterator[Any]:
    """Yield the records, as W&B's protocol has them, up to the first that a kill has torn."""
    from wandb.proto import wandb_internal_pb2

    for content in _contents(path.read_bytes()):
        record = wandb_internal_pb2.Record()
        record.ParseFromString(content)
        yield record


def _contents(data: bytes) -> Iterator[bytes]:
    place, gathered = _HEAD, b""
    while place + _HEAD <= len(data):
        left = _BLOCK - place % _BLOCK
        if left < _HEAD:
            place += left
            continue
        _, length, kind = struct.unpack_from("<IHB", data, place)
        place += _HEAD
        chunk = data[place : place + length]
        if len(chunk) < length or kind not in (_WHOLE, _FIRST, _MIDDLE, _LAST):
            return
        place += length
        gathered += chunk
        if kind in (_WHOLE, _LAST):
            yield gathered
            gathered = b""
