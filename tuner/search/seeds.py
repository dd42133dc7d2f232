"""Independent random streams out of one seed, so that nothing random has to be saved."""

from __future__ import annotations

from enum import IntEnum

import numpy as np


class Stream(IntEnum):
    """What the random numbers are for; no two uses may share a stream, and what follows its name has a fixed length."""

    TRAINING = 1
    """A trial's initial weights, batch order, augmentation and dropout; by trial."""
    PROPOSAL = 2
    """The sampler of a new configuration; by trial and attempt."""
    GLOBALS = 3
    """The global generators of Python, NumPy and torch, under a training's seed; by epoch, and others."""
    RANDOM_CANDIDATES = 4
    """Random configurations among which a model chooses; by trial."""
    CANDIDATES = 5
    """Moves of configurations towards what a model expects more of; by trial."""
    ASKED = 6
    """A parameter that an objective asks for and nobody proposed, under the trial's seed; by a hash of its name."""


def derive_seed(seed: int, *path: int) -> int:
    """Return a 32-bit seed for the stream named by `path`; equal arguments give equal seeds on every machine.

    Zeros at the end of a short path name nothing (NumPy pads with them), so `path` begins with a `Stream`.
    """
    return int(np.random.SeedSequence([seed, *path]).generate_state(1)[0])
