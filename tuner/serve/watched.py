"""One run as it is watched: its history, kept up with the journal, as the messages of which its page is made."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from plotly.io import to_json

from tuner.errors import StorageError, TunerError
from tuner.journal.history import History
from tuner.journal.live import LiveHistory
from tuner.paths import RunPaths
from tuner.results.sections.search import search_views
from tuner.results.summary import summarize
from tuner.results.view import View
from tuner.results.views import GROUPS, Group, read_kept
from tuner.results.wording import plain
from tuner.serve.runs import RunSource
from tuner.serve.status import state_of, status_of

_SECONDS, _SECONDS_IN_BUCKET = 0.1, 3.0
"""Between two looks at the journal; a look into a bucket is a request to it."""
_HEAD_SHARE = 0.1
"""Of one core's time, at most, for the head."""
_SHARE = 0.03
"""Of one core's time, at most, for drawing up a group of views."""


@dataclass(frozen=True)
class Message:
    """Something to be sent to whoever watches, unless he has it."""

    event: str
    data: str
    """JSON in one line."""
    digest: str = field(init=False)
    """Equal for equal content."""

    def __post_init__(self) -> None:
        digest = hashlib.blake2b(f"{self.event} {self.data}".encode(errors="replace"), digest_size=12).hexdigest()
        object.__setattr__(self, "digest", digest)

    def encode(self) -> bytes:
        """Return it as a server-sent event."""
        return f"event: {self.event}\ndata: {self.data}\n\n".encode(errors="replace")


class WatchedRun:
    """A run and its page; `update` is called by one thread at a time."""

    def __init__(self, name: str, source: RunSource) -> None:
        """Watch the run called `name`; nothing is read yet."""
        self.name = name
        self.source = source
        self._live = LiveHistory(source.paths.journal)
        self._interval = _SECONDS_IN_BUCKET if source.is_bucket else _SECONDS
        self._seen: object = None
        """The moment and the state that the head is of."""
        self._damaged: object = None
        """The size of a journal that cannot be read: it would be read whole at each look."""
        self._head_due = 0.0
        self._groups = [_Group(draw_up) for draw_up in GROUPS]
        self.messages: Mapping[str, Message] = {}
        """By what they are of, in the order of the page; replaced as a whole and never changed."""

    def update(self) -> float:
        """Bring the messages up to date with the journal, and return after how many seconds to do it again.

        Head and views, which cost more the longer the run is, are drawn up as often as their shares of the processor
        allow, and once more when nothing is added any more.
        """
        try:
            self._draw_one_group()
            self.source.update()
            size = self.source.size()
            if size == self._damaged:
                return self._interval
            self._damaged = size  # unless it can be taken
            self._take_new()
            self._damaged = None
        except Exception as error:  # a journal may be a stranger's, and hold whole events that say impossible things
            if is_passing(error):
                self._damaged = None
            self._publish({"problem": message("problem", {"text": explain(error)})})
            return self._interval
        self._publish({"problem": NO_PROBLEM})
        return 0.0 if any(group.is_due for group in self._groups) else self._interval

    def _take_new(self) -> None:
        if self._live.refresh():
            for group in self._groups:
                group.is_old = True
        self._show_head()

    def _show_head(self) -> None:
        seen = self._live.heard, state_of(self.source, self._live)
        if seen != self._seen and time.monotonic() >= self._head_due:
            began = time.thread_time()
            self._publish({"status": message("status", status_of(self.name, self.source, self._live))})
            self._seen = seen
            self._head_due = time.monotonic() + (time.thread_time() - began) / _HEAD_SHARE

    def _draw_one_group(self) -> None:
        due = next((group for group in self._groups if group.is_due), None)
        if due is None or self._live.history is None:
            return
        due.draw_up(self._live.history, self.name, self.source.paths)
        # While the search goes on, how it goes is read first; in the end, what came out.
        is_searching = self._live.history.search_ended is None
        groups = sorted(self._groups, key=lambda group: is_searching and not group.is_of_search)
        drawn = [one for group in groups for one in group.drawn.items()]
        order = {"order": message("order", {"ids": [name for name, _ in drawn]})}
        head = {key: self.messages[key] for key in ("problem", "status") if key in self.messages}
        self.messages = head | order | {f"view {name}": view for name, view in drawn}

    def _publish(self, messages: Mapping[str, Message]) -> None:
        if any(self.messages.get(key) != one for key, one in messages.items()):
            self.messages = {**self.messages, **messages}


class _Group:
    """Some views of the page, drawn up together and no more often than their share of the processor allows."""

    def __init__(self, draw_up: Group) -> None:
        self._draw_up = draw_up
        self._due = 0.0
        self.is_old = False
        self.drawn: dict[str, Message] = {}
        """By the view."""

    @property
    def is_of_search(self) -> bool:
        return self._draw_up is search_views

    @property
    def is_due(self) -> bool:
        return self.is_old and time.monotonic() >= self._due

    def draw_up(self, history: History, name: str, paths: RunPaths) -> None:
        began, self.is_old = time.thread_time(), False
        views = self._draw_up(history, summarize(history, name), read_kept(paths))
        self.drawn = {view.id: Message("view", view_json(view)) for view in views}
        self._due = time.monotonic() + (time.thread_time() - began) / _SHARE


def view_json(view: View) -> str:
    """Return the view as JSON in one line; its figure without a template, which the page has."""
    values: dict[str, Any] = {name: value for name, value in vars(view).items() if name != "figure"}
    values["table"] = None if view.table is None else asdict(view.table)
    values["pictures"] = [asdict(picture) for picture in view.pictures]
    text = json.dumps(values)
    if view.figure is None:
        return text
    drawing = view.figure.to_dict()
    drawing["layout"].pop("template", None)
    figure = str(to_json(drawing, validate=False, engine="json"))
    return f'{text[:-1]}, "figure": {figure}}}'


def explain(error: Exception) -> str:
    """Return what is wrong, for the page; of what is no error of the user's, which kind it is too."""
    return plain(error) if isinstance(error, TunerError | OSError) else f"{type(error).__name__}: {plain(error)}"


def is_passing(error: Exception) -> bool:
    """Return whether what is wrong may have passed at the next look, though the journal is the same."""
    return isinstance(error, StorageError | OSError)


def message(event: str, values: Mapping[str, Any]) -> Message:
    """Return a message of plain values."""
    return Message(event, json.dumps(values))


NO_PROBLEM = message("problem", {"text": ""})
