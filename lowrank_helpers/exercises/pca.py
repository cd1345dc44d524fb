"""Checkers for the exercises of chapter 9, principal component analysis."""

import numpy as np
from numpy.typing import NDArray

from ._answers import array, call, checker, not_yet, number, right

Array = NDArray[np.float64]


@checker
def by_hand(answer: object) -> str:
    """Check the share of the first component for the rows (5, 3), (1, −1), (4, 0), (2, 2)."""
    value = number(answer)
    if np.isclose(value, 0.8, atol=0.004):
        return right("16 of 20; the two lines of deviations are the principal directions.")
    if np.isclose(value, 80, atol=0.4):
        return not_yet("a share lies between 0 and 1; that looks like a percentage.")
    if np.isclose(value, 2 / 3, atol=0.004):
        return not_yet("you compared singular values; variances are their squares.")
    if np.isclose(value, 0.901, atol=0.004):
        return not_yet("that is the share without centring; subtract the mean first.")
    if np.isclose(value, 0.2, atol=0.004):
        return not_yet("that is the share of the second component.")
    if np.isclose(value, 16, atol=0.1) or np.isclose(value, 16 / 3, atol=0.1) or np.isclose(value, 4, atol=0.1):
        return not_yet("divide by the total variance of both components.")
    return not_yet("subtract the mean and look for two perpendicular lines on which the deviations lie.")


@checker
def slope(answer: object) -> str:
    """Check a function (x, y) that returns the slope of the line of least squared perpendicular distances."""
    rng = np.random.default_rng(5)
    for true, offset in ((2.0, (0.0, 0.0)), (-0.5, (3.0, 40.0))):
        t = rng.standard_normal(30)
        x = offset[0] + t + 0.3 * rng.standard_normal(30)
        y = offset[1] + true * t + 0.3 * rng.standard_normal(30)
        value = number(call(answer, x, y))
        points = np.column_stack([x, y])
        exact = _first_slope(points - points.mean(axis=0))
        if np.isclose(value, exact, rtol=1e-6):
            continue
        covariance = np.cov(x, y)
        if np.isclose(value, covariance[0, 1] / covariance[0, 0], rtol=1e-6):
            return not_yet("that is the regression of y on x, which counts vertical distances only.")
        if np.isclose(value, covariance[1, 1] / covariance[0, 1], rtol=1e-6):
            return not_yet("that is the regression of x on y, which counts horizontal distances only.")
        if np.isclose(value, 1 / exact, rtol=1e-6):
            return not_yet("upside down: the slope is the change of y for one step of x.")
        if np.isclose(value, -1 / exact, rtol=1e-6):
            return not_yet("that line is perpendicular to the closest one: you took the last direction.")
        if np.isclose(value, _first_slope(points), rtol=1e-6):
            return not_yet("that line is forced through the origin; the best offset is the mean.")
        return not_yet("the squared perpendicular distances to a line of this slope are not the least possible.")
    return right("it turns with the points, and does not care which coordinate is called y.")


@checker
def dual(answer: object) -> str:
    """Check a function (K, r) that returns the scores of the centred PCA from the inner products of the samples."""
    rng = np.random.default_rng(6)
    for m, n, r in ((6, 20, 2), (9, 4, 3)):
        X = rng.standard_normal((m, n)) * np.linspace(3, 1, n) + 2
        K = X @ X.T
        T = array(call(answer, K, r), (m, r), "the scores")
        U, s, _ = np.linalg.svd(X - X.mean(axis=0), full_matrices=False)
        if _same(T, U[:, :r] * s[:r]):
            continue
        if _same(T, U[:, :r]):
            return not_yet("the directions are right; their lengths should be σᵢ, not 1.")
        if _same(T, U[:, :r] * s[:r] ** 2):
            return not_yet("the eigenvalues are σᵢ²; the scores need their roots.")
        raw, t, _ = np.linalg.svd(X, full_matrices=False)
        if _same(T, raw[:, :r] * t[:r]):
            return not_yet("these are the scores without centring; K must be centred first.")
        if _same(T, U[:, ::-1][:, :r] * s[::-1][:r]) or np.abs(T).max() < 1e-6 * s[0]:
            return not_yet("these belong to the smallest eigenvalues; eigh sorts them in ascending order.")
        return not_yet("these are not the scores; centre K on both sides, its rows and its columns.")
    return right("the features were never needed, only the inner products.")


@checker
def worth(answer: object) -> str:
    """Check how many components of the noisy digits are worth their noise of variance 16."""
    value = number(answer)
    if value != int(value):
        return not_yet("a number of components is a whole number.")
    if value == 17:
        return right("their variances exceed 32, of which 16 are noise.")
    if value == 48:
        return not_yet("you compared with ν; a noisy sample has the noise in its variance as well.")
    if value == 64:
        return not_yet("you compared with the standard deviation; the rule is about variances.")
    if value == 16:
        return not_yet("that is the best number by the clean digits; count what the rule keeps.")
    if value == 10:
        return not_yet("the rule counts variances of the noisy digits; those are the clean ones'.")
    return not_yet("count the variances of the noisy digits that exceed twice the noise's.")


def _first_slope(points: Array) -> float:
    v = np.linalg.svd(points, full_matrices=False)[2][0]
    return float(v[1] / v[0])


def _same(T: Array, expected: Array) -> bool:
    """Whether two matrices agree, up to the sign of each column."""
    signs = np.where((T * expected).sum(axis=0) < 0, -1.0, 1.0)
    return bool(np.allclose(T * signs, expected, atol=1e-6 * np.abs(expected).max()))
