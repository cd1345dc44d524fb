"""Checkers for the exercises of side trip A1, Gaussian processes."""

import numpy as np

from ._answers import NotYet, call, checker, not_yet, number, right


@checker
def next_variance(answer: object) -> str:
    """Check the variance of the tenth of equally correlated normal numbers, given the first nine."""
    value = number(answer)
    if np.isclose(value, 1.1, rtol=1e-6):
        return right("the common part is nearly known, and the own part of the tenth remains.")
    if np.isclose(value, 2):
        return not_yet("that is its variance before anything was seen.")
    if np.isclose(value, 1):
        return not_yet("that would be so if the common part were known exactly.")
    if np.isclose(value, 10 / 9, rtol=1e-6):
        return not_yet("you are one variable off: nine have been seen.")
    if np.isclose(value, 12 / 11, rtol=1e-6):
        return not_yet("you are one variable off: nine have been seen, not ten.")
    if np.isclose(value, 10):
        return not_yet("that is the determinant of nine; a ratio of two determinants is asked for.")
    if value <= 0:
        return not_yet("a variance is positive.")
    return not_yet("find the variance of the second given one, and of the third given two, and see how it goes on.")


@checker
def log_determinant(answer: object) -> str:
    """Check a function of (V, noise) that returns log det(V Vᵀ + noise² I), for a V of few columns and many rows."""
    value = number(call(answer, np.array([[1.0], [2.0], [2.0]]), 1.0))
    if np.isclose(value, np.log(10) / 2):
        return not_yet("for V = (1, 2, 2)ᵀ and noise 1 you return half of it: a determinant has the factor L twice.")
    if np.isclose(value, 10):
        return not_yet("that is the determinant; its logarithm was asked for.")
    if np.isclose(value, 1):
        return not_yet("the logarithm should be the natural one.")
    if np.isclose(value, -np.log(10)):
        return not_yet("the sign is wrong for V = (1, 2, 2)ᵀ and noise 1.")
    if np.isclose(value, np.log(9)):
        return not_yet("you left the noise out, without which C would be singular.")
    if not np.isclose(value, np.log(10)):
        return not_yet("it is wrong for V = (1, 2, 2)ᵀ and noise 1, where det C = 10.")
    V = np.array([[1.0, 0.0], [1.0, 1.0], [0.0, 2.0], [-1.0, 1.0], [2.0, 0.0]])
    value = number(call(answer, V, 0.5))
    if np.isclose(value, np.linalg.slogdet(V @ V.T + 0.5 * np.eye(5))[1]):
        return not_yet("C has the *variance* of the noise on its diagonal, its square.")
    if not np.isclose(value, np.linalg.slogdet(V @ V.T + 0.25 * np.eye(5))[1]):
        return not_yet("it is right for noise 1 and wrong for noise 0.5: how many factors of the determinant hold it?")
    V = np.random.default_rng(11).standard_normal((300_000, 3))
    with np.errstate(all="ignore"):
        result = call(answer, V, 1e-3)
    try:
        value = number(result)
    except NotYet:
        return not_yet("no finite number comes for 300 000 rows: det C itself is no float there. Add logarithms.")
    exact = 2 * len(V) * np.log(1e-3) + np.linalg.slogdet(np.eye(3) + V.T @ V / 1e-6)[1]
    if not np.isclose(value, exact, rtol=1e-9):
        return not_yet("it is right for few rows, and wrong for 300 000.")
    return right("two sums of logarithms, and no matrix larger than V.")
