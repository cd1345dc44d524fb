"""Right answers to the exercises of chapter 4, and the usual wrong ones with a word of what the checker says."""

import numpy as np

from lowrank_helpers.exercises import factorizations

L_PASCAL = np.array([[1, 0, 0, 0], [1, 1, 0, 0], [1, 2, 1, 0], [1, 3, 3, 1]], dtype=float)
A = np.array([[1.0, 5], [2, -1], [2, 0]])
Q, R = np.array([[5, 14], [10, -5], [10, -2]]) / 15, np.array([[3.0, 1], [0, 5]])


RIGHT = [
    (factorizations.pascal, L_PASCAL),
    (factorizations.pascal, L_PASCAL.tolist()),
    (factorizations.mirrors, (Q, R)),
    (factorizations.mirrors, (np.round(Q, 4), R)),
    (factorizations.jacobi, -0.5),
    (factorizations.growth, 524288),
]
WRONG = [
    (factorizations.pascal, L_PASCAL.T, "that is U"),
    (factorizations.pascal, L_PASCAL @ L_PASCAL.T, "matrix itself"),
    (factorizations.pascal, np.tril(L_PASCAL @ L_PASCAL.T), "lower part"),
    (factorizations.pascal, np.linalg.inv(L_PASCAL), "inverse of L"),
    (factorizations.pascal, 2 * L_PASCAL, "ones on its diagonal"),
    (factorizations.pascal, np.eye(4), "multipliers"),
    (factorizations.pascal, np.eye(3), "shape"),
    (factorizations.mirrors, tuple(np.linalg.qr(A)), "negative"),
    (factorizations.mirrors, (Q, 2 * R), "not the matrix"),
    (factorizations.mirrors, (A, np.eye(2)), "orthonormal"),
    (factorizations.mirrors, (Q @ Q.T @ A @ np.eye(2), np.eye(2)), "orthonormal"),
    (factorizations.mirrors, (Q @ [[0, 1], [1, 0]], R[::-1]), "triangular"),
    (factorizations.mirrors, Q, "pair"),
    (factorizations.mirrors, (Q.T, R), "shape"),
    (factorizations.jacobi, 2, "other root"),
    (factorizations.jacobi, 0.5, "sign"),
    (factorizations.jacobi, -0.75, "τ"),
    (factorizations.jacobi, 1, "entries"),
    (factorizations.growth, 2**20, "too many"),
    (factorizations.growth, 2**18, "missing"),
    (factorizations.growth, 20, "added 1"),
    (factorizations.growth, 1, "before elimination"),
    (factorizations.growth, 1000, "4×4"),
    (factorizations.growth, "many", "one number"),
    (factorizations.growth, None, "finite"),
]
