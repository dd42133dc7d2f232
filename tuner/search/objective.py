"""What a search looks for: a metric of the trainable, and beside it what a model costs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from tuner.errors import ConfigError

Direction = Literal["maximize", "minimize"]
"""Optuna's words; this module must not import it, for reports read objectives too."""


@dataclass(frozen=True)
class Objective:
    """A metric and which way is better: what trials are compared by, and what the searcher improves.

    The journal holds the metric as it is; searcher and scheduler work with its score, of which higher is better.
    Raises ConfigError for an unknown direction or an empty name.
    """

    metric: str
    """Its name in the trainable's reports, or in what is measured of a model (`MEASURES`)."""
    direction: Direction = "maximize"
    proportion: bool = False
    """Whether it is a share of independent cases, which are right or wrong: then one value has a Wilson interval."""

    def __post_init__(self) -> None:
        if not isinstance(self.metric, str) or not self.metric:
            raise ConfigError(f"the objective's metric is {self.metric!r}, but must be the name of a metric.")
        if self.direction not in get_args(Direction):
            raise ConfigError(
                f"the direction of objective {self.metric!r} is {self.direction!r}, but must be one of: "
                f"{', '.join(get_args(Direction))}."
            )

    @property
    def is_maximised(self) -> bool:
        """Otherwise it is minimised."""
        return self.direction == "maximize"

    @property
    def words(self) -> str:
        """The metric's name as it stands in a sentence."""
        return self.metric.replace("_", " ")

    @property
    def best_word(self) -> str:
        """What a better value is called: the "highest" or the "lowest"."""
        return "highest" if self.is_maximised else "lowest"

    @property
    def worse_sign(self) -> str:
        """The sign between a value and a better one."""
        return "<" if self.is_maximised else ">"

    def score(self, value: float) -> float:
        """Return the value as one of which higher is better; of a score, the value."""
        return value if self.is_maximised else -value

    def text(self, value: float) -> str:
        """Return the value as it stands in a sentence or a table."""
        return f"{value:.4f}" if self.proportion else number_text(value)

    def text_of_score(self, score: float) -> str:
        """Return the value of which this is the score, as `text` does: a minimised error must not read -0.83."""
        return self.text(self.score(score))


NUM_PARAMS = Objective("num_params", "minimize")
"""Trainable parameters of the model."""
LATENCY = Objective("latency", "minimize")
"""Median seconds of the forward pass of one example, on the trial's device."""

MEASURES: Mapping[str, Objective] = {one.metric: one for one in (NUM_PARAMS, LATENCY)}
"""What is measured of a model, once, before its first epoch."""


def objectives_of(names: Sequence[str], first: Objective) -> tuple[Objective, ...]:
    """Return `first` and the objectives beside it; `names` are all of them, or none for `first` alone.

    The first name is that of `first`. The others are names in `MEASURES`, or a metric with its direction, such as
    `dev_loss:minimize`.

    Raises:
        ConfigError: if the first name or its direction is another, a direction is missing or unknown, or a name is
            given twice.
    """
    if not names:
        return (first,)
    given = ",".join(names)
    metric, _, direction = names[0].rpartition(":")
    if metric == first.metric and direction != first.direction and names[0] != first.metric:
        raise ConfigError(
            f"--objectives is {given!r}, but the direction of {metric}, the objective of the search space, is "
            f"{direction!r} there, and must be {first.direction!r} or left out."
        )
    if names[0] not in (first.metric, f"{first.metric}:{first.direction}"):
        raise ConfigError(
            f"--objectives is {given!r}, but must begin with {first.metric}, the objective of the search space, by "
            f"which trials are compared at the rungs; behind it may stand {', '.join(MEASURES)} and other metrics, "
            "such as dev_loss:minimize."
        )
    found = (first, *(_beside(name, given) for name in names[1:]))
    if len({one.metric for one in found}) < len(found):
        raise ConfigError(f"--objectives is {given!r}, but must name each metric once.")
    return found


def number_text(value: float) -> str:
    """Return a number for a reader: four digits behind the point, or four in all where that would not do."""
    return f"{value:.4f}" if value == 0 or 1e-3 <= abs(value) < 1e6 else f"{value:.4g}"


def _beside(name: str, given: str) -> Objective:
    metric, colon, direction = name.rpartition(":")
    if not colon and name in MEASURES:
        return MEASURES[name]
    if not colon or not metric or direction not in get_args(Direction):
        raise ConfigError(
            f"--objectives is {given!r}, but {name!r} is none of {', '.join(MEASURES)}, so it must be a metric of the "
            "training with its direction, such as dev_loss:minimize or dev_f1:maximize."
        )
    return Objective(metric, "maximize" if direction == "maximize" else "minimize")
