"""The claims of side trip A2, Orthogonal networks."""

import functools

import numpy as np

from book import margins
from book.claims import Claim, Folklore
from book.definitions import definitions
from book.observations import Chosen, Contender, Observation, Protocol
from lowrank_helpers import linalg, results

EPS = np.finfo(float).eps
RNG = np.random.default_rng(42)
SQUARE, SHEAR = RNG.standard_normal((6, 6)), np.array([[1.0, 1.0], [0.0, 1.0]])


def close(X, Y, scale=1.0):
    """Equal up to rounding, of matrices whose size is about the scale."""
    X, Y = np.asarray(X, dtype=float), np.asarray(Y, dtype=float)
    return X.shape == Y.shape and margins.close(X, Y, atol=200 * EPS * max((1, *X.shape)) * max(1.0, scale))


def orthonormal(Q):
    return close(Q.T @ Q, np.eye(Q.shape[1]))


# Cayley


cayley = definitions("A2", "cayley")


def cayley_claim(code, S, W, G):
    """C is orthogonal of determinant 1; W(η) is orthogonal and descends at the rate ½|S|² of the gradient."""
    C = code(S)
    if not (orthonormal(C) and margins.close(np.linalg.det(C), 1.0, atol=200 * EPS * len(C) ** 2)):
        return False
    skew, h = G @ W.T - W @ G.T, 1e-4

    def curve(eta):
        return code(eta / 2 * skew) @ W

    rate = ((curve(h) - curve(-h)) * G).sum() / (2 * h)
    right_rate = margins.close(rate, -(np.linalg.norm(skew) ** 2) / 2, rtol=1e-5, atol=1e-7)  # but for h²
    return right_rate and close(curve(0.0), W) and orthonormal(curve(0.7))


def skew(n, seed):
    X = np.random.default_rng(seed).standard_normal((n, n))
    return X - X.T


def frame(n, seed):
    return np.linalg.qr(np.random.default_rng(seed).standard_normal((n, n)))[0]


CLAIMS = {
    "prop-cayley": Claim(
        check=cayley_claim,
        code=cayley,
        cases=[
            (skew(5, 1), frame(5, 2), RNG.standard_normal((5, 5))),
            (np.array([[0.0, -1.0], [1.0, 0.0]]), np.eye(2), SHEAR),
            (np.zeros((3, 3)), frame(3, 3), frame(3, 3)),
            (100 * skew(4, 4), np.diag([1.0, 1, 1, -1]), RNG.standard_normal((4, 4))),
            (np.zeros((1, 1)), np.eye(1), np.ones((1, 1))),
        ],
        dropped={
            "S is skew": (0.5 * np.eye(3), frame(3, 1), np.zeros((3, 3))),
            "W is orthogonal": (skew(3, 1), 2 * np.eye(3), RNG.standard_normal((3, 3))),
        },
        mutants={
            "the first-order step I − 2S": lambda S: np.eye(len(S)) - 2 * S,
            "plus for minus: uphill": lambda S: cayley(-S),
            "S for S/2: half the rate": lambda S: cayley(S / 2),
            "no inverse": lambda S: np.eye(len(S)) - S,
        },
    ),
}


# Observations


@functools.cache
def deep_starts():
    """The stored study of starts."""
    return results.load("deep_start")


def orthogonal_learns_first(study):
    """At each depth orthogonal and identity arrive before the first Gaussian, at 64 layers in a tenth of its steps."""
    counts = {depth: {kind: row["counts"] for kind, row in rows.items()} for depth, rows in study["depths"].items()}
    first = all(max(*row["orthogonal"], *row["identity"]) < min(row["gaussian"]) for row in counts.values())
    return first and 10 * max(counts["64"]["orthogonal"]) < min(counts["64"]["gaussian"])


def start_changed(depth, kind, **changes):
    def change(study):
        rows = study["depths"][depth]
        changed = rows | {kind: rows[kind] | changes}
        return study | {"depths": study["depths"] | {depth: changed}}

    return change


def chosen_starts(study) -> Chosen:
    return {
        kind: {setting: [rows[kind][setting] for rows in study["depths"].values()] for setting in ("gain", "step")}
        for kind in study["grids"]
    }


def start_numbers(study):
    def spread(depth, kind):
        counts = [count for count in study["depths"][depth][kind]["counts"] if count < study["limit"]]
        return [str(min(counts)), str(max(counts))]

    kinds = ("gaussian", "orthogonal", "identity")
    pairs = len(study["grids"]["gaussian"]["gain"]) * len(study["grids"]["gaussian"]["step"])
    return [number for depth in ("8", "64") for kind in kinds for number in spread(depth, kind)] + [str(pairs)]


STARTS = deep_starts()["grids"]

OBSERVATIONS = {
    "obs-orthogonal-networks-deep-start": Observation(
        measured=deep_starts,
        protocol=Protocol(
            baseline="gaussian",
            contenders=[
                Contender("gaussian", STARTS["gaussian"]),
                Contender("orthogonal", STARTS["orthogonal"]),
                Contender("identity", STARTS["identity"], first={"gain": "0 is the identity itself"}),
            ],
            tuned_on="five networks for each pair of gain and step",
            tested_on="ten other networks, with 8 and with 64 layers",
            runs=10,
            interval="the range over the ten networks",
        ),
        verdict=orthogonal_learns_first,
        numbers=start_numbers,
        sharp={
            "Gaussian layers as fast, 64 of them": lambda study: start_changed(
                "64", "gaussian", counts=study["depths"]["64"]["orthogonal"]["counts"]
            )(study),
            "Gaussian layers as fast, 8 of them": lambda study: start_changed(
                "8", "gaussian", counts=study["depths"]["8"]["orthogonal"]["counts"]
            )(study),
            "an identity that does not arrive": start_changed("64", "identity", counts=[1500] * 10),
            "a step at the edge of the grid": start_changed("64", "gaussian", step=STARTS["gaussian"]["step"][0]),
            "a gain at the edge of the grid": start_changed("8", "gaussian", gain=STARTS["gaussian"]["gain"][-1]),
        },
        chosen=chosen_starts,
    ),
}


def plain_step_drifts():
    """A gradient step leaves the orthogonal matrices, but for the coincidence of G = 2W/η."""
    W, G = frame(5, 7), RNG.standard_normal((5, 5))
    return not orthonormal(W - 0.1 * G) and orthonormal(W - 0.1 * (2 / 0.1 * W))


def cayley_steps_stay():
    W = frame(5, 7)
    for seed in range(200):
        G = np.random.default_rng(seed).standard_normal((5, 5))
        W = cayley(0.05 * (G @ W.T - W @ G.T)) @ W
    return orthonormal(W)


FOLKLORE = {
    33: Folklore(
        wrong="orthogonal RNNs keep orthogonality by QR",
        fails=lambda: orthonormal(linalg.householder_qr(SQUARE).Q) and plain_step_drifts(),
        holds=cayley_steps_stay,
    ),
}
