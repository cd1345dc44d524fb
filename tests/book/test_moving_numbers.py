"""The numbers of the figures that readers move are numpy's."""

import numpy as np
import pytest

from book.margins import close, rank
from lowrank_helpers import linalg
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


@pytest.mark.parametrize("A", [[[1.2, 0.4], [0.4, 1.1]], [[-1, 0.5], [1.3, -1.2]], [[0.2, 0.9], [-1.4, 0.3]]])
def test_norms(A):
    A = np.array(A)
    found = moved.numbers("norms", a=A[:, 0].tolist(), b=A[:, 1].tolist())
    for p, order in (("1", 1), ("2", 2), ("inf", np.inf)):
        longest = np.array(found["longest"][p])
        assert close(found["norms"][p], np.linalg.norm(A, order), atol=1e-9)
        assert close(np.linalg.norm(longest, order), 1, atol=1e-9)
        assert close(np.linalg.norm(A @ longest, order), np.linalg.norm(A, order), atol=1e-9)
        assert close(A @ longest, found["images"][p], atol=1e-9)


@pytest.mark.parametrize("heights", [[2, 1, 6], [0, 7, 0], [3.3, 3.4, 3.5], [0, 0, 0]])
def test_projection(heights):
    found, A, M = moved.numbers("projection", heights=heights), np.array([[1.0, 0], [1, 1], [1, 2]]), np.array(heights)
    b = np.linalg.lstsq(A, M, rcond=None)[0]
    assert close(found["b"], b, atol=1e-9) and close(found["fit"], A @ b, atol=1e-9)
    assert close(found["residual"], A @ b - M, atol=1e-9) and close(found["right"], A.T @ M, atol=1e-9)
    assert close(found["check"], [0, 0], atol=1e-9) and close(found["squared"], np.sum((A @ b - M) ** 2), atol=1e-9)


@pytest.mark.parametrize("power", [-4, -3.7, -1.5, 1])
def test_tikhonov(power):
    problem, found = moved.call("() => moving.figures.tikhonov.problem"), moved.numbers("tikhonov", power=power)
    A, truth, seen = (np.array(problem[key]) for key in ("A", "truth", "seen"))
    x = linalg.tikhonov(A, seen[:, None], 10**power).ravel()
    assert close(found["x"], x, atol=1e-9)
    assert close(found["residual"], np.linalg.norm(A @ x - seen), atol=1e-9)
    assert close(found["length"], np.linalg.norm(x), atol=1e-9)
    assert close(found["error"], np.linalg.norm(x - truth) / np.linalg.norm(truth), atol=1e-9)
    assert found["kept"] == np.sum(np.linalg.svd(A, compute_uv=False) ** 2 > 10**power)


def test_the_nearest_to_the_truth_is_nearer_than_its_neighbours():
    best = moved.numbers("tikhonov")["best"]
    errors = [moved.numbers("tikhonov", power=best + step)["error"] for step in (-0.1, 0, 0.1)]
    assert min(errors) == errors[1]


@pytest.mark.parametrize(("start", "m"), [([-1.9, 1.8], 1), ([-1.8, 1.8], 1), ([0.3, 1.1], 0.6), ([2, 2], 2)])
def test_saddle(start, m):
    found = moved.numbers("saddle", **{"from": start, "m": m})
    path = [np.array(start, dtype=float)]
    for _ in range(400):
        a, b = path[-1]
        path.append(path[-1] - 0.02 * 2 * (a * b - m) * np.array([b, a]))
    assert close(found["path"], path, atol=1e-9)
    losses = [(a * b - m) ** 2 for a, b in path]
    assert close(found["losses"], losses, atol=1e-9)
    assert close(found["distance"], np.linalg.norm(path, axis=1).min(), atol=1e-9)
    trapped = sum(start) == 0
    assert (found["there"] < 0) == trapped and close(found["path"][-1], [0, 0], atol=1e-6) == trapped


@pytest.mark.parametrize("shape", [(12, 30), (30, 12), (9, 9), (1, 5)])
def test_bring(shape):
    A = RNG.standard_normal(shape) * np.linspace(1, 20, shape[1])
    s, p = np.linalg.svd(A, compute_uv=False), min(shape)
    for rank_ in {1, (p + 1) // 2, p}:
        found = moved.numbers("bring", matrix=A.tolist(), rank=rank_, error=25)
        errors = [np.linalg.norm(s[k:]) / np.linalg.norm(s) for k in range(p + 1)]
        assert close(found["s"], s, atol=1e-9) and close(found["errors"], errors, atol=1e-9)
        assert close(found["energy"], 1 - errors[rank_] ** 2, atol=1e-9)
        assert found["needed"] == next(k for k, error in enumerate(errors) if error <= 0.25)
        assert close(found["even"], A.size / sum(shape), atol=1e-9) and found["numbers"] == rank_ * sum(shape)
        U, _, Vt = np.linalg.svd(A, full_matrices=False)
        best = moved.call("moving.figures.bring.best", A.tolist(), rank_)
        assert close(best, (U[:, :rank_] * s[:rank_]) @ Vt[:rank_], atol=1e-9)


@pytest.mark.parametrize(
    ("text", "matrix", "left"),
    [
        ("1,2\n3,4\n", [[1, 2], [3, 4]], 0),
        ("name,x,y\na,1,2\nb,3,4\n", [[1, 2], [3, 4]], 0),
        ('"x";"y"\r\n1,5;2\r\n3;4,25\r\n', [[1.5, 2], [3, 4.25]], 0),
        ("x\ty\n1\t2\n3\t\n5\t-6e1\n", [[1, 2], [5, -60]], 1),
        ("7\n8\n", [[7], [8]], 0),
    ],
    ids=["plain", "a heading and a column of words", "decimal commas", "tabs and a gap", "one column"],
)
def test_a_table_is_read(text, matrix, left):
    found = moved.call("moving.figures.bring.table", text)
    assert found["matrix"] == matrix and found["left"] == left


@pytest.mark.parametrize("text", ["", "\n\n", "a,b\nc,d\n", "0,0\n0,0\n"])
def test_a_text_without_numbers_is_refused(text):
    refused = (
        "(text) => { try { moving.figures.bring.table(text); return ''; } catch (error) { return error.message; } }"
    )
    assert moved.call(refused, text) == "there are no numbers in it"


def test_channels_stand_side_by_side():
    picture = RNG.integers(0, 256, (3, 5, 4))
    data = {"data": picture.ravel().tolist(), "width": 5, "height": 3}
    assert moved.call("moving.figures.bring.unfolded", data) == np.hstack([picture[:, :, c] for c in range(3)]).tolist()
    picture[:, :, 1] = picture[:, :, 2] = picture[:, :, 0]
    data["data"] = picture.ravel().tolist()
    assert moved.call("moving.figures.bring.unfolded", data) == picture[:, :, 0].tolist()
