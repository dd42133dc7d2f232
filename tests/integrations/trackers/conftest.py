"""A study told to a tracker as drivers would that were killed: each begins again and tells all from the start."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from tests.results.conftest import AFTER, OPENING, SEARCH
from tuner.integrations.callback import Callback
from tuner.journal.store import Entry
from tuner.results.told import Teller, tell

EPOCHS = {0: [1, 2, 3], 1: [1], 2: [1], 3: []}
"""Of the study, by trial."""

Tell = Callable[[Callback, int | None], None]


@pytest.fixture
def tell_until(tmp_path: Path) -> Tell:
    """Return a function that tells a callback the first so many entries of a study (None: all), and then is gone."""
    events = [*OPENING, *SEARCH, *AFTER]
    entries = [Entry(seq, 1_700_000_000.0 + seq, float(seq), event) for seq, event in enumerate(events)]

    def told(callback: Callback, count: int | None) -> None:
        teller = Teller("study", tmp_path)
        for entry in entries[:count]:
            for one in teller.take(entry):
                tell(callback, one)

    return told


def places(kind: type, events: Sequence[object] = (*OPENING, *SEARCH, *AFTER)) -> list[int]:
    """Return how many entries stand before and with each event of a kind."""
    return [place for place, event in enumerate(events, 1) if isinstance(event, kind)]
