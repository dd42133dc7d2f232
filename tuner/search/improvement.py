"""Expected improvement on a logarithmic scale, where it tells apart points that are all hopeless.

Ament et al., "Unexpected Improvements to Expected Improvement for Bayesian Optimization", NeurIPS 2023.
"""

from __future__ import annotations

import numpy as np
import scipy

from tuner.search.arrays import Floats

_LOG_ROOT_2PI = 0.5 * np.log(2.0 * np.pi)


def log_expected_improvement(mean: Floats, deviation: Floats, best: float) -> Floats:
    """Return the logarithm of the expected improvement on `best` of normal values, [n]."""
    score = (mean - best) / deviation
    near = score > -1.0
    result = np.empty_like(score)
    here = score[near]
    result[near] = np.log(np.exp(-0.5 * here**2 - _LOG_ROOT_2PI) + here * scipy.special.ndtr(here))
    far = score[~near]
    below = np.minimum(-far, 1e5)
    tail = np.log1p(-np.sqrt(0.5 * np.pi) * below * scipy.special.erfcx(below / np.sqrt(2.0)))
    result[~near] = -0.5 * far**2 - _LOG_ROOT_2PI + tail
    return result + np.log(deviation)
