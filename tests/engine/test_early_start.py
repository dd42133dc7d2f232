"""Tests of `tuner.engine.early_start`: a context entered in a thread is as one entered here, only sooner."""

from __future__ import annotations

import logging
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tuner.engine.early_start import EarlyStart

LOGGER = "tests.early"


@pytest.fixture(autouse=True)
def _logger() -> Iterator[None]:
    logger = logging.getLogger(LOGGER)
    before = logger.handlers, logger.propagate
    yield
    logger.handlers, logger.propagate = before


class Context:
    """Says what is done with it, and waits to be let in."""

    def __init__(self, error: Exception | None = None) -> None:
        self.may_enter = threading.Event()
        self.happened: list[str] = []
        self._error = error

    @contextmanager
    def __call__(self) -> Iterator[None]:
        self.may_enter.wait(timeout=30)
        logging.getLogger(LOGGER).warning("said while it was entered")
        if self._error is not None:
            raise self._error
        self.happened.append("entered")
        try:
            yield
        finally:
            self.happened.append("left")


def test_other_things_go_on_while_it_is_entered_and_it_is_left_after_the_block() -> None:
    context = Context()
    start = EarlyStart(context(), LOGGER)
    assert context.happened == []
    context.may_enter.set()
    with start.entered():
        assert context.happened == ["entered"]
    assert context.happened == ["entered", "left"]


def test_who_is_interrupted_while_waiting_lets_it_be_left() -> None:
    context = Context()
    start = EarlyStart(context(), LOGGER)
    threading.Timer(0.2, lambda: signal.raise_signal(signal.SIGINT)).start()
    threading.Timer(0.4, context.may_enter.set).start()
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt), start.entered():
            raise AssertionError("it was not entered")
    finally:
        signal.signal(signal.SIGINT, before)
    assert context.happened == ["entered", "left"]


def test_what_is_not_needed_is_left_as_soon_as_it_is_entered_but_nobody_waits_for_ever() -> None:
    context = Context()
    start = EarlyStart(context(), LOGGER)
    assert not start.leave(0.1)
    context.may_enter.set()
    assert start.leave(30.0)
    assert context.happened == ["entered", "left"]


def test_it_is_left_when_the_block_fails() -> None:
    context = Context()
    context.may_enter.set()
    with pytest.raises(KeyboardInterrupt), EarlyStart(context(), LOGGER).entered():
        raise KeyboardInterrupt
    assert context.happened == ["entered", "left"]


def test_what_prevents_it_is_raised_where_it_is_needed() -> None:
    context = Context(ConnectionError("no room"))
    start = EarlyStart(context(), LOGGER)
    context.may_enter.set()
    with pytest.raises(ConnectionError, match="no room"), start.entered():
        raise AssertionError("it was not entered")


def test_what_is_said_meanwhile_is_heard_by_whoever_listens_afterwards() -> None:
    heard: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: heard.append(record.getMessage())  # type: ignore[method-assign]
    context = Context()
    start = EarlyStart(context(), LOGGER)
    context.may_enter.set()
    start._is_entered.wait()
    logging.getLogger(LOGGER).handlers = [handler]
    assert heard == []
    with start.entered():
        assert heard == ["said while it was entered"]
