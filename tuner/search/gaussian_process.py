"""A Gaussian process over all results of a search: value as a function of configuration and epochs.

With x a configuration and l a level of the scheduler, r(x, x') their distance in length scales, one for each parameter,
and d(l, l') the distance of two levels in powers of three,

    cov(f(x, l), f(x', l')) = s^2 * a(l) a(l') * matern52(r(x, x')) * exp(-theta * d(l, l')),

and a result is f(x, l) + m(l) + noise, with an unknown mean m(l) at each level. So results of every level count for
what is expected at the last one, and as much as levels have been seen to agree. The hyperparameters are those of the
highest posterior density, found by L-BFGS with exact gradients. References: Swersky et al., "Multi-Task Bayesian
Optimization", NeurIPS 2013; Rasmussen and Williams, "Gaussian Processes for Machine Learning", 2006, section 5.4.1;
length scales that grow with the root of the dimensions: Hvarfner et al., "Vanilla Bayesian Optimization Performs Great
in High Dimensions", ICML 2024.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy

from tuner.search.arrays import Floats, Ints

_COMMON_MEAN, _LEVEL_MEAN = 1.0, 0.3
"""Prior variances of the part of the mean that levels share, and of what each has beside it."""
_JITTER, _RELATIVE_JITTER = 1e-6, 1e-9
"""Added to variances, the latter times themselves: of large ones rounding alone takes more than the former."""
_BELIEVED = 1e-4
"""Of the scale, variance of what is believed: enough to tell apart points that are nearly the same."""
_ITERATIONS = 60


@dataclass(frozen=True)
class Prior:
    """Normal priors of the logarithms (mean, standard deviation) of all hyperparameters but `growth`, itself normal."""

    lengthscale: tuple[float, float] = (0.0, 1.0)
    """Of one dimension; times the root of their number."""
    scale: tuple[float, float] = (0.0, 1.0)
    noise: tuple[float, float] = (np.log(0.01), 1.5)
    theta: tuple[float, float] = (np.log(0.5), 0.7)
    growth: tuple[float, float] = (0.0, 0.3)


@dataclass(frozen=True)
class Results:
    """Observed values of configurations at levels."""

    points: Floats
    """[n, columns]."""
    depths: Floats
    """[n], minus the powers of three from a level to the last; 0 at the last."""
    values: Floats
    """[n], of about unit scale and comparable between levels."""


@dataclass(frozen=True)
class Hyperparameters:
    """What the kernel is made of."""

    lengthscales: Floats
    """[groups]."""
    scale: float
    noise: float
    theta: float
    growth: float
    """a(l) = exp(growth * depth)."""


def fit(results: Results, groups: Ints, prior: Prior) -> Hyperparameters:
    """Return the hyperparameters of the highest posterior density; `groups` [columns] share a length scale."""
    count = int(groups.max(initial=-1)) + 1
    means = np.array(
        [prior.lengthscale[0] + 0.5 * np.log(max(count, 1))] * count
        + [prior.scale[0], prior.noise[0], prior.theta[0], prior.growth[0]]
    )
    deviations = np.array(
        [prior.lengthscale[1]] * count + [prior.scale[1], prior.noise[1], prior.theta[1], prior.growth[1]]
    )
    found = scipy.optimize.minimize(
        negative_log_density,
        means,
        args=(results, groups, means, deviations),
        jac=True,
        method="L-BFGS-B",
        bounds=list(zip(means - 4 * deviations, means + 4 * deviations, strict=True)),
        options={"maxiter": _ITERATIONS, "ftol": 1e-6, "gtol": 1e-3},
    )
    return _unpacked(found.x)


def _unpacked(theta: Floats) -> Hyperparameters:
    return Hyperparameters(
        np.exp(theta[:-4]),
        float(np.exp(theta[-4])),
        float(np.exp(theta[-3])),
        float(np.exp(theta[-2])),
        float(theta[-1]),
    )


def _squared_distances(left: Floats, right: Floats) -> Floats:
    squared: Floats = np.sum(left**2, axis=1)[:, None] + np.sum(right**2, axis=1)[None, :]
    squared -= (2.0 * left) @ right.T
    return np.maximum(squared, 0.0, out=squared)


def _matern(squared: Floats) -> Floats:
    """Return the Matern 5/2 correlation at squared distances, which it takes for itself: it is most of the time."""
    root = 5.0 * squared
    np.sqrt(root, out=root)
    decay = np.negative(root)
    np.exp(decay, out=decay)
    root += 1.0
    squared *= 5.0 / 3.0
    root += squared
    root *= decay
    return root


def _matern_and_slope(squared: Floats) -> tuple[Floats, Floats]:
    """Return the Matern 5/2 correlation and its derivative by the squared distance."""
    root = np.sqrt(5.0 * squared)
    decay = np.exp(-root)
    slope = (1.0 + root) * decay
    return slope + (5.0 / 3.0) * squared * decay, (-5.0 / 6.0) * slope


def _add_noise(covariance: Floats, noise: float) -> None:
    """Add to the variances, in place, the noise and what keeps the matrix positive definite whatever is rounded."""
    diagonal = np.diag_indices_from(covariance)
    covariance[diagonal] += noise + np.maximum(_JITTER, _RELATIVE_JITTER * covariance[diagonal])


def _mean_covariance(left: Floats, right: Floats) -> Floats:
    result: Floats = _COMMON_MEAN + _LEVEL_MEAN * (left[:, None] == right[None, :])
    return result


def negative_log_density(
    theta: Floats, results: Results, groups: Ints, means: Floats, deviations: Floats
) -> tuple[float, Floats]:
    """Return minus the logarithm of the posterior density, but for a constant, and its gradient.

    `theta` are the logarithms of the length scales, scale, noise and theta, and the growth; `means` and `deviations`
    their normal priors'.
    """
    hyper = _unpacked(theta)
    scaled = results.points / hyper.lengthscales[groups]
    correlation, slope = _matern_and_slope(_squared_distances(scaled, scaled))
    apart = np.abs(results.depths[:, None] - results.depths[None, :])
    amplitude = np.exp(hyper.growth * results.depths)
    levels = hyper.scale * amplitude[:, None] * amplitude[None, :] * np.exp(-hyper.theta * apart)
    latent = levels * correlation
    covariance = latent + _mean_covariance(results.depths, results.depths)
    _add_noise(covariance, hyper.noise)
    factor = scipy.linalg.cho_factor(covariance, lower=True, check_finite=False)
    weights = scipy.linalg.cho_solve(factor, results.values, check_finite=False)
    inverse = scipy.linalg.cho_solve(factor, np.eye(len(covariance)), check_finite=False)
    pull = 0.5 * (inverse - weights[:, None] * weights[None, :])
    """Derivative of the negative log likelihood by the covariance."""
    along = pull * levels * slope
    rows = along.sum(axis=1)
    by_column = 2.0 * (rows @ scaled**2 - np.einsum("ij,ij->j", scaled, along @ scaled))
    gradient = np.empty_like(theta)
    gradient[:-4] = np.bincount(groups, -2.0 * by_column, len(theta) - 4)
    moved = pull * latent
    gradient[-4] = moved.sum()
    gradient[-3] = hyper.noise * np.trace(pull)
    gradient[-2] = -hyper.theta * np.sum(moved * apart)
    gradient[-1] = 2.0 * np.sum(moved.sum(axis=1) * results.depths)
    deviation = (theta - means) / deviations
    value = 0.5 * results.values @ weights + np.sum(np.log(np.diag(factor[0]))) + 0.5 * np.sum(deviation**2)
    return float(value), gradient + deviation / deviations


class Posterior:
    """What the process expects at the last level, given results and hyperparameters.

    The means of the levels are taken to be what is expected of them. Where an improvement is looked for, that all
    configurations may be worth a little more or less is no reason to look anywhere.
    """

    def __init__(self, results: Results, groups: Ints, hyper: Hyperparameters) -> None:
        """Condition on the results."""
        self._hyper = hyper
        self._lengthscales = hyper.lengthscales[groups]
        self._scaled = results.points / self._lengthscales
        self._depths = results.depths
        means = _mean_covariance(results.depths, results.depths)
        covariance = self._covariance(self._scaled, self._depths)
        weights = scipy.linalg.cho_solve(
            scipy.linalg.cho_factor(covariance + means, lower=True, check_finite=False), results.values
        )
        self._values = results.values - means @ weights
        """But for the means of their levels."""
        self._factor = scipy.linalg.cholesky(covariance, lower=True, check_finite=False)
        self._weights = scipy.linalg.cho_solve((self._factor, True), self._values, check_finite=False)

    def believe(self, points: Floats) -> None:
        """Take as known at the last level what is expected of points there (Kriging believer): means stay.

        Without noise, for beside a point that is under way nothing is to be gained, however noisy results are.
        """
        scaled, depths = points / self._lengthscales, np.zeros(len(points))
        cross = self._with_results(scaled)
        beside = scipy.linalg.solve_triangular(self._factor, cross.T, lower=True, check_finite=False).T
        rest = _latent(self._hyper, scaled, depths, scaled, depths) - beside @ beside.T
        corner = scipy.linalg.cholesky(
            rest + _BELIEVED * self._hyper.scale * np.eye(len(rest)), lower=True, check_finite=False
        )
        old, new = len(self._factor), len(corner)
        # In the order of LAPACK, which else would copy it for each solution.
        self._factor = np.asfortranarray(np.block([[self._factor, np.zeros((old, new))], [beside, corner]]))
        self._values = np.concatenate((self._values, cross @ self._weights))
        self._scaled = np.concatenate((self._scaled, scaled))
        self._depths = np.concatenate((self._depths, depths))
        self._weights = scipy.linalg.cho_solve((self._factor, True), self._values, check_finite=False)

    def mean(self, points: Floats) -> Floats:
        """Return the mean [n] at the last level, the level's own mean apart."""
        mean: Floats = self._with_results(points / self._lengthscales) @ self._weights
        return mean

    def mean_and_deviation(self, points: Floats) -> tuple[Floats, Floats]:
        """Return mean and standard deviation [n] at the last level, the level's own mean apart."""
        cross = self._with_results(points / self._lengthscales)
        mean = cross @ self._weights
        solved = scipy.linalg.solve_triangular(self._factor, cross.T, lower=True, overwrite_b=True, check_finite=False)
        variance = self._hyper.scale - np.einsum("ij,ij->j", solved, solved)
        return mean, np.sqrt(np.maximum(variance, 1e-12))

    def _with_results(self, scaled: Floats) -> Floats:
        """Return the covariance of the values at points at the last level with those of the results."""
        correlation = _matern(_squared_distances(scaled, self._scaled))
        # Depths are 0 and below, so the distance of a level to the last is minus its depth.
        correlation *= self._hyper.scale * np.exp((self._hyper.growth + self._hyper.theta) * self._depths)
        return correlation

    def _covariance(self, scaled: Floats, depths: Floats) -> Floats:
        covariance = _latent(self._hyper, scaled, depths, scaled, depths)
        _add_noise(covariance, self._hyper.noise)
        return covariance


def _latent(hyper: Hyperparameters, left: Floats, left_depths: Floats, right: Floats, right_depths: Floats) -> Floats:
    levels, at = np.unique(np.concatenate((left_depths, right_depths)), return_inverse=True)
    apart = np.abs(levels[:, None] - levels[None, :])
    amplitude = hyper.scale * np.exp(hyper.growth * (levels[:, None] + levels[None, :]))
    between = amplitude * np.exp(-hyper.theta * apart)
    """Covariance of the levels, which are few."""
    correlation = _matern(_squared_distances(left, right))
    correlation *= between[at[: len(left), None], at[None, len(left) :]]
    return correlation
