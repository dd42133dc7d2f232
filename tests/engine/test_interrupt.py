"""Tests of `tuner.engine.interrupt` with real signals."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator

import pytest

from tuner.engine.interrupt import interruptible, sigterm_kept, terminations_interrupt


class Search:
    """Counts how often it is asked to end."""

    def __init__(self, under_way: bool = True) -> None:
        self.under_way = under_way
        self.asked = 0

    def end(self) -> bool:
        self.asked += 1
        return self.under_way


@pytest.fixture(autouse=True)
def _handlers() -> Iterator[None]:
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    yield
    after = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    signal.signal(signal.SIGINT, before[0])
    signal.signal(signal.SIGTERM, before[1])
    assert after == before


def test_the_first_interrupt_ends_the_search_and_nothing_else() -> None:
    search = Search()
    with interruptible(search.end):
        signal.raise_signal(signal.SIGINT)
        assert search.asked == 1


def test_the_second_interrupt_quits() -> None:
    search = Search()
    with interruptible(search.end):
        signal.raise_signal(signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    assert search.asked == 1


def test_an_interrupt_outside_the_search_quits_at_once() -> None:
    with pytest.raises(KeyboardInterrupt), interruptible(Search(under_way=False).end):
        signal.raise_signal(signal.SIGINT)


@pytest.mark.parametrize("interrupted_before", [False, True])
def test_termination_quits_at_once(interrupted_before: bool) -> None:
    search = Search()
    with interruptible(search.end):
        if interrupted_before:
            signal.raise_signal(signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGTERM)
    assert search.asked == interrupted_before


def test_termination_interrupts_before_and_after_what_can_be_resumed() -> None:
    with terminations_interrupt():
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGTERM)
        with interruptible(Search().end):
            pass
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGTERM)


def test_who_takes_sigterm_over_has_it_no_longer_than_the_block() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with sigterm_kept():
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    assert signal.getsignal(signal.SIGTERM) is before


def test_outside_the_main_thread_signals_are_left_alone() -> None:
    before = signal.getsignal(signal.SIGINT)
    seen = []

    def work() -> None:
        with interruptible(Search().end):
            seen.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [before]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_write_is_finished_before_a_signal_quits(number: signal.Signals) -> None:
    written: list[str] = []
    with interruptible(Search(under_way=False).end) as interrupts:

        def write() -> None:
            with interrupts.deferred():
                written.append("begun")
                signal.raise_signal(number)
                written.append("finished")

        with pytest.raises(KeyboardInterrupt):
            write()
        assert written == ["begun", "finished"]
        with interrupts.deferred():
            written.append("again")  # the signal has been answered


def test_a_signal_between_two_writes_quits_at_once() -> None:
    with interruptible(Search().end) as interrupts:
        with interrupts.deferred():
            pass
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGTERM)
