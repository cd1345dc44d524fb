"""What seven of the moving figures compute, in the engine V8, beside numpy and the package."""

import json
from itertools import product

import numpy as np
import pytest
from py_mini_racer import MiniRacer

from book.margins import close, within
from lowrank_helpers import costs, datasets
from lowrank_helpers.decomposition import nmf, optimal_rank, pca
from lowrank_helpers.decomposition.rank_choice import optimal_threshold
from tests import ROOT

NAMES = ["matrix", "krylov", "threshold", "pca", "holes", "cache", "lora", "parts"]


@pytest.fixture(scope="module")
def js():
    engine = MiniRacer()
    for name in NAMES:
        engine.eval((ROOT / f"book/moving/{name}.js").read_text(encoding="utf-8") + "\n; 0")
    yield lambda function, *given: json.loads(engine.eval(f"JSON.stringify({function}(...{json.dumps(given)}))"))
    engine.close()


# The shared functions
@pytest.mark.parametrize("values", [[3, 2, 1, 0.5], [2, 2, 2, -1], [0, 0, 0, 0], [1e-8, 1, 1e3, -5]])
def test_eigenvalues_of_a_symmetric_matrix(js, values):
    Q, _ = np.linalg.qr(np.random.default_rng(0).standard_normal((4, 4)))
    A = (Q * values) @ Q.T
    A = (A + A.T) / 2
    found = js("symmetric", A.tolist())
    V, size = np.array(list(map(list_of, found["vectors"]))), max(np.abs(values).max(), 1)
    assert close(found["values"], np.linalg.eigvalsh(A)[::-1], atol=1e-12 * size)
    assert close(V @ V.T, np.eye(4), atol=1e-12) and close(V.T * found["values"] @ V, A, atol=1e-12 * size)


def list_of(typed):
    """A typed array, which JSON writes as an object."""
    return [typed[str(i)] for i in range(len(typed))] if isinstance(typed, dict) else typed


def test_an_orthonormal_basis_leaves_out_what_depends(js):
    Q = np.array([list_of(q) for q in js("orthonormal", [[1, 1, 0], [2, 2, 0], [1, 0, 0]], [[0, 0, 1]])])
    assert Q.shape == (2, 3) and close(Q @ Q.T, np.eye(2), atol=1e-12) and close(Q[:, 2], 0, atol=1e-12)


def test_normal_numbers_are_normal_and_the_same_again(js):
    drawn = np.array(js("normals", 4000, 5))
    assert drawn.shape == (4000,) and js("normals", 3, 5) == drawn[:3].tolist() != js("normals", 3, 6)
    assert abs(drawn.mean()) < 0.06 and abs(drawn.std() - 1) < 0.05
    assert 0.64 < (np.abs(drawn) < 1).mean() < 0.72  # 0.683


# Chapter 7
@pytest.mark.parametrize("decay", [0.1, 0.5, 1, 2])
def test_krylov(js, decay):
    shape, found = {"values": 80, "rank": 5, "block": 7, "steps": 7}, js("krylovCompute", {"decay": decay})
    start, sigma = np.array(js("krylovStart")).T, np.arange(1.0, 81) ** -decay
    assert start.shape == (80, 7) and found["products"] == [14 * (q + 1) for q in range(shape["steps"] + 1)]
    assert close(found["sigma"], sigma, rtol=1e-12)

    def excess(Q):
        X, s, Vt = np.linalg.svd(Q.T * sigma, full_matrices=False)
        miss = np.diag(sigma) - Q @ ((X[:, :5] * s[:5]) @ Vt[:5])
        return np.linalg.norm(miss) / np.linalg.norm(sigma[5:]) - 1

    power, _ = np.linalg.qr(sigma[:, None] * start)
    space, last, expected = power, power, [(excess(power),) * 2]
    for _ in range(shape["steps"]):
        power, _ = np.linalg.qr(sigma[:, None] ** 2 * power)
        last = sigma[:, None] ** 2 * last
        for _ in range(3):  # orthogonal to all before, to the last digit
            last, _ = np.linalg.qr(last - space @ (space.T @ last))
        space = np.hstack([space, last])
        expected.append((excess(power), excess(space)))
    assert close(np.transpose([found["powers"], found["spaces"]]), np.array(expected), rtol=1e-9, atol=2e-11)


# Chapter 8
@pytest.mark.parametrize(("noise", "threshold"), [(0.2, 0), (0.7, 1.2), (1, 2), (1.8, 5)])
def test_threshold(js, noise, threshold):
    M, Z = (np.array(part) for part in js("noisyParts").values())
    U, s, Vt = np.linalg.svd(M + noise * Z, full_matrices=False)
    found = js("thresholdCompute", {"noise": noise, "threshold": threshold})
    errors = [np.linalg.norm((U[:, :k] * s[:k]) @ Vt[:k] - M) / np.linalg.norm(M) for k in range(31)]
    assert close(np.linalg.svd(M, compute_uv=False)[:5], np.array([3.4, 2.6, 1.9, 1.2, 0]), atol=1e-12)
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
def test_pca(js, points):
    found, X = js("pcaCompute", {"points": points}), np.array(points, dtype=float)
    result, mean = pca(X, 1), X.mean(axis=0)
    w = result.components[0]
    assert close(found["mean"], mean, atol=1e-12)
    assert close(found["variances"], np.linalg.svd(X - mean, compute_uv=False) ** 2, atol=1e-11)
    assert close(found["share"], result.ratios[0], atol=1e-12)
    assert close(abs(np.sin(np.radians(found["degrees"]) - np.arctan2(w[1], w[0]))), 0.0, atol=1e-11)
    assert close(found["feet"], mean + np.outer((X - mean) @ w, w), atol=1e-11)
    slope, intercept = np.polyfit(*X.T, 1)
    below = slope * X[:, 0] + intercept
    assert close(found["slope"], slope, atol=1e-11) and close(np.array(found["below"])[:, 1], below, atol=1e-11)
    assert close(found["vertical"], ((X[:, 1] - below) ** 2).sum(), atol=1e-11)


def test_pca_where_a_line_is_not_determined(js):
    cross = js("pcaCompute", {"points": [[1, 0], [-1, 0], [0, 1], [0, -1]]})
    assert cross["degrees"] is None and cross["feet"] is None and cross["slope"] == 0
    upright = js("pcaCompute", {"points": [[2, 0], [2, 1], [2, 5], [2, 6]]})
    assert upright["slope"] is None and upright["below"] is None and upright["degrees"] == 90
    one = js("pcaCompute", {"points": [[2, 3]] * 4})
    assert one["degrees"] is None and one["slope"] is None and one["share"] is None


# Chapter 11
def test_parts_are_those_of_the_chapter(js):
    X, rows = datasets.load("digits").X, js("(() => partsRows)")
    found = nmf(X, 16, max_iterations=1000)
    assert len(rows) == 10 and {928, 1629} <= set(rows)
    assert js("(() => partsDigits)") == X[rows].astype(int).tolist()
    assert close(js("(() => partsParts)"), found.H, atol=0.03) and close(
        js("(() => partsShares)"), found.W[rows], atol=0.003
    )


@pytest.mark.parametrize("digit", [0, 3, 6])
def test_parts_add_up(js, digit):
    wanted, shares, parts = (np.array(js(f"(() => parts{name})")) for name in ("Digits", "Shares", "Parts"))
    for on in (np.ones(16, bool), np.arange(16) % 3 == 0, np.zeros(16, bool)):
        total = (shares[digit] * on) @ parts
        found = js("partsCompute", {"digit": digit, "on": on.tolist()})
        error = np.linalg.norm(wanted[digit] - total) / np.linalg.norm(wanted[digit])
        assert close(found["sum"], total, atol=1e-11) and close(found["error"], error, atol=1e-12)
        assert found["count"] == on.sum()


# Chapter 13
def noticed():
    """Which entries are seen at first: as in the chapter's figure."""
    seen = np.random.default_rng(4).random((7, 10)) < 0.65
    seen[[2, 4]] = seen[:, 7] = False
    seen[2, 3] = seen[0, 7] = seen[5:, 2] = True
    return seen


@pytest.mark.parametrize("sweeps", [0, 1, 7, 40])
@pytest.mark.parametrize("hidden", ["chapter", "nothing", "everything"])
def test_holes(js, sweeps, hidden):
    A = np.array(js("holesTable"), dtype=float)
    seen = {"chapter": noticed(), "nothing": np.ones((7, 10), bool), "everything": np.zeros((7, 10), bool)}[hidden]
    W, H, ridge = np.zeros((7, 2)), np.array([[1, j % 3 - 1] for j in range(10)], dtype=float), 0.01 * np.eye(2)
    for _ in range(sweeps):
        W = np.array([np.linalg.solve(H[s].T @ H[s] + ridge, H[s].T @ a[s]) for a, s in zip(A, seen, strict=True)])
        H = np.array([np.linalg.solve(W[s].T @ W[s] + ridge, W[s].T @ a[s]) for a, s in zip(A.T, seen.T, strict=True)])
    found = js("holesCompute", {"seen": seen.tolist(), "sweeps": sweeps})
    lost = ~seen & ((seen.sum(axis=1) < 2)[:, None] | (seen.sum(axis=0) < 2))
    places = {"seen": seen, "open": ~seen & ~lost, "lost": lost}
    assert np.linalg.matrix_rank(A) == 2 and found["lost"] == lost.tolist()
    assert close(found["filled"], W @ H.T, atol=1e-9)
    assert found["counts"] == {name: int(where.sum()) for name, where in places.items()}
    for name, where in places.items():
        if not where.any():
            assert found["errors"][name] is None
        else:
            assert close(found["errors"][name], np.sqrt(np.mean((A - W @ H.T)[where] ** 2)), atol=1e-9)


def test_holes_are_filled_where_they_can_be_and_not_in_an_empty_row(js):
    found = js("holesCompute", {"seen": noticed().tolist(), "sweeps": 40})
    assert within(found["errors"]["open"], 0.2) and found["errors"]["lost"] > 1
    assert close(found["filled"][4], np.zeros(10), atol=1e-12) and found["lost"][4] == [True] * 10


# Chapter 14
@pytest.mark.parametrize(("heads", "groups", "width"), [(128, 8, 128), (32, 32, 64), (8, 2, 256)])
def test_cache(js, heads, groups, width):
    for latent, (layers, tokens, bits) in product([128, 512], [(60, 1, 16), (32, 131072, 8), (1, 1000, 4)]):
        state = {"heads": heads, "groups": groups, "width": width, "latent": latent, "rope": 64}
        found = js("cacheCompute", {**state, "layers": layers, "tokens": tokens, "bits": bits})
        elements = {name: costs.kv_cache_elements(kv, width) for name, kv in
                    {"MHA": heads, "GQA": groups, "MQA": 1}.items()}
        elements["MLA"] = costs.latent_cache_elements(latent, 64)
        assert found["kept"] == elements
        for name, number in elements.items():
            assert found["bytes"][name] == costs.kv_cache_bytes(number, layers, tokens=tokens, bits=bits)
            assert close(found["shares"][name], number / elements["MHA"], rtol=1e-12)
        assert found["asGroups"] * 2 * width == elements["MLA"]


# Chapter 16
@pytest.mark.parametrize(("m", "n", "r", "alpha"), [(128, 128, 8, 16), (4096, 11008, 64, 16), (256, 1024, 205, 1)])
def test_lora(js, m, n, r, alpha):
    found = js("loraCompute", {"m": m, "n": n, "r": r, "alpha": alpha})
    adapter = costs.factor_parameters(m, n, r)
    assert (found["weight"], found["adapter"]) == (m * n, adapter)
    assert close(found["share"], adapter / (m * n), rtol=1e-12)
    assert close(found["breakEven"], costs.break_even_rank(m, n), rtol=1e-12)
    assert (found["share"] < 1) == (r < costs.break_even_rank(m, n))
    assert found["trained"] == costs.state_memory(adapter)
    assert found["full"] == costs.state_memory(m * n, weight_bits=16) and found["frozen"] == 2 * m * n
    assert close(found["scale"], alpha / r, rtol=1e-12) and close(found["rootScale"], alpha / r**0.5, rtol=1e-12)
