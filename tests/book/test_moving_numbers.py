"""The numbers of the figures that readers move are numpy's."""

import numpy as np
import pytest

from book.margins import close, rank
from tests.book import moved

RNG = np.random.default_rng(20)


def projector(columns):
    Q = np.linalg.qr(np.asarray(columns).T)[0]
    return Q @ Q.T


@pytest.mark.parametrize("shape", [(7, 4), (4, 7), (5, 5), (1, 3), (3, 1)])
def test_the_svd_of_the_scripts(shape):
    A = RNG.standard_normal(shape)
    A[:, -1] = A[:, 0]  # of rank one less, where there are two columns
    found = moved.call("moving.svd", A.tolist())
    U, s, V = (np.array(found[key]) for key in "UsV")
    assert close(s, np.linalg.svd(A, compute_uv=False), atol=1e-12)
    assert close((U.T * s) @ V, A, atol=1e-12)
    r = rank(A)
    assert close(U[:r] @ U[:r].T, np.eye(r), atol=1e-12) and close(V @ V.T, np.eye(len(V)), atol=1e-12)


@pytest.mark.parametrize("A", [[[1.2, 0], [1.6, 2]], [[1, -0.5], [2, 1.7]], [[0.3, 2.2], [1.1, 0.4]], [[1, 2], [2, 4]]])
def test_ellipse(A):
    A = np.array(A)
    found = moved.numbers("ellipse", a=A[:, 0].tolist(), b=A[:, 1].tolist(), turn=25)
    U, s, Vt = np.linalg.svd(A)
    assert close(found["s"], s, atol=1e-9)
    for i in range(2):
        assert close(projector([found["V"][i]]), projector([Vt[i]]), atol=1e-9)
        assert close(projector([found["U"][i]]), projector([U[:, i]]), atol=1e-9)
        assert close(A @ found["V"][i], s[i] * np.array(found["U"][i]), atol=1e-9)
    turned = [
        [np.cos(np.pi * 25 / 180), np.sin(np.pi * 25 / 180)],
        [-np.sin(np.pi * 25 / 180), np.cos(np.pi * 25 / 180)],
    ]
    assert close(found["v"], turned, atol=1e-9)
    assert close(found["inner"], (A @ turned[0]) @ (A @ turned[1]), atol=1e-9)
    there = moved.numbers("ellipse", a=A[:, 0].tolist(), b=A[:, 1].tolist(), turn=found["best"])
    assert close(there["inner"], 0, atol=1e-9)
