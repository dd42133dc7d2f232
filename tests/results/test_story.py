from __future__ import annotations

from typing import Any

from tuner.config import DEFAULT_OBJECTIVE
from tuner.journal.events import (
    EnsembleMeasured,
    Event,
    ParamsAsked,
    RetrainingPlanned,
    SearchEnded,
    TrialProposed,
    WarmStarted,
)
from tuner.journal.store import Entry
from tuner.results.story import tell
from tuner.search.trial import Origin


def test_every_kind_of_event_is_told_in_one_line(finished_entries: list[Entry]) -> None:
    warm_start = WarmStarted("runs/first", [{}, {}], {}, reusable=True)
    ensemble = EnsembleMeasured([1, 2], {"dev": {"accuracy": 0.93}, "test": {"accuracy": 0.92}}, "w", "00")
    told = {type(entry.event) for entry in finished_entries}
    seeds: list[dict[str, Any]] = [
        {"candidate": "tuned", "seed": seed, "max_epochs": 44, "hparams": {}} for seed in (1, 2)
    ]
    planned = RetrainingPlanned(seeds, {"tuned": 20.0}, None)
    asked = ParamsAsked(4, {"lr": 0.25, "depth": 3}, {})
    assert told | {type(warm_start), type(planned), type(ensemble), type(asked)} == set(Event.__args__)
    text = tell(Entry(3, 0.0, 2.0, asked), DEFAULT_OBJECTIVE).strip()
    assert text == "2.0s  trial 4 asked for lr 0.25, depth 3"
    text = tell(Entry(3, 0.0, 2.0, planned), DEFAULT_OBJECTIVE).strip()
    assert text == "2.0s  the retraining is planned: tuned for 44 epochs with 2 seeds"
    assert (
        tell(Entry(3, 0.0, 1.0, ensemble), DEFAULT_OBJECTIVE).strip()
        == "1.0s  the ensemble of 2 retrainings: dev 0.9300, test 0.9200"
    )
    assert (
        tell(Entry(2, 0.0, 1.0, warm_start), DEFAULT_OBJECTIVE).strip()
        == "1.0s  the search starts warm, with 2 trials of runs/first"
    )
    lines = [tell(entry, DEFAULT_OBJECTIVE) for entry in finished_entries]
    assert all(line.isprintable() for line in lines)
    assert lines[5].strip() == "5.0s  trial 0 was measured: num_params 1000, latency 0.0025"
    assert lines[7].strip() == "7.0s  trial 0 paused at rung 1: 0.8000 is number 1 of 1, of which none goes on yet"
    assert "trial 1 stopped at rung 1: 0.7000 < 0.8000" in lines[10]


def test_how_much_earlier_a_search_ended_that_had_converged_is_told() -> None:
    def line(event: Event) -> str:
        return tell(Entry(3, 0.0, 2.0, event), DEFAULT_OBJECTIVE).strip()

    assert line(SearchEnded("converged")) == "2.0s  the search ended: converged"
    assert line(SearchEnded("converged", 750.0)) == (
        "2.0s  the search ended: converged; 12m 30s before its time was over"
    )
    proposed = TrialProposed(4, {}, {}, {"lr": 0.25}, Origin.MODEL, 1, expected_improvement=0.0004)
    assert line(proposed) == "2.0s  trial 4 proposed (model): lr 0.25; expected improvement 0.0004"


def test_a_trace_is_told_by_its_last_line(finished_entries: list[Entry]) -> None:
    lines = [tell(entry, DEFAULT_OBJECTIVE) for entry in finished_entries]
    assert any(line.endswith("taken up again: ActorDiedError: gone") for line in lines)
