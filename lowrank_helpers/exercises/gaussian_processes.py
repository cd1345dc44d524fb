"""Checkers for the exercises of side trip A1, Gaussian processes."""

import numpy as np

from ._answers import call, checker, not_yet, number, right


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
    """Check a function that returns log det A for a symmetric positive definite A, of any size."""
    A = np.array([[4.0, 2.0], [2.0, 3.0]])
    value = number(call(answer, A))
    if np.isclose(value, np.log(8) / 2):
        return not_yet("on [[4, 2], [2, 3]] you return half of it: A has the factor L twice.")
    if np.isclose(value, np.log(12)):
        return not_yet("you used the diagonal of A; its factor has another one.")
    if np.isclose(value, 8):
        return not_yet("that is the determinant; its logarithm was asked for.")
    if np.isclose(value, np.log10(8)):
        return not_yet("the logarithm should be the natural one.")
    if np.isclose(value, -np.log(8)):
        return not_yet("the sign is wrong on [[4, 2], [2, 3]].")
    if not np.isclose(value, np.log(8)):
        return not_yet("on [[4, 2], [2, 3]], whose determinant is 8, the result is not log 8.")
    small = 1e-3 * np.eye(400)
    try:
        with np.errstate(all="ignore"):
            result = float(np.asarray(call(answer, small), dtype=float).reshape(()))
    except (TypeError, ValueError):
        return not_yet("on a 400×400 matrix the result is not one number.")
    if not np.isfinite(result):
        return not_yet("0.001·I of order 400 breaks it: its determinant, 1e-1200, is no float. Add logarithms instead.")
    if not np.isclose(result, 400 * np.log(1e-3)):
        return not_yet("it is right for a 2×2 matrix and wrong for 0.001·I of order 400.")
    return right("a sum of logarithms neither underflows nor overflows.")
