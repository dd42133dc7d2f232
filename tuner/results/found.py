"""What another tool's results hold, whichever tool it is."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

NOT_DONE = "failed, were stopped or had not ended"
NO_VALUE = "have no value"


@dataclass
class Found:
    """Configurations with their results, and how many were left out."""

    results: list[tuple[Mapping[str, Any], float]] = field(default_factory=list)
    """Parameters by name, and the objective's value."""
    left: Counter[str] = field(default_factory=Counter)
    """How many were left, by the reason."""

    def add(self, params: Mapping[str, Any], value: float | None, *, done: bool) -> None:
        """Take one, or leave it."""
        if not done:
            self.left[NOT_DONE] += 1
        elif value is None or not math.isfinite(value):
            self.left[NO_VALUE] += 1
        else:
            self.results.append((params, value))
