from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import approx_fprime
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import ConstantKernel, Matern, WhiteKernel

from tuner.search.arrays import Floats, Ints
from tuner.search.gaussian_process import Hyperparameters, Posterior, Prior, Results, fit, negative_log_density

GROUPS: Ints = np.array([0, 1, 2, 3, 3])


def results(number: int, seed: int = 0, depths: tuple[float, ...] = (0.0, -1.0, -2.0)) -> Results:
    generator = np.random.default_rng(seed)
    points = generator.random((number, 5))
    values = np.sin(6 * points[:, 0]) + points[:, 1] + 0.01 * generator.standard_normal(number)
    return Results(points, generator.choice(depths, number), values)


def test_the_gradient_of_the_density_is_its_slope() -> None:
    generator = np.random.default_rng(1)
    means, deviations = np.zeros(8), np.full(8, 1.5)
    seen = results(30)
    for _ in range(3):
        at = 0.5 * generator.standard_normal(8)

        def density(theta: Floats) -> float:
            return negative_log_density(theta, seen, GROUPS, means, deviations)[0]

        gradient = negative_log_density(at, seen, GROUPS, means, deviations)[1]
        assert gradient == pytest.approx(approx_fprime(at, density, 1e-6), abs=1e-3)


def test_at_one_level_it_is_the_process_that_scikit_learn_has() -> None:
    seen = results(25, depths=(0.0,))
    hyper = Hyperparameters(np.array([0.3, 0.5, 0.8, 0.9]), scale=1.4, noise=0.02, theta=0.2, growth=0.1)
    kernel = ConstantKernel(1.3) + ConstantKernel(1.4) * Matern(hyper.lengthscales[GROUPS], nu=2.5) + WhiteKernel(0.02)
    theirs = GaussianProcessRegressor(kernel, alpha=1e-6, optimizer=None).fit(seen.points, seen.values)
    points = np.random.default_rng(2).random((10, 5))
    posterior = Posterior(seen, GROUPS, hyper)
    # Ours leaves out the constant mean, which is the same everywhere.
    ours, expected = posterior.mean(points), theirs.predict(points)
    assert ours - ours[0] == pytest.approx(expected - expected[0], abs=1e-6)


def test_results_of_lower_levels_inform_the_last_as_much_as_levels_agree() -> None:
    low = results(60, depths=(-2.0,))
    points = np.random.default_rng(3).random((200, 5))
    truth = np.sin(6 * points[:, 0]) + points[:, 1]
    deviations = []
    for theta in (0.01, 3.0):
        hyper = Hyperparameters(np.array([0.4, 1.0, 4.0, 4.0]), scale=1.0, noise=0.01, theta=theta, growth=0.0)
        mean, deviation = Posterior(low, GROUPS, hyper).mean_and_deviation(points)
        deviations.append(deviation.mean())
        if theta == 0.01:
            assert np.corrcoef(mean, truth)[0, 1] > 0.95
    assert deviations[0] < 0.4 < 0.9 < deviations[1]


def test_fitting_finds_out_which_parameters_matter_and_how_much_noise_there_is() -> None:
    hyper = fit(results(80), GROUPS, Prior())
    assert max(hyper.lengthscales[:2]) < min(hyper.lengthscales[2:])
    assert hyper.noise < 0.01


def test_believing_keeps_the_mean_and_shrinks_the_deviation_as_conditioning_on_the_expected_would() -> None:
    seen = results(20)
    hyper = Hyperparameters(np.array([0.4, 1.0, 4.0, 4.0]), scale=1.0, noise=0.01, theta=0.2, growth=0.1)
    points = np.random.default_rng(4).random((30, 5))
    posterior = Posterior(seen, GROUPS, hyper)
    mean, deviation = posterior.mean_and_deviation(points)
    posterior.believe(points[:3])
    after_mean, after_deviation = posterior.mean_and_deviation(points)
    assert after_mean == pytest.approx(mean, abs=1e-6)
    assert (after_deviation <= deviation + 1e-9).all()
    assert (after_deviation[:3] < 0.05).all()


def test_values_whose_spread_differs_by_decades_between_levels_are_conditioned_on() -> None:
    """As the levels of a horizon of 100,000 epochs may differ; of equal points rounding leaves no positive matrix."""
    depths = np.tile(np.log([1e-5, 1e-3, 1.0]) / np.log(3.0), 20)
    seen = Results(np.repeat(np.random.default_rng(0).random((6, 5)), 10, axis=0), depths, 3.0**-depths)
    hyper = Hyperparameters(np.ones(4), scale=50.0, noise=1e-4, theta=0.05, growth=-1.2)
    theta = np.concatenate((np.log([*hyper.lengthscales, hyper.scale, hyper.noise, hyper.theta]), [hyper.growth]))
    assert np.isfinite(negative_log_density(theta, seen, GROUPS, np.zeros(8), np.ones(8))[0])
    mean, deviation = Posterior(seen, GROUPS, hyper).mean_and_deviation(seen.points)
    assert np.isfinite(mean).all()
    assert np.isfinite(deviation).all()
