"""Whether a run can go on as it began: what must be the same, and what the user should know is not.

The rule: what the trials see, the data and the search space, decides what their results mean, so a change is refused.
What they run on, code, packages and number format, may change numbers a little; a change is told in one line, and each
driver's commit stands in the journal.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from tuner.errors import ConfigError

_REFUSED = (("data_hashes", "data set"), ("space_sha256", "search space"))
_TOLD = ("commit", "python", "precision")


def check_unchanged(before: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    """Compare two environments (`describe_environment`); raises ConfigError if data or search space differ."""
    for key, what in _REFUSED:
        if key in now and before.get(key) != now[key]:
            raise ConfigError(
                f"the run cannot go on: the {what} has changed since it began ({before.get(key)} then, {now[key]} now)."
            )


def changes_to_tell(before: Mapping[str, Any], now: Mapping[str, Any]) -> str | None:
    """Return in one line what may change numbers a little between two environments; None if nothing does."""
    changed = list(_changes(before, now))
    if not changed:
        return None
    return f"NOTICE: the run began with {', '.join(changed)}; numbers from here on may differ a little."


def _changes(before: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[str]:
    for name in _TOLD:
        if before.get(name) != now.get(name):
            yield f"{name} {before.get(name)} (now {now.get(name)})"
    packages, packages_now = before.get("packages") or {}, now.get("packages") or {}
    for name in sorted({*packages, *packages_now}):
        if packages.get(name) != packages_now.get(name):
            yield f"{name} {packages.get(name)} (now {packages_now.get(name)})"
