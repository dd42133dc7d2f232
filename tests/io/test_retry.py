from __future__ import annotations

import errno
from collections.abc import Iterator
from types import SimpleNamespace

import pytest

from tuner.errors import StorageError
from tuner.io import retry
from tuner.io.retry import MOST_SECONDS, Outage


@pytest.fixture(autouse=True)
def now(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time, which only sleep moves; the clock on the wall jumps at every look and must not matter."""
    times = [50.0]
    jumps: Iterator[float] = iter(range(10**9, 0, -(10**6)))

    def sleep(seconds: float) -> None:
        times[0] += seconds

    fake = SimpleNamespace(monotonic=lambda: times[0], sleep=sleep, time=lambda: next(jumps))
    monkeypatch.setattr(retry, "time", fake)
    return times


class Disk:
    """Fails some times, then works."""

    def __init__(self, failures: float, error: Exception) -> None:
        self.failures = failures
        self.error = error
        self.written = 0

    def write(self) -> str:
        if self.failures > 0:
            self.failures -= 1
            raise self.error
        self.written += 1
        return "written"


def test_a_short_outage_is_told_once_and_outlasted() -> None:
    said: list[str] = []
    disk = Disk(5, StorageError("the disk is full."))
    assert Outage(said.append).retry(disk.write) == "written"
    assert disk.written == 1
    assert said == [
        "WAITING: the disk is full. The run goes on when that is possible, and ends in 10 minutes if it is not.",
        "The storage is back.",
    ]


def test_an_outage_without_end_ends_the_wait_in_a_sentence_that_says_how_to_go_on(now: list[float]) -> None:
    disk = Disk(float("inf"), StorageError("the disk is full."))
    with pytest.raises(StorageError, match=r"the disk is full\. It has been so for 10 minutes: .* --resume"):
        Outage(lambda text: None).retry(disk.write)
    assert MOST_SECONDS <= now[0] - 50.0 <= MOST_SECONDS + 10


def test_each_outage_has_its_own_time(now: list[float]) -> None:
    watched = Outage(lambda text: None)
    for _ in range(3):
        watched.wait(StorageError("gone."))
        now[0] += MOST_SECONDS * 0.9
        watched.over()
    watched.wait(StorageError("gone."))


def test_what_the_operating_system_says_of_a_file_is_an_outage_too() -> None:
    said: list[str] = []
    disk = Disk(1, OSError(errno.ESTALE, "Stale file handle", "/mnt/runs/a"))
    assert Outage(said.append).retry(disk.write) == "written"
    assert said[0].startswith("WAITING: /mnt/runs/a cannot be used: Stale file handle. ")


def test_another_error_is_not_waited_for() -> None:
    with pytest.raises(ZeroDivisionError):
        Outage(lambda text: None).retry(Disk(1, ZeroDivisionError()).write)
