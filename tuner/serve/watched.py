"""One run as it is watched: its history, kept up with the journal, as the messages of which its page is made."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from plotly.io import to_json

from tuner.errors import TunerError
from tuner.journal.live import LiveHistory
from tuner.results.view import View
from tuner.results.views import views
from tuner.results.wording import plain
from tuner.serve.runs import RunSource
from tuner.serve.status import state_of, status_of

_SECONDS, _SECONDS_IN_BUCKET = 0.4, 3.0
"""Between two looks at the journal; a look into a bucket is a request to it."""
_SHARE = 0.05
"""Of one core's time, at most, for drawing up views."""


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
        self._views_are_old = True
        self._views_due = 0.0
        self.messages: Mapping[str, Message] = {}
        """By what they are of, in the order of the page; replaced as a whole and never changed."""

    def update(self) -> float:
        """Bring the messages up to date with the journal, and return after how many seconds to do it again.

        The head follows at once. The views, which cost more the longer the run is, are drawn up as often as their
        share of the processor allows, and whole when nothing is added any more.
        """
        if self._views_due_now():
            self._draw_up()
        try:
            self.source.update()
            self._views_are_old |= self._live.refresh()
        except TunerError as error:
            self._publish({"problem": message("problem", {"text": plain(error)})})
            return self._interval
        state = state_of(self.source, self._live)
        seen = self._live.heard, state
        if seen != self._seen:
            self._seen = seen
            self._publish({"status": message("status", status_of(self.name, self.source, self._live))})
        self._publish({"problem": NO_PROBLEM})
        return 0.0 if self._views_due_now() else self._interval

    def _views_due_now(self) -> bool:
        return self._views_are_old and self._live.history is not None and time.monotonic() >= self._views_due

    def _draw_up(self) -> None:
        assert self._live.history is not None
        began = time.thread_time()
        found = views(self._live.history, self.name)
        drawn = {"order": message("order", {"ids": [view.id for view in found]})}
        drawn |= {f"view {view.id}": Message("view", view_json(view)) for view in found}
        self._views_are_old = False
        self._views_due = time.monotonic() + (time.thread_time() - began) / _SHARE
        self.messages = {key: self.messages[key] for key in ("problem", "status") if key in self.messages} | drawn

    def _publish(self, messages: Mapping[str, Message]) -> None:
        if any(self.messages.get(key) != one for key, one in messages.items()):
            self.messages = {**self.messages, **messages}


def view_json(view: View) -> str:
    """Return the view as JSON in one line; its figure without a template, which the page has."""
    values: dict[str, Any] = {name: value for name, value in vars(view).items() if name != "figure"}
    values["table"] = None if view.table is None else asdict(view.table)
    values["pictures"] = [asdict(picture) for picture in view.pictures]
    text = json.dumps(values)
    if view.figure is None:
        return text
    figure = str(to_json(view.figure, engine="json", remove_uids=True))
    return f'{text[:-1]}, "figure": {figure}}}'


def message(event: str, values: Mapping[str, Any]) -> Message:
    """Return a message of plain values."""
    return Message(event, json.dumps(values))


NO_PROBLEM = message("problem", {"text": ""})
