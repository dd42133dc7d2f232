"""What the reference student project reports for its CNN, the row to beat."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

REFERENCE = "reference"


@dataclass(frozen=True)
class Reference:
    """A result that others report; nothing here was measured by us."""

    name: str
    accuracy: Mapping[str, float]
    """By split, fractions."""
    n: Mapping[str, int]
    """Images by split."""

    def value(self, split: str) -> float | None:
        """Return the result on a split; None where it is not reported."""
        return self.accuracy.get(split)


_REFERENCES: Mapping[tuple[str, str | None], Reference] = {
    ("fashion-mnist", "cnn"): Reference(
        REFERENCE,
        {"train": 0.9731, "dev": 0.9370, "test": 0.9353},
        {"train": 50_000, "dev": 10_000, "test": 10_000},
    )
}


def reference_for(dataset: str, model: str | None) -> Reference | None:
    """Return the reference's result with a model on a data set; None where there is none.

    The model is as a run records it: its name, and by now also of which code it is.
    """
    name = None if model is None else model.partition(" of ")[0]
    return _REFERENCES.get((dataset, name))
