"""A study told to a tracker as drivers would that were killed: each begins again and tells all from the start."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
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
    """Return `tell_in` for the test's own folder."""
    return partial(tell_in, tmp_path)


def tell_in(folder: Path, callback: Callback, count: int | None) -> None:
    """Tell a callback the first so many entries of a study (None: all), and then be gone."""
    events = [*OPENING, *SEARCH, *AFTER]
    teller = Teller("study", folder)
    for seq, event in enumerate(events[:count]):
        for one in teller.take(Entry(seq, 1_700_000_000.0 + seq, float(seq), event)):
            tell(callback, one)


def places(kind: type, events: Sequence[object] = (*OPENING, *SEARCH, *AFTER)) -> list[int]:
    """Return how many entries stand before and with each event of a kind."""
    return [place for place, event in enumerate(events, 1) if isinstance(event, kind)]
