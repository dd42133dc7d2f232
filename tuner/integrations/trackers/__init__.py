"""Experiment trackers that a study can be followed in: `--track tensorboard,mlflow`.

A tracker is a `Callback` that is told the whole study again when a driver goes on with it, and sends only what the
tracker lacks. Each module imports its package only when it begins; its settings are the package's own environment
variables, and without any it keeps what it is told below the run's folder.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec

from tuner.errors import ConfigError, unknown_name
from tuner.extras import install_line
from tuner.integrations.callback import Callback

FOLDER = "trackers"
"""Below a run's folder, `RunPaths.trackers`: where trackers keep what they are told, unless told another place."""


@dataclass(frozen=True)
class Tracker:
    """Where a tracker's code is, and what it needs."""

    module: str
    """Ours; its class `Tracker` is the callback."""
    package: str
    """What it imports."""


TRACKERS: Mapping[str, Tracker] = {
    name: Tracker(f"{__name__}.{name}", name) for name in ("tensorboard", "mlflow", "wandb", "aim")
}
"""By name, which is that of the extra too."""


def trackers(names: Sequence[str], argument: str = "--track") -> list[Callback]:
    """Return the trackers of these names; `argument` is where the user gave them.

    Raises:
        ConfigError: if a name is unknown or given twice, or its package is not installed.
    """
    for name in names:
        if name not in TRACKERS:
            raise unknown_name(argument, name, TRACKERS)
        if not _is_installed(TRACKERS[name].package):
            raise ConfigError(
                f"{argument} is {name!r}, but {TRACKERS[name].package} is not installed: {install_line(name)}"
            )
    if len(set(names)) < len(names):
        raise ConfigError(f"{argument} is {','.join(names)!r}, but must name each tracker once.")
    return [importlib.import_module(TRACKERS[name].module).Tracker() for name in names]


def _is_installed(package: str) -> bool:
    """Whether there is such a package; a folder of that name, as `wandb/` where runs were, is none."""
    found = find_spec(package)
    return found is not None and found.origin is not None
