"""Independent random streams out of one seed, so that nothing random has to be saved."""

from __future__ import annotations

import numpy as np


def derive_seed(seed: int, *path: int) -> int:
    """Return a 32-bit seed for the stream named by `path`; equal arguments give equal seeds on every machine."""
    return int(np.random.SeedSequence([seed, *path]).generate_state(1)[0])
