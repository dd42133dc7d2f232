"""Which configurations were tried, whatever rounding has left of them in the last digits."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tuner.search.trial import canonical

_DIGITS = 12
"""In which numbers must differ: a double has nearly 16, and a sum or a power spoils the last few.

What -0.3 + 3 * 0.1 leaves in place of zero is another number all the same: how little is nothing depends on the range.
"""


class Tried:
    """Configurations, known by their hyperparameters.

    A number in steps of 0.1 is 0.3 as a start configuration has it, and 0.30000000000000004 as it is drawn: to train
    both would be to train one configuration twice. A whole number may come as 1 and as 1.0.
    """

    def __init__(self, *, rounds: bool = True) -> None:
        """Begin without any; without `rounds`, as in older runs, numbers differ if their last digits do."""
        self._rounds = rounds
        self._keys: set[str] = set()

    def add(self, hparams: Mapping[str, Any]) -> None:
        """Take note of a configuration."""
        self._keys.add(self.key(hparams))

    def __contains__(self, hparams: Mapping[str, Any]) -> bool:
        return self.key(hparams) in self._keys

    def key(self, hparams: Mapping[str, Any]) -> str:
        """Return a text that is equal for hyperparameters, in the journal's form, that are one configuration."""
        return canonical(_rounded(hparams) if self._rounds else hparams)


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        shortened = float(f"{value:.{_DIGITS}g}")
        return int(shortened) if shortened.is_integer() else shortened
    if isinstance(value, Mapping):
        return {name: _rounded(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_rounded(inner) for inner in value]
    return value
