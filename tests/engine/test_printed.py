"""Tests of `tuner.engine.printed`."""

from __future__ import annotations

import io
import os
import sys
import threading

import pytest

from tuner.engine.printed import Printed


def heard(monkeypatch: pytest.MonkeyPatch) -> tuple[Printed, io.StringIO, io.StringIO]:
    """Return what is printed from now on, and the two streams; called in the test, for pytest has its own before."""
    out, err = io.StringIO(), io.StringIO()
    monkeypatch.setattr(sys, "stdout", out)
    monkeypatch.setattr(sys, "stderr", err)
    return Printed(), out, err


def test_both_streams_are_kept_in_their_order_and_still_written(monkeypatch: pytest.MonkeyPatch) -> None:
    printed, out, err = heard(monkeypatch)
    print("one")
    print("two", file=sys.stderr, flush=True)
    sys.stdout.writelines(["three\n", "four"])
    assert printed.take() == "one\ntwo\nthree\nfour\n"
    assert printed.take() == ""
    assert (out.getvalue(), err.getvalue()) == ("one\nthree\nfour", "two\n")


def test_of_a_progress_bar_the_last_line_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    printed, *_ = heard(monkeypatch)
    for percent in range(101):
        print(f"\r{percent:3}%|{'#' * percent}", end="")
    print("\r\nafter it\r\n", end="")
    assert printed.take() == f"100%|{'#' * 100}\nafter it\n"


@pytest.mark.parametrize("end", ["\n", "\r", ""])
def test_of_what_has_no_end_beginning_and_end_are_kept(monkeypatch: pytest.MonkeyPatch, end: str) -> None:
    printed, *_ = heard(monkeypatch)
    print("the beginning")
    for number in range(50_000):
        print(f"line {number}", end=end)
    print("\nthe end")
    kept = printed.take()
    assert kept.endswith("the end\n")
    assert len(kept) < 65_000
    if end != "\r":
        assert kept.startswith("the beginning\nline 0")
        assert "characters are left out ...\n" in kept
    else:
        assert kept == "the beginning\nline 49999\nthe end\n"


def test_threads_lose_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    printed, *_ = heard(monkeypatch)
    threads = [threading.Thread(target=lambda: [sys.stdout.write("x\n") for _ in range(500)]) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert printed.take() == "x\n" * 4000


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the system cannot fork")
def test_a_forked_process_prints_though_another_thread_was_at_it(monkeypatch: pytest.MonkeyPatch) -> None:
    printed, *_ = heard(monkeypatch)
    with printed._lock:  # as a thread that the fork does not have would leave it
        forked = os.fork()
        if forked == 0:
            done = threading.Thread(target=lambda: sys.stdout.write("from the fork"), daemon=True)
            done.start()
            done.join(5.0)
            os._exit(int(done.is_alive()))
    assert os.waitpid(forked, 0)[1] == 0
    assert printed.take() == ""
