"""Tests of `tuner.engine.live.cell`: a notebook's output that is replaced in place, in a real kernel."""

from __future__ import annotations

import html
import re
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.engine.live.events import SEARCH, started, state_of
from tuner.engine.live.cell import in_notebook, to_html
from tuner.engine.live.view import Size, draw

CODE = """
import time
from tests.engine.live.events import AFTER, SEARCH, started
from tuner.engine.live import ticker
from tuner.engine.progress import Progress
from tuner.screen import lasting_console

ticker._SHARE = float("inf")  # however slow the machine, it draws

with Progress(lasting_console(), lambda: 65.0) as progress:
    progress.say("the plan")
    for event in [*started(), *SEARCH]:
        progress.on_event(event)
        time.sleep(0.05)
    for event in AFTER:
        progress.on_event(event)
"""


@pytest.fixture(scope="module")
def messages() -> Iterator[list[dict[str, Any]]]:
    """What a kernel sends while the code runs."""
    manager = pytest.importorskip("jupyter_client", reason="needs a kernel: pip install ipykernel")
    kernel, client = manager.manager.start_new_kernel(kernel_name="python3")
    try:
        found: list[dict[str, Any]] = []
        client.execute_interactive(CODE, output_hook=found.append, timeout=60)
        yield found
    finally:
        client.stop_channels()
        kernel.shutdown_kernel(now=True)


def bundles(messages: list[dict[str, Any]], kind: str) -> list[dict[str, str]]:
    return [message["content"]["data"] for message in messages if message["msg_type"] == kind]


def test_one_output_is_made_and_then_replaced(messages: list[dict[str, Any]]) -> None:
    assert [message["content"] for message in messages if message["msg_type"] == "error"] == []
    assert len(bundles(messages, "display_data")) == 1
    updates = bundles(messages, "update_display_data")
    assert 2 <= len(updates) < 37  # not one for each event
    ids = {message["content"]["transient"]["display_id"] for message in messages if "display" in message["msg_type"]}
    assert len(ids) == 1


def test_the_last_of_it_shows_where_the_run_stands_as_html_and_as_text(messages: list[dict[str, Any]]) -> None:
    last = bundles(messages, "update_display_data")[-1]
    assert "tuned          1    4/4        0.9000  0.9000" in last["text/plain"]
    shown = html.unescape(re.sub("<[^>]*>", "", last["text/html"]))
    assert [line.rstrip() for line in shown.strip().splitlines()] == last["text/plain"].splitlines()


def test_what_is_said_is_ordinary_output(messages: list[dict[str, Any]]) -> None:
    streams = [message["content"] for message in messages if message["msg_type"] == "stream"]
    said = "".join(stream["text"] for stream in streams if stream["name"] == "stdout")
    assert said.startswith("the plan\n")
    assert "[1m 05s] the search ended: all trials have ended\n" in said
    assert "epoch 1" not in said


def test_the_html_needs_no_style_sheet_and_harms_no_page() -> None:
    state = state_of(started(), SEARCH)
    state.troubles.append("trial 4 failed: <script>alert(1)</script>")
    text = to_html(draw(state, 65.0, Size(100)))
    assert text.startswith("<pre style=")
    assert "<script" not in text
    assert 'class="' not in text
    assert "background-color" not in text
    assert "&lt;script&gt;" in text


def test_where_there_is_no_notebook_there_is_no_cell() -> None:
    began = time.monotonic()
    assert not in_notebook()
    assert time.monotonic() - began < 1
