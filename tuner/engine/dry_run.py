"""Before anything is trained: a model of the task's own is built and asked once, to see which hyperparameters it reads.

The built-in loop and the registered models say what they know. Another's builder may read anything, and one that is
given `learning_rte` would silently train at the default.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch

from tuner.data.dataset import SearchData
from tuner.data.splits import as_split
from tuner.engine.traces import trace, with_trace
from tuner.errors import ConfigError, SpaceError, TunerError, in_one_line
from tuner.models import ModelSpec
from tuner.models.summary import evaluating
from tuner.search.space import SearchSpace, unknown_hyperparameter
from tuner.training.batches import blank_inputs
from tuner.training.classifier import Classifier
from tuner.training.hparams import TrainingHparams
from tuner.training.lr_decay import without_schedule
from tuner.training.randomness import seeded
from tuner.training.watched import WatchedHparams

_CPU = torch.device("cpu")


def check_hparams(space: SearchSpace, model: ModelSpec, data: SearchData, tried: Sequence[Mapping[str, Any]]) -> None:
    """Refuse what the built-in loop or the model would ignore or refuse, of configurations `tried` from the space.

    The first must build a model that takes the data; of the others some are built too, so that each hyperparameter is
    in one of them.

    Raises:
        SpaceError: if a hyperparameter is read by nobody, a value breaks a law, or the first model does not fit.
    """
    tried = [*tried, *({**one, **space.retrain} for one in tried[:1])]
    for hparams in tried:
        try:
            TrainingHparams.of(hparams)
        except ConfigError as error:
            raise SpaceError(f"space {space.name!r} returns a value that cannot be trained with: {error}") from error
    known = set(TrainingHparams.names()) | set(model.defaults or {})
    names = list(dict.fromkeys(name for hparams in tried for name in hparams))
    if model.defaults is None:
        known |= _read(space, model, data, _covering(tried, known))
    for name in names:
        if name not in known:
            raise unknown_hyperparameter(space.name, name, known)


def _covering(tried: Sequence[Mapping[str, Any]], known: set[str]) -> list[Mapping[str, Any]]:
    """Return the first configuration, and of the others those with a hyperparameter that none before them has."""
    seen = set(known)
    chosen: list[Mapping[str, Any]] = []
    for hparams in tried:
        if not chosen or not seen.issuperset(hparams):
            chosen.append(hparams)
            seen.update(hparams)
    return chosen


def _read(space: SearchSpace, model: ModelSpec, data: SearchData, chosen: Sequence[Mapping[str, Any]]) -> set[str]:
    """Return the names that building the chosen models, and a forward pass of each, asks for."""
    asked: set[str] = set()
    for place, hparams in enumerate(chosen):
        watched = WatchedHparams(without_schedule(hparams))
        try:
            with seeded(0, _CPU):
                built = Classifier(
                    model.build, watched, data, seed=0, device=_CPU, max_epochs=None, precision=torch.float32
                )
                _check_classes(built, data)
        except Exception as error:  # a user's builder may raise anything
            if place == 0:
                reason = in_one_line(error)
                what = "first start configuration" if space.start else "first configuration"
                refused = SpaceError(f"the {what} of space {space.name!r} cannot be trained: {reason}")
                raise with_trace(refused, None if isinstance(error, TunerError) else trace(error)) from error
            asked |= set(hparams)  # a trial that fails, and says why; what it would have read is not known
        asked |= watched.asked
    return asked


def _check_classes(built: Classifier, data: SearchData) -> None:
    """Raise ConfigError if the model tells more classes apart than have a name; without names there may be more."""
    train = as_split(data.train)
    if not train.class_names:
        return
    with evaluating(built.model), torch.no_grad():
        found = built.model(blank_inputs(train, 2)).shape[1]
    if found != train.classes:
        raise ConfigError(f"the model tells {found} classes apart, but the data have {train.classes}.")
