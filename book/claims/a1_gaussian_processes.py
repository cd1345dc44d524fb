"""The claims of side trip A1, Gaussian processes."""

import functools

import numpy as np
from scipy import stats

from book import margins
from book.claims import Claim
from book.definitions import definitions
from book.observations import Contender, Observation, Protocol

RNG = np.random.default_rng(41)
HAND = np.array([[4.0, 2.0], [2.0, 3.0]])
SQUARE = RNG.standard_normal((5, 5))
SPD = SQUARE @ SQUARE.T + np.eye(5)


def close(X, Y):
    X, Y = np.asarray(X, dtype=float), np.asarray(Y, dtype=float)
    return X.shape == Y.shape and margins.close(X, Y, rtol=1e-9, atol=1e-9)


def log_density(x, mu, Sigma):
    """The logarithm of the normal density, by scipy, which refuses a matrix that is not positive definite."""
    return float(stats.multivariate_normal(mu, Sigma).logpdf(x))


def normal_claim(code, mu, Sigma, k):
    """Drawn from standard normal numbers the density is right; p(x) = p(x₁) p(x₂ | x₁) with the conditional found."""
    draw, condition = code
    n, rng = len(mu), np.random.default_rng(7)
    try:
        for _ in range(5):
            z = rng.standard_normal(n)
            x = draw(mu, Sigma, z)
            stretch = np.log(abs(np.linalg.det(np.column_stack([draw(0 * mu, Sigma, e) for e in np.eye(n)]))))
            if not close(log_density(z, np.zeros(n), np.eye(n)) - stretch, log_density(x, mu, Sigma)):
                return False
            x = rng.standard_normal(n)
            mean, covariance = condition(mu, Sigma, x[:k])
            rest = log_density(x[k:], mean, covariance)
            if not close(log_density(x, mu, Sigma), log_density(x[:k], mu[:k], Sigma[:k, :k]) + rest):
                return False
    except (ValueError, np.linalg.LinAlgError):
        return False
    return True


draw, condition = definitions("A1", "draw"), definitions("A1", "condition")


def changed(mean=lambda m, mu, k: m, covariance=lambda S, Sigma, k: S):
    """The chapter's code with another mean or covariance of the rest."""

    def wrong(mu, Sigma, seen):
        m, S = condition(mu, Sigma, seen)
        return mean(m, mu, len(seen)), covariance(S, Sigma, len(seen))

    return draw, wrong


CLAIMS = {
    "thm-normal-vectors": Claim(
        check=normal_claim,
        code=(draw, condition),
        cases=[
            (np.zeros(2), HAND, 1),
            (np.array([1.0, -2.0]), HAND, 1),
            (RNG.standard_normal(5), SPD, 2),
            (RNG.standard_normal(5), SPD, 4),
            (np.zeros(4), np.eye(4) + 1, 3),
            (np.ones(3), np.diag([1.0, 4.0, 9.0]), 1),
        ],
        dropped={
            "the covariance is positive definite": (np.zeros(2), np.array([[1.0, 2.0], [2.0, 1.0]]), 1),
            "the covariance is symmetric": (np.zeros(2), np.array([[2.0, 1.0], [0.0, 2.0]]), 1),
        },
        mutants={
            "the upper factor for the lower (passes on diagonal covariances)": (
                lambda mu, Sigma, z: mu + np.linalg.cholesky(Sigma).T @ z,
                condition,
            ),
            "the symmetric part alone: no mean": (lambda mu, Sigma, z: np.linalg.cholesky(Sigma) @ z, condition),
            "the mean of the rest not moved": changed(mean=lambda m, mu, k: mu[k:]),
            "moved the other way": changed(mean=lambda m, mu, k: 2 * mu[k:] - m),
            "plus for minus in the covariance": changed(covariance=lambda S, Sigma, k: 2 * Sigma[k:, k:] - S),
            "the covariance before": changed(covariance=lambda S, Sigma, k: Sigma[k:, k:]),
        },
    ),
}


# Observations


@functools.cache
def twenty_splits():
    """Errors of the four guesses and what was chosen, for twenty splits."""
    guesses = definitions("A1", "four_guesses")
    return [guesses(seed) for seed in range(20)]


gains = definitions("A1", "gains")


def only_the_mean_is_beaten(splits):
    """The process is better than the mean by more than the interval, and not told from line and polynomial."""
    return all((gain > width) == (name == "mean") and gain > -width for name, (gain, width) in gains(splits).items())


def other_errors(change):
    return lambda splits: [(change(errors), chosen) for errors, chosen in splits]


def of_pairs(splits, name, settings) -> dict[str, list[float]]:
    return {setting: [chosen[name][i] for _, chosen in splits] for i, setting in enumerate(settings)}


OBSERVATIONS = {
    "obs-gaussian-processes-one-blood-value": Observation(
        measured=twenty_splits,
        protocol=Protocol(
            baseline="mean",
            contenders=[
                Contender("mean", fixed="has no setting"),
                Contender("line", fixed="has no setting"),
                Contender(
                    "polynomial",
                    {"degree": (1, 2, 3, 4, 5), "penalty": (0, 1, 10)},
                    first={"penalty": "0 is no penalty"},
                ),
                Contender("process", {"length": (0.5, 1, 2, 4, 8), "noise": (0.6, 0.8, 1.0)}),
            ],
            tuned_on="the 300 patients of each split",
            tested_on="the other 142",
            runs=20,
            interval="95 %, paired, over random splits, widened for their overlap (Nadeau and Bengio)",
        ),
        verdict=only_the_mean_is_beaten,
        numbers=lambda splits: [f"{gain:.1f} ± {width:.1f}" for gain, width in gains(splits).values()],
        sharp={
            "a process better than the line": other_errors(lambda e: e | {"process": e["line"] - 2}),
            "a process worse than the polynomial": other_errors(lambda e: e | {"process": e["polynomial"] + 1}),
            "a process no better than the mean": other_errors(lambda e: e | {"process": e["mean"]}),
            "a noise at the edge of its grid": lambda splits: [
                (errors, chosen | {"process": (chosen["process"][0], 1.0)}) for errors, chosen in splits
            ],
        },
        chosen=lambda splits: {
            "polynomial": of_pairs(splits, "polynomial", ("degree", "penalty")),
            "process": of_pairs(splits, "process", ("length", "noise")),
        },
    ),
}
