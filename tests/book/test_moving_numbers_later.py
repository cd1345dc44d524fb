"""The numbers of the moving figures from chapter 7 on are numpy's, and the package's."""

import functools
from itertools import product

import numpy as np
import pytest

from book.margins import close, rank, within
from lowrank_helpers import costs, datasets
from lowrank_helpers.decomposition import nmf, optimal_rank, pca
from lowrank_helpers.decomposition.rank_choice import optimal_threshold
from tests.book import moved


# What several of them share
def test_an_orthonormal_basis_leaves_out_what_depends():
    Q = np.array(moved.call("moving.orthonormal", [[1, 1, 0], [2, 2, 0], [1, 0, 0]], [[0, 0, 1]]))
    assert Q.shape == (2, 3) and close(Q @ Q.T, np.eye(2), atol=1e-12) and close(Q[:, 2], 0, atol=1e-12)
    A = np.random.default_rng(0).standard_normal((4, 9))
    Q = np.array(moved.call("moving.orthonormal", A.tolist()))
    assert close(Q.T @ Q, np.linalg.pinv(A) @ A, atol=1e-12)


def test_normal_numbers_are_normal_and_the_same_again():
    drawn = np.array(moved.call("moving.normals", 4000, 5))
    assert drawn.shape == (4000,)
    assert moved.call("moving.normals", 3, 5) == drawn[:3].tolist() != moved.call("moving.normals", 3, 6)
    assert close(drawn.mean(), 0, atol=0.1) and close(drawn.std(), 1, atol=0.1)
    assert close((np.abs(drawn) < 1).mean(), 0.683, atol=0.1) and close((np.abs(drawn) < 2).mean(), 0.954, atol=0.04)


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("whole", 16777216, "16\u202f777\u202f216"),
        ("whole", 4096, "4096"),
        ("whole", 16384, "16\u202f384"),
        ("raised", "−12", "⁻¹²"),
        ("scientific", 3.26e-5, "3.3·10⁻⁵"),
        ("scientific", 0.25, "0.25"),
        ("scientific", 0, "0"),
        ("bytes", 3932160, "3.93 MB"),
        ("bytes", 524288 * 131072, "68.7 GB"),
        ("bytes", 512, "512 bytes"),
    ],
)
def test_words(name, value, words):
    assert moved.call(f"moving.{name}", value) == words


# Chapter 7
@pytest.mark.parametrize("fall", [-0.1, -0.5, -1, -2])
def test_krylov(fall):
    found = moved.numbers("krylov", fall=fall, step=3)
    start, sigma = np.array(found["omega"]).T, np.arange(1.0, 61) ** fall
    assert start.shape == (60, 5) and close(found["sigma"], sigma, rtol=1e-12)
    assert found["products"] == 2 * 5 * 4  # a block times A, times A' and A three times, and Q' A

    def excess(Q):
        X, s, Vt = np.linalg.svd(Q.T * sigma, full_matrices=False)
        miss = np.diag(sigma) - Q @ ((X[:, :3] * s[:3]) @ Vt[:3])
        return np.linalg.norm(miss) / np.linalg.norm(sigma[3:]) - 1

    power, _ = np.linalg.qr(sigma[:, None] * start)
    space, last, expected = power, power, [(excess(power), excess(power))]
    for _ in range(7):
        power, _ = np.linalg.qr(sigma[:, None] ** 2 * power)
        last = sigma[:, None] ** 2 * last
        for _ in range(3):  # orthogonal to all before, to the last digit
            last, _ = np.linalg.qr(last - space @ (space.T @ last))
        space = np.hstack([space, last])
        expected.append((excess(power), excess(space)))
    assert close(np.transpose([found["powers"], found["krylov"]]), np.array(expected), rtol=1e-9, atol=2e-11)


# Chapter 8
@pytest.mark.parametrize(("noise", "threshold"), [(0.2, 0), (0.7, 1.2), (1, 2), (1.8, 4.9)])
def test_threshold(noise, threshold):
    found = moved.numbers("threshold", noise=noise, threshold=threshold)
    M, Z = np.array(found["M"]), np.array(found["Z"])
    U, s, Vt = np.linalg.svd(M + noise * Z, full_matrices=False)
    errors = [np.linalg.norm((U[:, :k] * s[:k]) @ Vt[:k] - M) / np.linalg.norm(M) for k in range(31)]
    assert close(np.linalg.svd(M, compute_uv=False)[:5], np.array([3.4, 2.6, 1.9, 1.2, 0]), atol=1e-12)
    assert close(Z.std() * 50**0.5, 1, atol=0.1)
    assert close(found["s"], s, atol=1e-11) and close(found["errors"], np.array(errors), atol=1e-11)
    assert found["kept"] == (s > threshold).sum() and found["best"] == np.argmin(errors)
    assert close(found["edge"], noise * (1 + 0.6**0.5), rtol=1e-12)
    unit = 50**0.5  # the package's values are not divided by it
    assert close(found["rule"], optimal_threshold(s * unit, (30, 50), noise=noise) / unit, rtol=1e-12)
    assert found["byRule"] == optimal_rank(s * unit, (30, 50), noise=noise)


# Chapter 9
@pytest.mark.parametrize(
    "points", [[[7, 4], [6, 5], [3, 2], [4, 1]], [[0, 0], [1, 3], [2, -2], [5, 1]], [[1, 1], [2, 2], [4, 4], [3, 3]]]
)
def test_pca(points):
    found, X = moved.numbers("pca", points=points), np.array(points, dtype=float)
    mean, w = X.mean(axis=0), pca(X, 1).components[0]
    normal = np.array([-w[1], w[0]])
    assert close(found["mean"], mean, atol=1e-12)
    assert close(found["variances"], np.linalg.svd(X - mean, compute_uv=False) ** 2, atol=1e-11)
    assert close(np.outer(found["along"], found["along"]), np.outer(w, w), atol=1e-11)
    assert close(np.tan(np.radians(found["degrees"])), w[1] / w[0], atol=1e-11)
    assert close(found["feet"], mean + np.outer((X - mean) @ w, w), atol=1e-11)
    slope, intercept = np.polyfit(*X.T, 1)
    below = slope * X[:, 0] + intercept
    assert close(found["slope"], slope, atol=1e-11) and close(found["below"], np.c_[X[:, 0], below], atol=1e-11)
    upright = [(((X - mean) @ normal) / normal[1]) ** 2, (X[:, 1] - below) ** 2]
    across = [((X - mean) @ normal) ** 2, upright[1] / (1 + slope**2)]
    expected = np.sum([across, upright], axis=2).T
    assert close([found["principal"], found["regression"]], expected, atol=1e-10)
    (best, other), (worse, least) = expected.T
    assert within([best - other, least - worse], 1e-12), "each is least in its own measure"


def test_pca_where_a_line_is_not_determined():
    cross = moved.numbers("pca", points=[[1, 0], [-1, 0], [0, 1], [0, -1]])
    assert cross["degrees"] is None and cross["principal"] is None and cross["slope"] == 0
    upright = moved.numbers("pca", points=[[2, 0], [2, 1], [2, 5], [2, 6]])
    assert upright["slope"] is None and upright["below"] is None and upright["degrees"] == 90
    assert upright["principal"][1] is None, "no vertical distance from a vertical line"
    one = moved.numbers("pca", points=[[2, 3]] * 4)
    assert one["degrees"] is None and one["slope"] is None


# Chapter 11
@pytest.mark.parametrize("digit", range(10))
def test_parts_are_those_of_the_chapter_and_add_up(digit):
    found = moved.numbers("parts", digit=str(digit))
    X, row = datasets.load("digits"), found["rows"][digit]
    W, H = _digits_in_parts().W, _digits_in_parts().H
    assert X.y[row] == digit and found["wanted"] == X.X[row].tolist()
    assert close(found["parts"], H, atol=0.03) and close(found["shares"], W[row], atol=0.003)
    for on in (np.ones(16, bool), np.arange(16) % 3 == 0, np.zeros(16, bool)):
        now = moved.numbers("parts", digit=str(digit), on=on.tolist())
        total = (now["shares"] * on) @ np.array(now["parts"])
        assert close(now["sum"], total, atol=1e-11) and now["count"] == on.sum()
        assert close(now["error"], np.linalg.norm(X.X[row] - total) / np.linalg.norm(X.X[row]), atol=1e-12)


@functools.cache
def _digits_in_parts():
    """As in the chapter's cell."""
    return nmf(datasets.load("digits").X, 16, max_iterations=1000)


def test_the_parts_that_are_on_at_first_are_those_of_the_picture():
    start = moved.start("parts")
    assert start["digit"] == "6" and np.flatnonzero(start["on"]).tolist() == sorted([8, 14, 11, 10, 6])
    assert moved.numbers("parts")["rows"][6] == 1629


# Chapter 13
def noticed():
    """Which entries are seen at first: those of the chapter's picture."""
    seen = np.random.default_rng(4).random((7, 10)) < 0.65
    seen[[2, 4]] = seen[:, 7] = False
    seen[2, 3] = seen[0, 7] = seen[5:, 2] = True
    return seen


@pytest.mark.parametrize("sweeps", [0, 1, 7, 40])
@pytest.mark.parametrize("hidden", ["as in the chapter", "nothing", "everything"])
def test_holes(sweeps, hidden):
    seen = {"nothing": np.ones((7, 10), bool), "everything": np.zeros((7, 10), bool)}.get(hidden, noticed())
    found = moved.numbers("holes", seen=seen.tolist(), sweeps=sweeps)
    A, W, ridge = np.array(found["table"], dtype=float), np.zeros((7, 2)), 0.01 * np.eye(2)
    H = np.array([[1, j % 3 - 1] for j in range(10)], dtype=float)
    for _ in range(sweeps):
        W = np.array([np.linalg.solve(H[s].T @ H[s] + ridge, H[s].T @ a[s]) for a, s in zip(A, seen, strict=True)])
        H = np.array([np.linalg.solve(W[s].T @ W[s] + ridge, W[s].T @ a[s]) for a, s in zip(A.T, seen.T, strict=True)])
    few = (seen.sum(axis=1) < 2)[:, None] | (seen.sum(axis=0) < 2)
    places = {"seen": seen, "open": ~seen & ~few, "lost": ~seen & few}
    assert rank(A) == 2 and close(found["filled"], W @ H.T, atol=1e-9)
    kinds = np.array(found["kind"])
    for name, where in places.items():
        assert ((kinds == name) == where).all() and found["counts"][name] == where.sum()
        error = found["course"][sweeps][name]
        assert (
            (error is None) if not where.any() else close(error, np.sqrt(np.mean((A - W @ H.T)[where] ** 2)), atol=1e-9)
        )


def test_holes_are_filled_where_they_can_be_and_in_an_empty_row_once_two_entries_are_seen():
    assert moved.start("holes")["seen"] == noticed().tolist()
    found = moved.numbers("holes", sweeps=40)
    assert within(found["course"][40]["open"], 0.2) and not within(found["course"][40]["lost"], 0.4)
    assert close(found["filled"][4], np.zeros(10), atol=1e-12) and found["kind"][4] == ["lost"] * 10
    seen = noticed()
    seen[4, [3, 5]] = True
    found = moved.numbers("holes", seen=seen.tolist(), sweeps=40)
    assert found["kind"][4].count("lost") == 1  # in the column of one entry
    known = [j for j in range(10) if j != 7]
    assert close(np.array(found["filled"][4])[known], np.array(found["table"][4])[known], atol=1)


# Chapter 14
@pytest.mark.parametrize(("heads2", "groups2", "width"), [(7, 3, 128), (5, 5, 64), (3, 1, 256), (2, 6, 32)])
def test_cache(heads2, groups2, width):
    for latent, (layers, tokens2, bits) in product([128, 512], [(60, 0, "16"), (32, 17, "8"), (1, 10, "4")]):
        state = {"heads2": heads2, "groups2": groups2, "width": width, "latent": latent}
        found = moved.numbers("cache", **state, layers=layers, tokens2=tokens2, bits=bits)
        groups = 2 ** min(heads2, groups2)
        heads = {"MHA": 2**heads2, "GQA": groups, "MQA": 1}
        elements = {name: costs.kv_cache_elements(number, width) for name, number in heads.items()}
        elements["MLA"] = costs.latent_cache_elements(latent, 64)
        assert found["kept"] == elements and (found["heads"], found["groups"]) == (2**heads2, groups)
        for name, number in elements.items():
            expected = costs.kv_cache_bytes(number, layers, tokens=2**tokens2, bits=int(bits))
            assert found["bytes"][name] == expected
        assert found["asGroups"] * 2 * width == elements["MLA"]


# Chapter 16
@pytest.mark.parametrize(
    ("m", "n", "rank2", "alpha"), [(128, 128, 3, 16), (4096, 11008, 6, 16), (256, 1024, 12, 1), (4096, 4096, 11, 8)]
)
def test_lora(m, n, rank2, alpha):
    found = moved.numbers("lora", m=m, n=n, rank2=rank2, alpha=alpha)
    r = min(2**rank2, m, n)
    adapter = costs.factor_parameters(m, n, r)
    assert (found["r"], found["weight"], found["adapter"]) == (r, m * n, adapter)
    assert close(found["share"], adapter / (m * n), rtol=1e-12)
    assert close(found["even"], costs.break_even_rank(m, n), rtol=1e-12)
    assert (found["share"] < 1) == (r < costs.break_even_rank(m, n))
    assert found["trained"] == costs.state_memory(adapter)
    assert found["full"] == costs.state_memory(m * n, weight_bits=16) and found["frozen"] == 2 * m * n
    assert close(found["scale"], alpha / r, rtol=1e-12) and close(found["rootScale"], alpha / r**0.5, rtol=1e-12)
