"""The claims of chapter 16, LoRA. ΔW = s B A with B (m, r) and A (r, n), as in the LoRA paper."""

import functools
import itertools
import math
import statistics
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from scipy.optimize import minimize

from book.claims import Adapted, Claim, Folklore
from book.definitions import definitions
from book.margins import close, rank, within
from book.observations import Contender, Observation, Protocol
from lowrank_helpers import results

RNG = np.random.default_rng(160)


def normal(*shape):
    return RNG.standard_normal(shape)


def slopes(f, P, h):
    """The difference quotients of f in each entry of P, for a step h of either sign."""
    found = np.zeros(P.shape)
    for place in np.ndindex(P.shape):
        E = np.zeros(P.shape)
        E[place] = h
        found[place] = (f(P + E) - f(P)) / h
    return found


# Gradients of the two factors


class Gradients(NamedTuple):
    """Of B, A and the inputs, and of the weight W + sBA itself."""

    B: np.ndarray
    A: np.ndarray
    X: np.ndarray
    V: np.ndarray


def gradients(W, B, A, s, X, D):
    return Gradients(s * D.T @ (X @ A.T), s * (D @ B).T @ X, D @ W + s * (D @ B) @ A, D.T @ X)


SMOOTH = (lambda Y: float(np.log(np.cosh(Y)).sum() + (Y**2).sum() / 4), lambda Y: np.tanh(Y) + Y / 2)
KINK = (lambda Y: float(np.abs(Y).sum()), np.sign)


def of_layer(LowRank, W, B, A, s, X, b, D):
    """What the chapter's layer computes, what torch finds for its factors and input, and W merged and unmerged."""
    import torch

    base = torch.nn.Linear(*W.shape[::-1], dtype=torch.float64)
    made = LowRank(base, len(A), s * len(A), torch.Generator().manual_seed(0))
    x = torch.tensor(X, requires_grad=True)
    with torch.no_grad():
        for parameter, values in ((base.weight, W), (base.bias, b), (made.A, A), (made.B, B)):
            parameter.copy_(torch.from_numpy(values))
    y = made(x)
    y.backward(torch.from_numpy(D))
    made.merge()
    merged = base.weight.clone()
    made.merge(-1)
    trained = base.weight.requires_grad or base.bias.requires_grad
    parts = (y, made.B.grad, made.A.grad, x.grad, merged, base.weight)
    return trained, [part.detach().numpy() for part in parts]


LAYER = Adapted(of_layer, definitions(16, "LowRank"))


def gradient_claim(code, W, B, A, s, X, b, loss=SMOOTH):
    """One-sided difference quotients from both sides agree with the code's four gradients, also for s G Aᵀ, s Bᵀ G.

    The chapter's layer is the map, has these gradients by torch, and merges into the one weight.
    """
    phi, derivative = loss
    formula, made = code
    V = W + s * B @ A
    D = derivative(X @ V.T + b)
    found = formula(W, B, A, s, X, D)
    trained, parts = made(W, B, A, s, X, b, D)
    wanted = (X @ V.T + b, found.B, found.A, found.X, V, W)
    if trained or not all(close(part, exact, atol=1e-9) for part, exact in zip(parts, wanted, strict=True)):
        return False

    def of(W=W, B=B, A=A, X=X):
        return phi(X @ (W + s * B @ A).T + b)

    for h in (1e-6, -1e-6):
        wanted = Gradients(
            slopes(lambda P: of(B=P), B, h),
            slopes(lambda P: of(A=P), A, h),
            slopes(lambda P: of(X=P), X, h),
            slopes(lambda P: of(W=P), W, h),
        )
        for ours, true in zip(found, wanted, strict=True):
            if not close(ours, true, atol=1e-3 * (1 + np.abs(true).max(initial=0))):
                return False
    return close(found.B, s * found.V @ A.T, atol=1e-9) and close(found.A, s * B.T @ found.V, atol=1e-9)


def instead(change):
    """The formulas with some of them changed, beside the chapter's layer."""

    def formula(W, B, A, s, X, D):
        found = gradients(W, B, A, s, X, D)
        return found._replace(**change(found, B, A, s, X, D))

    return formula, LAYER


def layer(m, n, r, N, s):
    return normal(m, n), normal(m, r), normal(r, n), s, normal(N, n), normal(m)


# The start


class Start(NamedTuple):
    """The first gradients and steps from B = 0, their means over A, and the scalings that keep these."""

    gradients: Callable[..., Any]
    update: Callable[..., Any]
    sign_fall: Callable[..., Any]
    mean_factor: Callable[..., Any]
    for_gradients: Callable[..., Any]
    for_signs: Callable[..., Any]
    leaves_zero: bool


START = Start(
    gradients=lambda G, A, s: (s * G @ A.T, 0 * A),
    update=lambda G, A, s, eta: -eta * s**2 * G @ A.T @ A,
    sign_fall=lambda G, A, s, eta: eta * s * np.abs(G @ A.T).sum(),
    mean_factor=lambda r, s, tau, eta: eta * s**2 * r * tau**2,
    for_gradients=lambda alpha, r: alpha / r**0.5,
    for_signs=lambda alpha, r: alpha / r,
    leaves_zero=False,
)


def all_signs(r, n, tau):
    """Every matrix of entries ±τ: together a distribution with mean 0, variance τ² and no correlation."""
    return [tau * np.array(p).reshape(r, n) for p in itertools.product((-1.0, 1.0), repeat=r * n)]


def start_claim(code, G, draws, s, eta, tau, B0=None, alpha=3.0):
    """Gradients and steps of ℓ(V) = ⟨G, V − W⟩ + ½‖V − W‖² from B = 0, and their means over the draws of A."""
    r, m, tol = len(draws[0]), len(G), 1e-9 * (1 + float((G**2).sum()))
    B0 = np.zeros((m, r)) if B0 is None else B0

    def slope(B, A):
        E = G + s * B @ A
        return s * E @ A.T, s * B.T @ E

    for A in draws[:: max(1, len(draws) // 6)]:
        of_B, of_A = slope(B0, A)
        update = s * ((B0 - eta * of_B) @ (A - eta * of_A) - B0 @ A)
        by_signs = -s * eta * np.sign(of_B) @ A
        found = code.gradients(G, A, s)
        if not (close(found[0], of_B, atol=tol) and close(found[1], of_A, atol=tol)):
            return False
        if not close(code.update(G, A, s, eta), update, atol=tol):
            return False
        falls = -(G * by_signs).sum(), -(G * update).sum()
        if not close([code.sign_fall(G, A, s, eta), eta * s**2 * ((G @ A.T) ** 2).sum()], falls, atol=tol):
            return False
    mean = np.mean([code.update(G, A, s, eta) for A in draws], axis=0)
    fall = np.mean([code.sign_fall(G, A, s, eta) for A in draws])
    row = np.mean([np.abs(G @ A[0]).sum() for A in draws])
    one, other = code.for_gradients(alpha, 1), code.for_gradients(alpha, r)
    still = all(not g.any() for g in slope(np.zeros((m, r)), np.zeros((r, G.shape[1]))))
    return bool(
        close(mean, -code.mean_factor(r, s, tau, eta) * G, atol=tol)
        and close(fall, eta * s * r * row, atol=tol)
        and close(code.mean_factor(r, other, tau, eta), code.mean_factor(1, one, tau, eta), rtol=1e-12)
        and close(code.for_signs(alpha, r) * r, code.for_signs(alpha, 1), rtol=1e-12)
        and code.leaves_zero is not still
    )


# The floor


class Floor(NamedTuple):
    """The least squared error on the inputs, and an update that has it."""

    value: float
    update: np.ndarray


def with_value(best_update, D, S, r):
    sigma = np.linalg.svd(D @ S, compute_uv=False)
    return Floor(float((sigma[r:] ** 2).sum()), best_update(D, S, r))


floor = Adapted(with_value, definitions(16, "best_update"))


def by_vectors(vectors):
    """The right value with an update U_r U_rᵀ D or D V_r V_rᵀ from other singular vectors."""

    def code(D, S, r):
        Q, side = vectors(D, S)
        return floor(D, S, r)._replace(
            update=Q[:, :r] @ Q[:, :r].T @ D if side == "left" else D @ Q[:, :r] @ Q[:, :r].T
        )

    return code


def truncated(D, S, r):
    U, sigma, Vt = np.linalg.svd(D)
    return floor(D, S, r)._replace(update=(U[:, :r] * sigma[:r]) @ Vt[:r])


def floor_claim(code, D, S, r, rival_rank=None, leak=0.0, loss="squares"):
    """The value is attained, no rival is lower, descent from random factors ends there; and it is a mean loss."""
    (m, n), q = D.shape, S.shape[1]
    found, rng = code(D, S, r), np.random.default_rng(3)
    eps = 1e-9 * max(1.0, float((D**2).sum() * (S**2).sum()))

    def error(update):
        return float((((D - update) @ S) ** 2).sum())

    if not within(abs(error(found.update) - found.value), eps) or rank(found.update) > r:
        return False
    k = rival_rank or r
    rivals = [rng.standard_normal((m, k)) @ rng.standard_normal((k, n)) for _ in range(50)]
    best = floor(D, S, k).update  # the best of the rivals' rank, and what is close to it
    U, sigma, Vt = np.linalg.svd(best)
    near = [U[:, :k] + 1e-2 * rng.standard_normal((m, k)) for _ in range(50)]
    rivals += [P @ (sigma[:k, None] * Vt[:k]) for P in near] + [best]
    if not within([found.value - error(rival) for rival in rivals], eps):
        return False
    # Part 1 is the case S = I.
    if np.array_equal(S, np.eye(n)):
        tail = np.linalg.svd(D, compute_uv=False)[r:]
        if not within(abs(found.value - (tail**2).sum()), eps):
            return False
    # Part 3: descent from random factors, of the sum of squares or of another loss of the same errors.
    moment = S @ S.T

    def objective(z):
        B, A = z[: m * r].reshape(m, r), z[m * r :].reshape(r, n)
        R = D - 0.7 * B @ A
        if loss == "fourth powers":
            E = R @ S
            H = -4 * 0.7 * E**3 @ S.T
            return float((E**4).sum()), np.concatenate([(H @ A.T).ravel(), (B.T @ H).ravel()])
        H = -2 * 0.7 * R @ moment
        return float((R @ moment * R).sum()), np.concatenate([(H @ A.T).ravel(), (B.T @ H).ravel()])

    for seed in range(2):
        z = np.random.default_rng(seed).standard_normal(r * (m + n))
        result = minimize(
            objective, z, jac=True, method="L-BFGS-B", options={"maxiter": 5000, "ftol": 1e-15, "gtol": 1e-9}
        )
        end = error(0.7 * result.x[: m * r].reshape(m, r) @ result.x[m * r :].reshape(r, n))
        if not within(abs(end - found.value), 1e-5 * max(1.0, float((D**2).sum() * (S**2).sum()))):
            return False
    # Part 4: x is one of the columns of √q S, e = ±e₀, independent unless it leaks.
    columns, e0 = q**0.5 * S.T, rng.standard_normal(m)
    C = leak * rng.standard_normal((m, n))
    R = D - found.update
    outcomes = [R @ x + sign * e0 + C @ x for x in columns for sign in (-1, 1)]
    noise = [sign * e0 + C @ x for x in columns for sign in (-1, 1)]
    mean, rest = (np.mean([(y**2).sum() for y in part]) for part in (outcomes, noise))
    return within(abs(mean - error(found.update) - rest), 1e-8 * max(1.0, mean))


SPREAD = np.linalg.cholesky(np.array([[1.0, 0.9], [0.9, 1.0]]))
TURN = np.linalg.qr(normal(5, 5))[0]
FLOORS = [
    (np.diag([1.0, 1.01]), SPREAD, 1),
    (np.diag([3.0, 2, 1]), np.eye(3), 1),
    (np.diag([2.0, 2, 1]), np.eye(3), 1),  # a tie
    (normal(4, 5), np.eye(5), 2),
    (normal(4, 5), TURN * [2.0, 1, 1, 0.7, 0.5], 2),
    (normal(6, 4), normal(4, 2), 1),  # inputs in a plane
    (normal(3, 5), normal(5, 8) / 2, 1),
    (normal(5, 3), normal(3, 1), 2),  # r > q: the floor is 0
    (np.zeros((3, 3)), np.eye(3), 1),
    (normal(3, 4), np.zeros((4, 2)), 1),
    (np.outer(normal(4), normal(4)), TURN[:4, :4], 2),
]


# The gauge


class Gauge(NamedTuple):
    """Other factors of the same product, and the G that leads from one pair to another."""

    turn: Callable[..., Any]
    find: Callable[..., Any]


GAUGE = Gauge(
    turn=lambda B, A, G: (B @ G, np.linalg.inv(G) @ A),
    find=lambda B, A, B2, A2: np.linalg.solve(B.T @ B, B.T @ B2),
)


def gauge_claim(code, B, A, G, pair=None):
    """Turned factors have the same product, and exactly one G leads to them (or to another pair)."""
    B2, A2 = code.turn(B, A, G) if pair is None else pair
    eps = 1e-9 * (1 + np.linalg.norm(B) * np.linalg.norm(A))
    try:
        found = code.find(B, A, B2, A2)
    except np.linalg.LinAlgError:
        return False
    if not close(B2 @ A2, B @ A, atol=eps):
        return False
    unique = rank(B) == B.shape[1]  # B X = 0 only for X = 0
    return unique and close(B @ found, B2, atol=1e-7) and close(A, found @ A2, atol=1e-7)


TALL, WIDE, SINGULAR = normal(4, 2), normal(2, 3), np.diag([2.0, 0])


# A step that does not see the gauge


gauge_free = definitions(16, "gauge_free")


def gauge_free_claim(step, B, A, s, G, t, pair=None, decay=0.0, steps=3):
    """The formula of the theorem, and the same updates from other factors (B G s/t, G⁻¹A, or a pair) of scale t.

    The loss is Σ log cosh of the entries of W + sBA, its gradient their tanh; ``decay`` also pulls at the factors.
    """
    W = np.random.default_rng(5).standard_normal((len(B), A.shape[1]))
    own, other = (B, A, s), (*((s / t * B @ G, np.linalg.inv(G) @ A) if pair is None else pair), t)
    size = 1 + np.abs(s * B @ A).max()
    for _ in range(steps):
        updates = []
        for b, a, scale in (own, other):
            slope = np.tanh(W + scale * b @ a)
            b1, a1 = step(b, a, scale * slope @ a.T + decay * b, scale * b.T @ slope + decay * a, scale, 0.1)
            updates.append((b1, a1, scale))
        update, slope = s * own[0] @ own[1], np.tanh(W + s * own[0] @ own[1])
        inverse = np.linalg.pinv(update, rcond=1e-10)
        P, Q = update @ inverse, inverse @ update
        wanted = update - 0.1 * (P @ slope + slope @ Q) + 0.01 * slope @ inverse @ slope
        own, other = updates
        if not close(s * own[0] @ own[1], wanted, atol=1e-8 * size):
            return False
        if not close(t * other[0] @ other[1], s * own[0] @ own[1], atol=1e-8 * size):
            return False
    # Part 3, by a small step from the last factors
    move = [s * x[0] @ x[1] for x in (own, step(*own[:2], s * slope @ own[1].T, s * own[0].T @ slope, s, 1e-8))]
    inverse = np.linalg.pinv(move[0], rcond=1e-10)
    fall = 1e-8 * (((move[0] @ inverse @ slope) ** 2).sum() + ((slope @ inverse @ move[0]) ** 2).sum())
    return close(-(slope * (move[1] - move[0])).sum(), fall, atol=1e-4 * fall)


def plain(B, A, of_B, of_A, s, eta):
    return B - eta * of_B, A - eta * of_A


def factors_of(m, n, r, s):
    """B and A with singular values above 2, so that no step divides by a small number; s, and an invertible matrix."""
    parts = [np.linalg.svd(normal(*shape), full_matrices=False) for shape in ((m, r), (r, n))]
    return *((U * (sigma + 2)) @ Vt for U, sigma, Vt in parts), s, normal(r, r) + 3 * np.eye(r)


# Merging


class Merged(NamedTuple):
    """The merged and the unmerged weight, bounds of their errors entry by entry, and where the update is lost."""

    V: np.ndarray
    back: np.ndarray
    bound_V: np.ndarray
    bound_back: np.ndarray
    lost: np.ndarray


def nearest(z, t, least=None):
    """Round to nearest, ties to even, in a format of t bits, without or with a least exponent."""
    exponent = np.frexp(z)[1]
    exponent = exponent if least is None else np.maximum(exponent, least)
    unit = 2.0 ** (exponent - t)
    return np.rint(z / unit) * unit


def towards_zero(z, t):
    unit = 2.0 ** (np.frexp(z)[1] - t)
    return np.trunc(z / unit) * unit


def merge(W, delta, t, fl=nearest):
    V = fl(W + delta, t)
    u, exact = 2.0**-t, W + delta
    return Merged(
        V,
        fl(V - delta, t),
        u * np.abs(exact),
        u * np.abs(W) + u * (1 + u) * np.abs(exact),
        np.abs(delta) < u / 2 * np.abs(W),
    )


def merge_claim(code, W, delta, t, fl=nearest):
    """Errors within the bounds, entry by entry and in norm; where it is said to be lost, the update is lost.

    All entries have so few bits that sums in float64 are exact; the comparisons are too.
    """
    code, by_torch = code
    found = code(W, delta, t, fl)
    V, back = fl(W + delta, t), fl(fl(W + delta, t) - delta, t)
    same = by_torch(nearest(W, t), delta, t)
    if not all(map(np.array_equal, same, (nearest(nearest(W, t) + delta, t), nearest(same[0] - delta, t)))):
        return False
    if not (np.array_equal(found.V, V) and np.array_equal(found.back, back)):
        return False
    rng = np.random.default_rng(5)
    x = np.round(rng.standard_normal(W.shape[1]) * 8)
    if not close((W + delta) @ x, W @ x + delta @ x, atol=1e-12 * (1 + np.abs(W).sum() + np.abs(delta).sum())):
        return False
    errors = np.abs(V - W - delta), np.abs(back - W)
    bounds = found.bound_V, found.bound_back
    kept = all((e <= b).all() and np.linalg.norm(e) <= np.linalg.norm(b) for e, b in zip(errors, bounds, strict=True))
    return bool(kept and np.array_equal(V[found.lost], W[found.lost]))


def in_torch(round_trip, W, delta, t):
    """The chapter's code, in torch's format of t bits."""
    import torch

    dtype = {8: torch.bfloat16, 11: torch.float16, 24: torch.float32}[t]
    V, back = round_trip(torch.from_numpy(W).to(dtype), torch.from_numpy(delta), dtype)
    return V.double().numpy(), back.double().numpy()


ROUND_TRIP = Adapted(in_torch, definitions(16, "round_trip"))


def few_bits(shape, t, seed, size=1.0):
    """Numbers of a format of t bits, with exponents from −3 to 3."""
    rng = np.random.default_rng(seed)
    return nearest(size * rng.standard_normal(shape) * 2.0 ** rng.integers(-3, 4, shape), t)


W8 = few_bits((40, 40), 8, 1)
CLOSE = np.array([[1.0, 1.0, 1.9921875, 1.9921875, 1.5, 0.0]])
STEPS = np.array([[2.0**-9 * 1.75, -(2.0**-10) * 1.75, 2.0**-8 * 1.75, -(2.0**-8) * 0.75, 2.0**-9, 2.0**-9]])
MERGES = [
    (np.array([[1 + 1 / 128]]), np.array([[1.0]]), 8),
    (W8, few_bits((40, 40), 6, 2, 0.1), 8),
    (W8, few_bits((40, 40), 6, 3, 2.0**-9), 8),
    (W8, -W8, 8),
    (W8, few_bits((40, 40), 6, 4, 30.0), 8),
    (few_bits((30, 50), 11, 5), few_bits((30, 50), 6, 6, 0.3), 11),
    (few_bits((30, 5), 24, 7), few_bits((30, 5), 6, 8, 0.3), 24),
    (CLOSE, STEPS, 8),
    (np.zeros((2, 3)), few_bits((2, 3), 12, 9), 8),
]


def merged(**change):
    """The book's code with some of its answers changed."""

    def code(W, delta, t, fl=nearest):
        found = merge(W, delta, t, fl)
        return found._replace(**{name: new(W, delta, 2.0**-t, found) for name, new in change.items()})

    return code, ROUND_TRIP


CLAIMS = {
    "thm-lora-gradient": Claim(
        check=gradient_claim,
        code=(gradients, LAYER),
        cases=[
            layer(4, 6, 2, 5, 1.5),
            layer(6, 3, 3, 4, -0.5),
            layer(3, 3, 1, 1, 2.0),
            layer(2, 5, 4, 3, 0.7),
            (normal(4, 4), np.zeros((4, 2)), normal(2, 4), 2.0, normal(3, 4), normal(4)),
            (normal(4, 4), normal(4, 2), np.zeros((2, 4)), 2.0, normal(3, 4), normal(4)),
            (normal(3, 4), normal(3, 2), normal(2, 4), 0.0, normal(3, 4), normal(3)),
        ],
        dropped={
            "the loss is differentiable": (
                np.zeros((2, 2)),
                np.eye(2),
                np.zeros((2, 2)),
                1.0,
                np.eye(2),
                np.zeros(2),
                KINK,
            )
        },
        mutants={
            "without s": instead(lambda found, B, A, s, X, D: {"B": D.T @ (X @ A.T), "A": (D @ B).T @ X}),
            "s twice": instead(lambda found, B, A, s, X, D: {"B": s * found.B}),
            "X gets the frozen path only": instead(lambda found, B, A, s, X, D: {"X": found.X - s * (D @ B) @ A}),
            "A gets the gradient of B A": instead(lambda found, B, A, s, X, D: {"A": s * B.T @ D.T @ X @ A.T @ A}),
            "transposed": instead(lambda found, B, A, s, X, D: {"V": X.T @ D}),
            "a layer with α for s": (gradients, lambda W, B, A, s, X, b, D: LAYER(W, B, A, s * len(A), X, b, D)),
        },
    ),
    "thm-lora-init": Claim(
        check=start_claim,
        code=START,
        cases=[
            (np.array([[2.0, 0, 1], [0, -1, 1]]), all_signs(2, 3, 0.5), 1.5, 0.1, 0.5),
            (normal(4, 2), all_signs(3, 2, 0.3), 0.4, 0.2, 0.3),
            (normal(2, 5), all_signs(1, 5, 1.0), 2.0, 0.01, 1.0),
            (normal(3, 2), all_signs(4, 2, 0.7), 1.0, 0.1, 0.7),
            (np.zeros((3, 2)), all_signs(2, 2, 1.0), 1.0, 0.1, 1.0),
        ],
        dropped={
            "B = 0": (normal(3, 2), all_signs(2, 2, 1.0), 1.0, 0.1, 1.0, normal(3, 2)),
            "the entries of A have mean 0 and are uncorrelated": (
                normal(3, 2),
                [np.ones((2, 2)), -np.ones((2, 2))],
                1.0,
                0.1,
                1.0,
            ),
            "they have the variance τ²": (normal(3, 2), all_signs(2, 2, 0.5), 1.0, 0.1, 1.0),
            "all rows have one distribution": (
                normal(3, 2),
                [A * [[1.0], [3.0]] for A in all_signs(2, 2, 1.0)],
                1.0,
                0.1,
                5**0.5,
            ),
        },
        mutants={
            "s for s²": START._replace(update=lambda G, A, s, eta: -eta * s * G @ A.T @ A),
            "uphill": START._replace(update=lambda G, A, s, eta: eta * s**2 * G @ A.T @ A),
            "A moves, B does not": START._replace(gradients=lambda G, A, s: (0 * (G @ A.T), s * A)),
            "the mean without r": START._replace(mean_factor=lambda r, s, tau, eta: eta * s**2 * tau**2),
            "τ for τ²": START._replace(mean_factor=lambda r, s, tau, eta: eta * s**2 * r * tau),
            "α/r keeps the step of a gradient": START._replace(for_gradients=lambda alpha, r: alpha / r),
            "α/√r keeps the step of signs": START._replace(for_signs=lambda alpha, r: alpha / r**0.5),
            "s² in the step of signs": START._replace(
                sign_fall=lambda G, A, s, eta: eta * s**2 * np.abs(G @ A.T).sum()
            ),
            "A = B = 0 starts slowly, but it starts": START._replace(leaves_zero=True),
        },
    ),
    "thm-lora-floor": Claim(
        check=floor_claim,
        code=floor,
        cases=FLOORS,
        dropped={
            "rank at most r: r + 1 is better": (normal(4, 5), np.eye(5), 1, 2),
            "noise uncorrelated with the inputs": (normal(4, 5), TURN, 2, None, 1.0),
            "squared errors: fourth powers have other minima": (normal(4, 5), TURN, 2, None, 0.0, "fourth powers"),
        },
        mutants={
            "the truncation of D": truncated,
            "left singular vectors of D": by_vectors(lambda D, S: (np.linalg.svd(D)[0], "left")),
            "right singular vectors of DS Sᵀ": by_vectors(lambda D, S: (np.linalg.svd(D @ S @ S.T)[2].T, "right")),
            "the last directions": by_vectors(lambda D, S: (np.linalg.svd(D @ S)[0][:, ::-1], "left")),
            "σ²_{r+1} for the tail": lambda D, S, r: floor(D, S, r)._replace(
                value=float((np.append(np.linalg.svd(D @ S, compute_uv=False), [0.0] * 9)[r]) ** 2)
            ),
            "the floor of D for that of DS": lambda D, S, r: floor(D, S, r)._replace(
                value=float((np.linalg.svd(D, compute_uv=False)[r:] ** 2).sum())
            ),
        },
    ),
    "thm-lora-gauge": Claim(
        check=gauge_claim,
        code=GAUGE,
        cases=[
            (normal(5, 2), normal(2, 4), np.diag([2.0, 1])),
            (normal(5, 3), normal(3, 6), normal(3, 3) + 3 * np.eye(3)),
            (normal(3, 3), normal(3, 3), normal(3, 3) + 3 * np.eye(3)),
            (normal(4, 1), normal(1, 4), np.array([[-0.1]])),
            (normal(5, 2), normal(2, 4), np.array([[0.6, 0.8], [-0.8, 0.6]])),
        ],
        dropped={
            "G is invertible: with its pseudo-inverse the product is another": (
                TALL,
                WIDE,
                np.eye(2),
                (TALL @ SINGULAR, np.linalg.pinv(SINGULAR) @ WIDE),
            ),
            "full rank: at rank 1 < r the G is not unique": (
                np.array([[1.0, 0], [0, 0]]),
                np.array([[1.0, 0], [0, 0]]),
                np.eye(2),
                (np.array([[1.0, 0], [0, 0]]), np.array([[1.0, 0], [5, 5]])),
            ),
            "one product": (TALL, WIDE, np.eye(2), (TALL, 1.1 * WIDE)),
        },
        mutants={
            "GᵀA": GAUGE._replace(turn=lambda B, A, G: (B @ G, G.T @ A)),
            "GA": GAUGE._replace(turn=lambda B, A, G: (B @ G, G @ A)),
            "the inverse of G": GAUGE._replace(find=lambda B, A, B2, A2: np.linalg.solve(B2.T @ B2, B2.T @ B)),
            "the transpose of G": GAUGE._replace(find=lambda B, A, B2, A2: GAUGE.find(B, A, B2, A2).T),
            "BᵀB′ alone": GAUGE._replace(find=lambda B, A, B2, A2: B.T @ B2),
        },
    ),
    "thm-lora-gauge-free": Claim(
        check=gauge_free_claim,
        code=gauge_free,
        cases=[
            (*factors_of(6, 5, 2, 1.0), 1.0),
            (*factors_of(4, 7, 3, 2.0), 0.5),
            (*factors_of(3, 3, 3, -0.7), 1.5),
            (*factors_of(5, 4, 1, 1.0), 3.0),
            (normal(5, 2), normal(2, 6), 1.0, np.diag([10.0, 0.1]), 1.0),
        ],
        dropped={
            "B has rank r: with the pseudo-inverse the second order sees the gauge": (
                normal(6, 2) @ np.diag([1.0, 0.0]),
                *factors_of(6, 5, 2, 1.0)[1:],
                1.0,
            ),
            "one update": (TALL, WIDE, 1.0, np.eye(2), 1.0, (TALL, 1.5 * WIDE)),
            "the loss reads the factors by their product: a decay pulls at them one by one": (
                *factors_of(6, 5, 2, 1.0),
                1.0,
                None,
                0.1,
            ),
        },
        mutants={
            "plain gradient descent": plain,
            "a step of signs, as Adam's first": lambda B, A, of_B, of_A, s, eta: plain(
                B, A, np.sign(of_B), np.sign(of_A), s, eta
            ),
            "each factor's own Gram matrix": lambda B, A, of_B, of_A, s, eta: (
                B - eta * of_B @ np.linalg.inv(s**2 * B.T @ B),
                A - eta * np.linalg.inv(s**2 * A @ A.T) @ of_A,
            ),
            "s for s²": lambda B, A, of_B, of_A, s, eta: gauge_free(B, A, of_B, of_A, abs(s) ** 0.5, eta),
            "roots of the Gram matrices": lambda B, A, of_B, of_A, s, eta: (
                B - eta * of_B / np.linalg.norm(s * A),
                A - eta * of_A / np.linalg.norm(s * B),
            ),
            "B alone": lambda B, A, of_B, of_A, s, eta: (gauge_free(B, A, of_B, of_A, s, eta)[0], A),
        },
    ),
    "thm-lora-merge": Claim(
        check=merge_claim,
        code=(merge, ROUND_TRIP),
        cases=MERGES,
        dropped={
            "W has numbers of the format": (np.array([[1 + 2.0**-10]]), np.array([[2.0**-12]]), 8),
            "rounding to nearest": (np.array([[1.0]]), np.array([[2.0**-7 * 0.9375]]), 8, towards_zero),
            "no underflow": (
                np.array([[2.0**-20]]),
                np.array([[2.0**-28 * 1.25]]),
                8,
                lambda z, t: nearest(z, t, least=-16),
            ),
        },
        mutants={
            "unmerging restores W": merged(bound_back=lambda W, delta, u, found: 0 * W),
            "an error in units of ΔW": merged(bound_V=lambda W, delta, u, found: u * np.abs(delta)),
            "an error in units of W": merged(bound_back=lambda W, delta, u, found: u * np.abs(W)),
            "half of the bound": merged(bound_V=lambda W, delta, u, found: u / 2 * np.abs(W + delta)),
            "lost below u": merged(lost=lambda W, delta, u, found: np.abs(delta) < u * np.abs(W)),
            "rounded towards zero": (lambda W, delta, t, fl=nearest: merge(W, delta, t, towards_zero), ROUND_TRIP),
            "unmerged before it is rounded": (merge, lambda W, delta, t: (ROUND_TRIP(W, delta, t)[0], W)),
            "the sum is not rounded": merged(V=lambda W, delta, u, found: W + delta),
        },
    ),
}


# Misstatements


def tail(D, r):
    s = np.linalg.svd(D, compute_uv=False)
    return float((s[r:] ** 2).sum() / (s**2).sum())


def llama():
    d, ffn, layers, vocabulary = 4096, 11008, 32, 32000
    return 2 * vocabulary * d + layers * (4 * d * d + 3 * d * ffn + 2 * d) + d


on_qv, on_all = definitions(16, "on_qv"), definitions(16, "on_all")


def pretrained_layer(right):
    """Whether a LoRA layer starts as the trained one: the book's, or one with its own W and no bias."""
    import torch

    from lowrank_helpers.lora import LoRALinear

    base, x = torch.nn.Linear(16, 8), torch.ones(2, 16)
    wanted = base(x)
    found = LoRALinear(base, 2, alpha=4, rng=0) if right else torch.nn.Linear(16, 8, bias=False)
    return close(found(x), wanted, atol=1e-5)  # float32: 17 terms of size 1/4 at most


def largest(a):
    """The bound of Kaiming's uniform distribution times √n."""
    import torch

    with torch.random.fork_rng():
        torch.manual_seed(0)
        return float(torch.nn.init.kaiming_uniform_(torch.empty(400, 100), a=a).abs().max()) * 10


FLAT, ONES = np.eye(16), np.ones((16, 16)) / 16
WHITENED = floor(np.diag([1.0, 1.01]), SPREAD, 1)

# Observations

raced = definitions(16, "raced")
FACTORS = tuple(2.0**k for k in range(-4, 10))
RACES = {"SGD": (0.02, 100), "Adam": (1e-3, 20)}
ADAPTERS = {"r = 1": (1, 16.0), "r = 64, α/r": (64, 16 / 64), "r = 64, α/√r": (64, 16 / 8)}
ONE_RATE = ", one rate"


@functools.cache
def scale_races():
    """For each rule and adapter the tuned multiple of the one rate, and the losses left at the one and at its own."""
    return {
        rule: {name: raced(rule, r, s, eta, steps) for name, (r, s) in ADAPTERS.items()}
        for rule, (eta, steps) in RACES.items()
    }


def the_rate_hides_the_scale(races):
    """At one rate the scale decides; at a rate of its own rank 64 is not behind, and Adam's scalings are close."""
    (_, few, own_few), (_, lag, own_lag), (_, root, own_root) = (races["SGD"][name] for name in ADAPTERS)
    gradient = min(lag) > 0.8 > 0.01 > max(*few, *root) and max(*own_few, *own_lag, *own_root) < 0.01
    (_, few, own_few), (_, lag, own_lag), (_, root, own_root) = (races["Adam"][name] for name in ADAPTERS)
    apart = [a / b for a, b in zip(lag, root, strict=True)]
    own_apart = [max(a / b, b / a) for a, b in zip(own_lag, own_root, strict=True)]
    adam = min(few) > max(lag) and min(lag) > max(root) and max(*own_lag, *own_root) < min(own_few)
    return gradient and adam and min(apart) > 9 and max(own_apart) < 1.5


def raced_with(races, rule, name, change):
    """The races with one entry (multiple, losses at the one rate, at its own) changed."""
    return {**races, rule: {**races[rule], name: change(*races[rule][name])}}


AWAY, SELF = "a call for each", "one batch"


def gains(times, name):
    """How many times as fast as a call for each, round by round, by the number of tokens."""
    return {
        tokens: [each / own for each, own in zip(rows[AWAY], rows[name], strict=True)] for tokens, rows in times.items()
    }


def one_batch_pays_where_the_weights_are_read(times):
    """At 1 and 8 tokens a sequence, and in each round, the batch is three times as fast, and ahead of PEFT's."""
    own, peft, base = (gains(times, name) for name in (SELF, "one batch, PEFT", "the base alone"))
    short = all(min(own[tokens]) > 3 and min(own[tokens]) > max(peft[tokens]) for tokens in ("1", "8"))
    return short and max(own["128"]) < 2 and statistics.median(base["128"]) < 2


def timed_with(times, tokens, name, change):
    return {**times, tokens: {**times[tokens], name: [change * x for x in times[tokens][AWAY]]}}


def many_adapters():
    return results.load("many_adapters")["seconds of the processor"]


RATES = results.load("gauge_free")["rates"]
GAUGE_FREE, ADAMW, FROM_GRADIENT = "preconditioned", "AdamW", "AdamW, from the gradient"


def step_ways():
    return results.load("gauge_free")


def ahead(measured, one, other):
    """By how much the loss of one is below that of the other, seed by seed; infinite where the other ran away."""
    rows = (measured["ways"][name]["testing"] for name in (one, other))
    return [math.inf if b is None else -math.inf if a is None else b - a for a, b in zip(*rows, strict=True)]


def with_losses(measured, way, losses):
    row = {**measured["ways"][way], "testing": losses}
    return {**measured, "ways": {**measured["ways"], way: row}}


def moved(losses, by):
    return [x + by for x in losses]


def the_cure_helps_gradients(measured):
    """Preconditioning beats gradient descent; AdamW beats both, and itself with it or with another start; each seed."""
    pairs = ((GAUGE_FREE, "gradient descent"), (ADAMW, GAUGE_FREE), (ADAMW, "AdamW, preconditioned"))
    by_start = min(ahead(measured, ADAMW, FROM_GRADIENT))
    losses = [x for row in measured["ways"].values() for x in row["testing"]]
    trained = max(measured["ways"][GAUGE_FREE]["testing"]) < measured["untrained"]
    return trained and None not in losses and by_start > 0 and all(min(ahead(measured, *pair)) > 0.02 for pair in pairs)


def way_numbers(measured):
    named = [f"{end(row['testing']):.2f}" for row in measured["ways"].values() for end in (min, max)]
    return [f"{measured['untrained']:.2f}", *named]


OBSERVATIONS = {
    "obs-lora-scale": Observation(
        measured=scale_races,
        protocol=Protocol(
            baseline="no training",
            contenders=[
                Contender("no training", fixed="has no setting"),
                *(
                    Contender(name + ONE_RATE, fixed="one rate for all ranks is what the observation is about")
                    for name in ADAPTERS
                ),
                *(Contender(name, {"multiple of the rate": FACTORS}) for name in ADAPTERS),
            ],
            tested_on="five draws of D and A",
            tuned_on="a sixth draw",
            runs=5,
            interval="the range over five draws",
        ),
        verdict=the_rate_hides_the_scale,
        numbers=lambda races: [
            f"{end(values):.{digits}f}"
            for rule, name, values, digits in (
                ("SGD", "r = 64, α/r", 1, 2),
                *(("Adam", name, values, digits) for name in ADAPTERS for values, digits in ((1, 2), (2, 3))),
            )
            for values in [races[rule][name][values]]
            for end in (min, max)
        ],
        sharp={
            "rank 64 that lags at its own rate": lambda m: raced_with(
                m, "SGD", "r = 64, α/r", lambda k, one, own: (k, one, one)
            ),
            "scalings as far apart at their own rates": lambda m: raced_with(
                m, "Adam", "r = 64, α/r", lambda k, one, own: (k, one, [10 * x for x in own])
            ),
            "rank 64 that does not lag at one rate": lambda m: raced_with(
                m, "SGD", "r = 64, α/r", lambda k, one, own: (k, own, own)
            ),
            "Adam's scalings close at one rate": lambda m: raced_with(
                m, "Adam", "r = 64, α/√r", lambda k, one, own: (k, [0.9 * x for x in m["Adam"]["r = 64, α/r"][1]], own)
            ),
            "a rate at the end of the grid": lambda m: raced_with(
                m, "Adam", "r = 1", lambda k, one, own: (FACTORS[-1], one, own)
            ),
        },
        chosen=lambda m: {name: {"multiple of the rate": [m[rule][name][0] for rule in RACES]} for name in ADAPTERS},
    ),
    "obs-lora-gauge-free": Observation(
        measured=step_ways,
        protocol=Protocol(
            baseline="untrained",
            contenders=[
                Contender("untrained", fixed="has no setting"),
                *(Contender(way, {"rate": tuple(rates)}) for way, rates in RATES.items()),
            ],
            tested_on="8000 bytes of held-out prose",
            tuned_on="8000 other bytes of it, one other seed",
            runs=5,
            interval="the range over five seeds, paired",
        ),
        verdict=the_cure_helps_gradients,
        numbers=way_numbers,
        sharp={
            "gradient descent as good": lambda m: with_losses(
                m, "gradient descent", moved(m["ways"][GAUGE_FREE]["testing"], 0.01)
            ),
            "a seed in which preconditioning is behind": lambda m: with_losses(
                m, GAUGE_FREE, [*m["ways"][GAUGE_FREE]["testing"][:-1], m["ways"]["gradient descent"]["testing"][-1]]
            ),
            "preconditioned as good as AdamW": lambda m: with_losses(m, GAUGE_FREE, m["ways"][ADAMW]["testing"]),
            "AdamW that gains by it": lambda m: with_losses(
                m, "AdamW, preconditioned", moved(m["ways"][ADAMW]["testing"], -0.05)
            ),
            "a rate at the end of its grid": lambda m: {
                **m,
                "ways": {**m["ways"], ADAMW: {**m["ways"][ADAMW], "rate": RATES[ADAMW][-1]}},
            },
            "a start from the gradient that is as good": lambda m: with_losses(
                m, FROM_GRADIENT, m["ways"][ADAMW]["testing"]
            ),
        },
        chosen=lambda m: {way: {"rate": [row["rate"]]} for way, row in m["ways"].items()},
    ),
    "obs-lora-many-adapters": Observation(
        measured=many_adapters,
        protocol=Protocol(
            baseline=AWAY,
            contenders=[
                Contender(AWAY, fixed="has no setting"),
                Contender(SELF, fixed="has no setting"),
                Contender("one batch, PEFT", fixed="adapter_names has no setting"),
                Contender("the base alone", fixed="what no method can be faster than"),
            ],
            tested_on="sixteen sequences of 1, 8 and 128 tokens",
            runs=5,
            interval="the range over five interleaved rounds",
        ),
        verdict=one_batch_pays_where_the_weights_are_read,
        numbers=lambda m: [
            f"{end(gains(m, name)[tokens]):.1f}"
            for tokens, name in (
                ("1", SELF),
                ("8", SELF),
                ("128", SELF),
                ("1", "one batch, PEFT"),
                ("8", "one batch, PEFT"),
                ("128", "one batch, PEFT"),
            )
            for end in (min, max)
        ],
        sharp={
            "short calls as fast as a batch": lambda m: timed_with(m, "1", SELF, 1.0),
            "a batch three times as fast at 128 tokens": lambda m: timed_with(m, "128", SELF, 1 / 3),
            "PEFT's batch as fast": lambda m: {**m, "8": {**m["8"], "one batch, PEFT": m["8"][SELF]}},
            "a base that leaves room at 128 tokens": lambda m: timed_with(m, "128", "the base alone", 1 / 4),
        },
    ),
}


FOLKLORE = {
    17: Folklore(
        wrong="trained weights are of low rank, hence LoRA",
        fails=lambda: within(tail(ONES, 1), 1e-12) and tail(FLAT - ONES, 1) > 0.9,
        holds=lambda: tail(FLAT, 1) > 0.9 and within(tail(FLAT + ONES - FLAT, 1), 1e-12),
    ),
    18: Folklore(
        wrong="Eckart–Young is why LoRA works",
        fails=lambda: (((np.diag([1.0, 1.01]) - np.diag([0, 1.01])) @ SPREAD) ** 2).sum() > 9 * WHITENED.value,
        holds=lambda: (
            close(WHITENED.value**0.5, 0.3178, atol=1e-4)
            and within(floor(np.eye(20), np.eye(20)[:, :2], 2).value, 1e-12)
            and rank(np.eye(20)) == 20
        ),
    ),
    21: Folklore(
        wrong="LoRA on LLaMA-7B: 4.7 million parameters at r = 8",
        fails=lambda: on_qv(32, 4096, 8) != 4_718_592 == on_qv(96, 12288, 1),
        holds=lambda: (
            llama() == 6_738_415_616
            and (on_qv(32, 4096, 8), on_qv(32, 4096, 16)) == (4_194_304, 8_388_608)
            and (on_all(8), on_all(16)) == (19_988_480, 39_976_960)
        ),
    ),
    22: Folklore(
        wrong="full fine-tuning of LLaMA-7B takes 140 GB, LoRA 14 GB at r = 8 and 16 GB at r = 16",
        fails=lambda: 16 * (on_qv(32, 4096, 16) - on_qv(32, 4096, 8)) < 0.1e9,
        holds=lambda: (
            round(16 * llama() / 1e9, 1) == 107.8
            and round(2 * llama() / 1e9, 2) == 13.48
            and round(16 * on_qv(32, 4096, 8) / 1e9, 3) == 0.067
        ),
    ),
    23: Folklore(
        wrong="LoRA does not change the model",
        fails=lambda: bool((merge(*MERGES[1]).back != MERGES[1][0]).any()),
        holds=lambda: merge_claim((merge, ROUND_TRIP), *MERGES[1]),
    ),
    25: Folklore(
        wrong="α is a learning rate and can be left out",
        fails=lambda: not close(START.update(FLAT, ONES, 2.0, 0.1), 2 * START.update(FLAT, ONES, 1.0, 0.1), rtol=1e-12),
        holds=lambda: (
            close(START.update(FLAT, ONES, 2.0, 0.1), 4 * START.update(FLAT, ONES, 1.0, 0.1), rtol=1e-12)
            and close(START.sign_fall(FLAT, ONES, 2.0, 0.1), 2 * START.sign_fall(FLAT, ONES, 1.0, 0.1), rtol=1e-12)
        ),
    ),
    32: Folklore(
        wrong="a LoRA layer makes its own W, has no bias, and draws A with Kaiming a = 0",
        fails=lambda: not pretrained_layer(right=False) and close(largest(0), 6**0.5, atol=0.01),
        holds=lambda: pretrained_layer(right=True) and close(largest(5**0.5), 1, atol=0.01),
    ),
}
