from __future__ import annotations

from tuner.config import DEFAULT_OBJECTIVE
from tuner.journal.events import Event, WarmStarted
from tuner.journal.store import Entry
from tuner.results.story import tell


def test_every_kind_of_event_is_told_in_one_line(finished_entries: list[Entry]) -> None:
    warm_start = WarmStarted("runs/first", [{}, {}], {}, reusable=True)
    told = {type(entry.event) for entry in finished_entries}
    assert told | {type(warm_start)} == set(Event.__args__)
    assert (
        tell(Entry(2, 0.0, 1.0, warm_start), DEFAULT_OBJECTIVE).strip()
        == "1.0s  it starts warm, with 2 trials of runs/first"
    )
    lines = [tell(entry, DEFAULT_OBJECTIVE) for entry in finished_entries]
    assert all(line.isprintable() for line in lines)
    assert lines[5].strip() == "5.0s  trial 0 was measured: num_params 1000, latency 0.0025"
    assert lines[7].strip() == "7.0s  trial 0 paused at rung 1: 0.8000 is number 1 of 1, of which the best 0 go on"
    assert "trial 1 stopped at rung 1: 0.7000 < 0.8000" in lines[10]


def test_a_trace_is_told_by_its_last_line(finished_entries: list[Entry]) -> None:
    lines = [tell(entry, DEFAULT_OBJECTIVE) for entry in finished_entries]
    assert any(line.endswith("taken up again: ActorDiedError: gone") for line in lines)
