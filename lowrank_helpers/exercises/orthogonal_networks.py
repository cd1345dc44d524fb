"""Checkers for the exercises of side trip A2, Orthogonal networks."""

import numpy as np

from ._answers import array, call, checker, not_yet, number, right, shape_of


@checker
def pythagoras(answer: object) -> str:
    """Check the t for which the Cayley transform of a skew 2×2 matrix has the entries 5/13 and 12/13."""
    value = number(answer)
    if np.isclose(value, 2 / 3, rtol=2e-3):
        return right("a whole fraction gives a rotation of whole fractions.")
    if np.isclose(value, -2 / 3, rtol=2e-3):
        return not_yet("that turns the other way: look at the signs off the diagonal.")
    if np.isclose(value, 3 / 2, rtol=2e-3):
        return not_yet("that gives −5/13 on the diagonal.")
    if np.isclose(value, 1 / 5, rtol=2e-3):
        return not_yet("that gives 12/13 on the diagonal, and 5/13 beside it.")
    if np.isclose(value, 12 / 5, rtol=2e-3) or np.isclose(value, np.arctan(12 / 5), rtol=2e-3):
        return not_yet("t is neither the angle nor its tangent; what is the first entry of the transform?")
    return not_yet("write the transform out: its first entry is a quotient of two polynomials in t.")


@checker
def orthogonal_rnn(answer: object) -> str:
    """Check a function of (W, x, y, steps): the gradient of ½‖W^steps x − y‖² with respect to W."""
    rng = np.random.default_rng(11)
    W, x, y = rng.standard_normal((3, 3)), rng.standard_normal((3, 2)), rng.standard_normal((3, 2))
    one = array(call(answer, W, x, y, 1), (3, 3), "the gradient")
    expected = (W @ x - y) @ x.T
    if np.allclose(one, expected.T):
        return not_yet("for one step your gradient is transposed: entry (i, j) belongs to the weight from j to i.")
    if np.allclose(one, -expected):
        return not_yet("the sign is wrong: the loss rises along the gradient.")
    if np.allclose(one, 2 * expected):
        return not_yet("it is twice too large: the loss has a factor ½.")
    if not np.allclose(one, expected):
        return not_yet("already for one step it is not the gradient of ½‖Wx − y‖².")
    states = [x]
    for _ in range(4):
        states.append(W @ states[-1])
    error = states.pop() - y
    last_only, with_w, total = error @ states[-1].T, np.zeros((3, 3)), np.zeros((3, 3))
    back, wrong_back = error, error
    for state in reversed(states):
        total, with_w = total + back @ state.T, with_w + wrong_back @ state.T
        back, wrong_back = W.T @ back, W @ wrong_back
    four = array(call(answer, W, x, y, 4), (3, 3), "the gradient")
    if np.allclose(four, last_only):
        return not_yet("you count the last step only; W is used in each of the steps.")
    if np.allclose(four, with_w):
        return not_yet("right for one step. On its way back an error is multiplied by the transpose of W.")
    if np.allclose(four, 4 * last_only):
        return not_yet("the steps do not contribute equally: each sees another state and another error.")
    if not np.allclose(four, total):
        return not_yet("right for one step and wrong for four: which state, and which error, belongs to each step?")
    return right("every use of W has contributed, with its own state and its own error.")


@checker
def sharpness(answer: object) -> str:
    """Check the largest step with which gradient descent on ½(w₁w₂ − 1)² can settle at (2, ½)."""
    value = number(answer)
    if np.isclose(value, 8 / 17, rtol=2e-3):
        return right("with a larger step every direction across the valley is amplified, and the iteration leaves.")
    if np.isclose(value, 17 / 4, rtol=1e-3):
        return not_yet("that is the largest eigenvalue of the Hessian; the step follows from it.")
    if np.isclose(value, 4 / 17, rtol=1e-3):
        return not_yet("that step is the fastest across the valley, not the largest: an error may change its sign.")
    if np.isclose(value, 0.5, rtol=1e-3):
        return not_yet("you took 4 for the largest eigenvalue; the smaller weight contributes as well.")
    if np.isclose(value, 8, rtol=1e-3):
        return not_yet("you used the small weight alone; the large one makes the valley steep.")
    if value <= 0:
        return not_yet("a step of gradient descent is positive.")
    return not_yet("find the Hessian at (2, ½), and ask when |1 − ηλ| ≤ 1 for its largest eigenvalue λ.")


@checker
def hessian(answer: object) -> str:
    """Check a function of (gradient, w) that returns the matrix of second derivatives at w, by differences."""

    def gradient(w: np.ndarray) -> np.ndarray:  # of sin(w₀)·w₁² + w₀·w₂ + exp(w₂)
        a, b, c = w
        return np.array([np.cos(a) * b**2 + c, 2 * np.sin(a) * b, a + np.exp(c)])

    w = np.array([0.7, -1.3, 0.4])
    a, b, c = w
    exact = np.array(
        [
            [-np.sin(a) * b**2, 2 * np.cos(a) * b, 1.0],
            [2 * np.cos(a) * b, 2 * np.sin(a), 0.0],
            [1.0, 0.0, np.exp(c)],
        ]
    )
    found = call(answer, gradient, w)
    if shape_of(found) == (3,):
        return not_yet("three numbers came: the Hessian has an entry for each *pair* of weights, 3×3 here.")
    H = array(found, (3, 3), "the Hessian")
    error = np.abs(H - exact).max()
    if np.allclose(H, 2 * exact, atol=1e-3):
        return not_yet("every entry is twice too large: w moves by two steps between your two gradients.")
    if np.allclose(H, exact / 2, atol=1e-3):
        return not_yet("every entry is half of what it should be: do you divide by the distance that w moved?")
    if np.allclose(H, -exact, atol=1e-3):
        return not_yet("the sign is wrong: which of the two gradients is subtracted?")
    if np.allclose(H, np.diag(np.diag(exact)), atol=1e-3):
        return not_yet("only the diagonal is there: move one weight and the whole gradient changes.")
    if error > 1e-3:
        return not_yet("for f = sin(w₀)·w₁² + w₀·w₂ + exp(w₂) the matrix is not that of the second derivatives.")
    if error > 1e-7:
        return not_yet(
            f"nearly: the error is {error:.0e}. A difference centred at w is far more accurate than a one-sided one, "
            "if the step is neither too large nor too small."
        )
    if not np.array_equal(H, H.T):
        return not_yet("accurate, but rounding has left it not exactly symmetric, so eigvalsh reads only half of it.")
    return right("symmetric, and accurate to seven digits.")
