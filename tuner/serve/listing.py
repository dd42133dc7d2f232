"""The list of runs, kept up with them; a journal that has not grown is not read again."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from tuner.errors import TunerError
from tuner.journal.live import LiveHistory
from tuner.serve.runs import RunsFolder, RunSource
from tuner.serve.status import line_of
from tuner.serve.watched import NO_PROBLEM, Message, explain, is_passing, message

_SECONDS, _SECONDS_IN_BUCKET = 2.0, 10.0
"""Between two looks; one into a bucket is a request for every run that has not finished."""
_SECONDS_FINISHED = 300.0
"""Between two looks at a finished run in a bucket, which somebody may go on with."""
_PATIENCE = 0.3
"""Seconds of reading after which what is known is shown."""


class Listing:
    """All runs of a folder, a message each; `update` is called by one thread at a time."""

    def __init__(self, runs: RunsFolder) -> None:
        """List `runs`; nothing is read yet."""
        self._runs = runs
        self._pause = _SECONDS_IN_BUCKET if runs.is_bucket else _SECONDS
        self._known: dict[str, _Known] = {}
        self.messages: Mapping[str, Message] = {}
        """By run; replaced as a whole and never changed."""

    def update(self) -> float:
        """Bring the list up to date, and return after how many seconds to do it again."""
        began = time.monotonic()
        try:
            names = self._runs.names()
        except TunerError as error:
            self._publish({"problem": message("problem", {"text": explain(error)})})
            return self._pause
        self._known = {name: self._known.get(name) or _Known() for name in names}
        for name in names:
            if self._known[name].refresh(name, self._runs) and time.monotonic() - began > _PATIENCE:
                break  # show what there is; the others come next
        else:
            self._show(names)
            return self._pause
        self._show(names)
        return 0.0

    def _show(self, names: list[str]) -> None:
        lines = {name: self._known[name].line for name in names}
        found = {"order": message("order", {"names": names}), "problem": NO_PROBLEM}
        found |= {f"run {name}": message("run", line) for name, line in lines.items() if line}
        if found != self.messages:
            self.messages = found

    def _publish(self, messages: Mapping[str, Message]) -> None:
        self.messages = {**self.messages, **messages}


class _Known:
    """What is known of one run."""

    def __init__(self) -> None:
        self.line: Mapping[str, Any] = {}
        self._source: RunSource | None = None
        self._live: LiveHistory | None = None
        self._size: object = None
        self._due = 0.0

    def refresh(self, name: str, runs: RunsFolder) -> bool:
        """Bring the line up to date, and return whether the journal had to be read."""
        source = self._source = self._source or runs.source(name)
        if source is None or time.monotonic() < self._due:
            return False
        try:
            was_read = self._read(name, source)
            if source.has_owner is False and self.line["state"] == "finished":
                self._due = time.monotonic() + _SECONDS_FINISHED
            return was_read
        except Exception as error:  # a journal may be a stranger's, and hold whole events that say impossible things
            self.line = {"name": name, "state": "unreadable", "what": explain(error)}
            self._live = None
            if is_passing(error):
                self._size = None
            return False

    def _read(self, name: str, source: RunSource) -> bool:
        source.update()
        size = source.size()
        if size == self._size:
            self._watch_driver(name, source)
            return False
        self._size = size  # at once: a damaged journal would be read whole at each look
        live = self._live or LiveHistory(source.paths.journal)
        live.refresh()
        self.line = line_of(name, source, live)
        # A history of thousands of trials is kept only as long as it grows.
        self._live = live if self.line["state"] == "running" else None
        return True

    def _watch_driver(self, name: str, source: RunSource) -> None:
        if self._live is not None:
            self.line = line_of(name, source, self._live)
            if self.line["state"] != "running":
                self._live = None
