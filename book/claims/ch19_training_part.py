"""The claim and the observation of chapter 19's section on training, to be merged into the chapter's own file.

There: ``CLAIMS |= powersgd(definitions(19, "power_sgd_step"), definitions(19, "with_feedback"))``.
"""

import copy

import numpy as np

from book.claims import Claim
from book.margins import close, within
from book.observations import Contender, Observation, Protocol, student
from lowrank_helpers import results

RNG = np.random.default_rng(190)


def normal(*shape):
    return RNG.standard_normal(shape)


def split(M, w):
    """w matrices with the mean M that are nothing like it."""
    noise = normal(w, *M.shape)
    return list(M + noise - noise.mean(axis=0))


def with_values(s, m, n):
    """An m×n matrix with these singular values."""
    U = np.linalg.qr(normal(m, len(s)))[0]
    V = np.linalg.qr(normal(n, len(s)))[0]
    return (U * s) @ V.T


def tangent(U, P):
    """That of the greatest angle between two spaces of one dimension, P's columns being orthonormal."""
    return np.linalg.norm((P - U @ (U.T @ P)) @ np.linalg.inv(U.T @ P), 2)


def no_sum_needed(code, workers, others, Q, gradients, residuals, steps=60):
    """Parts 1 to 3: one step on two splits of a mean, repeated steps, and steps with error feedback."""
    step, feedback = code
    M, r = sum(workers) / len(workers), Q.shape[1]
    m, n = M.shape
    P, new = step(workers, Q)
    if P.shape != (m, r) or new.shape != (n, r):
        return False
    p, q = step(others, Q)
    one = (
        close(P.T @ P, np.eye(r), atol=1e-11)
        and close(P @ (P.T @ M @ Q), M @ Q, atol=1e-10 * np.linalg.norm(M) * np.linalg.norm(Q))
        and close(new, M.T @ P, atol=1e-11 * np.linalg.norm(M))
        and close(p @ q.T, P @ new.T, atol=1e-9 * np.linalg.norm(M))
    )
    return one and iterates(step, workers, Q, steps) and telescopes(feedback, gradients, residuals, Q)


def iterates(step, workers, Q, steps):
    """The tangents shrink as they have to, and the result of the last step is the truncation."""
    M, r = sum(workers) / len(workers), Q.shape[1]
    U, s, Vt = np.linalg.svd(M)
    rate = (s[r] / s[r - 1]) ** 2 if r < len(s) else 0.0
    tangents = []
    for _ in range(steps):
        P, Q = step(workers, Q)
        tangents.append(tangent(U[:, :r], P))
    bounds = tangents[0] * rate ** np.arange(steps)
    best = (U[:, :r] * s[:r]) @ Vt[:r]
    excess = np.array(tangents) - bounds
    return within(excess, 1e-9) and close(P @ Q.T, best, atol=1e-8 * s[0])


def telescopes(feedback, gradients, residuals, Q):
    """What is applied adds up to the gradients without the last residual; each worker's residual is what it lacks."""
    total, Es = 0.0, residuals
    for Gs in gradients:
        before = [G + E for G, E in zip(Gs, Es, strict=True)]
        applied, Es, Q = feedback(Gs, Es, Q)
        total = total + applied
        if not close(np.array(Es), np.array(before) - applied, atol=1e-10 * np.abs(before).max()):
            return False
    wanted = sum(np.mean(Gs, axis=0) for Gs in gradients) - np.mean(Es, axis=0)
    return close(total, wanted, atol=1e-10 * np.abs(wanted).max())


def case(s, m, n, r, w, v, T=5, **changes):
    """A mean with these singular values among w workers and among v, and T steps of other gradients."""
    M = with_values(np.array(s, dtype=float), m, n)
    given = {
        "workers": split(M, w),
        "others": split(M, v),
        "Q": normal(n, r),
        "gradients": [list(normal(w, m, n)) for _ in range(T)],
        "residuals": [np.zeros((m, n)) for _ in range(w)],
    }
    return tuple((given | changes).values())


def without_the_first_direction():
    """A case whose Q is orthogonal to v₁, and few steps: rounding would find it in the end."""
    workers, others, Q, gradients, residuals = case([9, 5, 1], 8, 6, 2, 3, 2)
    v = np.linalg.svd(sum(workers) / 3)[2][0]
    return workers, others, Q - np.outer(v, v @ Q), gradients, residuals, 3


# Wrong code


def mean(parts):
    return sum(parts) / len(parts)


def right_step(Ms, Q):
    P = np.linalg.qr(mean([M @ Q for M in Ms]))[0]
    return P, mean([M.T @ P for M in Ms])


def feedback_by(step, residual=lambda G, M, X: M - X):
    def feedback(Gs, Es, Q):
        Ms = [G + E for G, E in zip(Gs, Es, strict=True)]
        P, Q = step(Ms, Q)
        return P @ Q.T, [residual(G, M, P @ Q.T) for G, M in zip(Gs, Ms, strict=True)], Q

    return feedback


def pair(step, *residual):
    return step, feedback_by(step, *residual)


def never_orthonormal(Ms, Q):
    P = mean([M @ Q for M in Ms])
    return P, mean([M.T @ P for M in Ms])


def sums(Ms, Q):
    P = np.linalg.qr(sum(M @ Q for M in Ms))[0]
    return P, sum(M.T @ P for M in Ms)


def own_bases(Ms, Q):
    P = np.linalg.qr(mean([np.linalg.qr(M @ Q)[0] for M in Ms]))[0]
    return P, mean([M.T @ P for M in Ms])


def first_worker_s_basis(Ms, Q):
    P = np.linalg.qr(Ms[0] @ Q)[0]
    return P, mean([M.T @ P for M in Ms])


def old_start(Ms, Q):
    return right_step(Ms, Q)[0], Q


def powersgd(step, feedback):
    """The claim, with the chapter's two functions as its code."""
    return {
        "prop-powersgd": Claim(
            check=no_sum_needed,
            code=(step, feedback),
            cases=[
                case([5, 4, 2, 1], 9, 6, 2, 4, 3),
                case([5, 4, 2, 1], 6, 9, 3, 2, 5),
                case([3, 2, 0.5], 7, 7, 1, 3, 1),
                case([4, 3, 1], 8, 3, 3, 3, 2),  # r = min(m, n)
                case([4, 3], 8, 6, 2, 3, 2),  # of rank r: exact in one step
            ],
            dropped={
                "the same mean": case([5, 4, 2, 1], 9, 6, 2, 4, 3, others=split(normal(9, 6), 3)),
                "σ_r above σ_{r+1}": case([5, 3, 3, 1], 9, 6, 2, 4, 3),
                "an invertible V_rᵀQ": without_the_first_direction(),
                "residuals that are 0 at first": case([5, 4, 2, 1], 9, 6, 2, 4, 3, residuals=list(normal(4, 9, 6))),
            },
            mutants={
                "P is not made orthonormal": pair(never_orthonormal),
                "sums for means": pair(sums),
                "each worker's basis, averaged": pair(own_bases),
                "the first worker's basis": pair(first_worker_s_basis),
                "the old Q for the new": pair(old_start),
                "the old residual is forgotten": pair(right_step, lambda G, M, X: G - X),
                "no residual": pair(right_step, lambda G, M, X: 0 * M),
            },
        )
    }


# What PowerSGD costs


def study():
    return results.load("scale_training")


def apart(measured, one, other):
    """By how much the first's loss on held-out digits is above the second's, and half of its interval."""
    runs = (measured["of"][name]["runs"] for name in (one, other))
    return student([a["loss"] - b["loss"] for a, b in zip(*runs, strict=True)])


PLAIN, FEWER, ENTRIES, WITHOUT, FRESH, POWER = (
    "plain averaging",
    "plain averaging, as many bytes",
    "random entries",
    "PowerSGD, no error feedback",
    "PowerSGD, a new random Q",
    "PowerSGD",
)


def as_good_with_fewer_bytes(measured):
    """PowerSGD within 0.02 of plain averaging at a tenth of the numbers; its rivals of as many bytes above it."""
    near = all(abs(mean) + half < 0.02 for mean, half in (apart(measured, POWER, PLAIN), apart(measured, FRESH, POWER)))
    behind = (apart(measured, other, POWER) for other in (FEWER, ENTRIES, WITHOUT))
    numbers = {name: measured["of"][name]["runs"][0]["numbers"] for name in (PLAIN, FEWER, ENTRIES, POWER)}
    return (
        near
        and all(mean - half > 0.02 for mean, half in behind)
        and 10 * numbers[POWER] < numbers[PLAIN]
        and numbers[POWER] == numbers[ENTRIES] <= numbers[FEWER]
    )


def exchanged_runs(one, other):
    """Measurements in which the first had the runs of the second."""

    def change(measured):
        changed = copy.deepcopy(measured)
        changed["of"][one]["runs"] = changed["of"][other]["runs"]
        return changed

    return change


def at_the_edge(measured):
    changed = copy.deepcopy(measured)
    changed["of"][POWER]["rate"] = changed["rates"][-1]
    return changed


RATES = tuple(0.0125 * 2**k for k in range(8))
OBSERVATIONS = {
    "obs-scale-powersgd": Observation(
        measured=study,
        protocol=Protocol(
            baseline=PLAIN,
            contenders=[Contender(name, {"rate": RATES}) for name in (PLAIN, FEWER, ENTRIES, WITHOUT, FRESH, POWER)],
            tested_on="300 digits of each of the seeds 1 to 10",
            tuned_on="300 other digits, three other seeds",
            runs=10,
            interval="95 %, Student's, of differences by seed",
        ),
        verdict=as_good_with_fewer_bytes,
        numbers=lambda m: [
            *(f"{np.mean([run['loss'] for run in m['of'][name]['runs']]):.3f}" for name in m["of"]),
            *("{:.3f} ± {:.3f}".format(*apart(m, name, POWER)) for name in (FEWER, ENTRIES, WITHOUT)),
            "{:.3f} ± {:.3f}".format(*apart(m, POWER, PLAIN)),
        ],
        sharp={
            "no feedback, as good": exchanged_runs(WITHOUT, POWER),
            "fewer averages, as good": exchanged_runs(FEWER, POWER),
            "PowerSGD as without feedback": exchanged_runs(POWER, WITHOUT),
            "a rate at the edge of its grid": at_the_edge,
        },
        chosen=lambda m: {name: {"rate": [found["rate"]]} for name, found in m["of"].items()},
    )
}
