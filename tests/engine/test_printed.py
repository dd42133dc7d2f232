"""Tests of `tuner.engine.printed`."""

from __future__ import annotations

import copy
import io
import os
import re
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


@pytest.mark.parametrize("end", ["\n", ""])
def test_of_what_has_no_end_beginning_and_end_are_kept(monkeypatch: pytest.MonkeyPatch, end: str) -> None:
    printed, *_ = heard(monkeypatch)
    print("the beginning")
    for number in range(50_000):
        print(f"line {number}", end=end)
    print("\nthe end")
    check_ends(printed.take(), 14 + sum(len(f"line {number}{end}") for number in range(50_000)) + 9)


def test_of_one_long_line_beginning_and_end_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    printed, *_ = heard(monkeypatch)
    print("the beginning" + "x" * 200_000 + "the end")
    check_ends(printed.take(), 200_021)


def check_ends(kept: str, length: int) -> None:
    """Check that both ends of a text of that length are there, and that it is told how much is not."""
    assert kept.startswith("the beginning")
    assert kept.endswith("the end\n")
    first, note, last = re.split(r"\n(\.\.\. [\d,]+ characters are left out \.\.\.)\n", kept)
    left_out = int(re.sub(r"\D", "", note))
    assert len(first) + len(last) + left_out == length
    assert 40_000 < len(kept) < 65_000


def test_a_line_that_is_drawn_again_without_end_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    printed, *_ = heard(monkeypatch)
    for number in range(50_000):
        print(f"\x1b[32mline {number}\x1b[0m", end="\r")
    assert printed.take() == "line 49999\n"


def test_a_bar_that_is_wiped_out_leaves_nothing_to_read(monkeypatch: pytest.MonkeyPatch) -> None:
    printed, *_ = heard(monkeypatch)
    print("\r50%" + "\r" + " " * 50 + "\r", end="")
    assert printed.take().strip() == ""


def test_a_stream_that_is_heard_takes_text_alone_and_can_be_copied(monkeypatch: pytest.MonkeyPatch) -> None:
    heard(monkeypatch)
    with pytest.raises(TypeError):
        sys.stdout.write(b"bytes")  # type: ignore[arg-type]
    copied = copy.copy(sys.stdout)
    assert copied.write("x") == 1


def test_threads_lose_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    printed, *_ = heard(monkeypatch)
    interval = sys.getswitchinterval()
    threads = [threading.Thread(target=lambda: [sys.stdout.write("x") for _ in range(500)]) for _ in range(8)]
    sys.setswitchinterval(1e-6)
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(interval)
    assert printed.take() == "x" * 4000 + "\n"


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
