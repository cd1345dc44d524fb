"""Run the test suites of peers with this book's functions in the place of theirs, and name what fails.

    python -m tools.peer_suites              scikit-learn's own tests of what we do too, and numpy's cases; minutes

What scikit-learn offers and the book does not (penalties, a fixed H, other divergences) stays scikit-learn's. A failure
that `EXPECTED` does not explain ends the run with the code 1; so does a suite that never called us, and an explanation
that has become untrue. The module is also the pytest plugin that puts our functions in their place (`-p`).
"""

import argparse
import pathlib
import re
import subprocess
import sys
import warnings
from collections import Counter

import numpy as np
import scipy.sparse
import sklearn.decomposition._nmf as theirs_nmf
import sklearn.decomposition._pca as theirs_pca
import sklearn.decomposition._truncated_svd as theirs_truncated
import sklearn.utils.extmath as theirs
from scipy.sparse.linalg import LinearOperator
from sklearn.utils import check_random_state

from lowrank_helpers import linalg, svd
from lowrank_helpers.decomposition import nmf
from lowrank_helpers.svd import block_krylov_svd, randomized_svd

ROOT = pathlib.Path(__file__).resolve().parent.parent
SUITES = {  # of scikit-learn: which tests have to do with what is ours
    "sklearn.utils.tests.test_extmath": "randomized_svd and not array_api and not sparse_warnings and not normalizer",
    "sklearn.decomposition.tests.test_truncated_svd": "",
    "sklearn.decomposition.tests.test_pca": "(randomized or arpack) and not array_api",
    "sklearn.decomposition.tests.test_nmf": "NMF or nmf",
}
EXPECTED = {  # failures that are no fault, with the reason
    r"low_rank_all_dtypes\[int": "the matrix rounds to zeros, whose U and V are arbitrary",
    r"too_many_components\[arpack": "ARPACK cannot find all singular triples, block Krylov can",
    r"n_components_greater_n_features": "a rank above min(m, n) is refused, as documented",
    r"nmf_sparse_input\[.*solver0\]": "a hundred iterations on, rounding has grown to 1e-7 of an entry near 5e-7",
    r"float32_float64_consistency\[NMF-solver0\]": "whether an extrapolation is taken back hangs on rounding",
    r"minibatchnmf_equivalence\[[12]\]": "they update W before H, and we H before W",
}
CALLS: Counter[str] = Counter()
DESCENT, MULTIPLICATIVE = theirs_nmf._fit_coordinate_descent, theirs_nmf._fit_multiplicative_update


def generator(random_state):
    """Their source of randomness as ours."""
    return np.random.default_rng(check_random_state(random_state).randint(2**31))


def randomized(
    M, n_components, *, n_oversamples=10, n_iter="auto", power_iteration_normalizer="auto", transpose="auto",
    flip_sign=True, random_state=None, svd_lapack_driver="gesdd",
):  # fmt: skip
    """Our randomized_svd with their arguments."""
    del power_iteration_normalizer, svd_lapack_driver
    if transpose is True or (transpose == "auto" and M.shape[0] < M.shape[1]):  # their rule
        V, s, Ut = randomized(
            M.T, n_components, n_oversamples=n_oversamples, n_iter=n_iter, transpose=False, flip_sign=False,
            random_state=random_state,
        )  # fmt: skip
        U, Vt = Ut.T, V.T
    else:
        if n_iter == "auto":
            n_iter = 7 if n_components < 0.1 * min(M.shape) else 4
        rank = min(n_components, *M.shape)
        CALLS["randomized_svd"] += 1
        U, s, Vt = randomized_svd(
            M, rank, oversample=n_oversamples, power_iterations=n_iter, rng=generator(random_state)
        )
    if flip_sign:
        U, Vt = theirs.svd_flip(U, Vt)
    return U, s, Vt


def krylov(A, k=6, *, tol=0, v0=None, **rest):
    """Our block_krylov_svd in the place of ARPACK: as many steps as the matrix has room for, values ascending."""
    del tol, rest
    if not isinstance(A, LinearOperator) and not scipy.sparse.issparse(A):
        A = np.asarray(A)
    block = min(max(k, 10), *A.shape)
    CALLS["block_krylov_svd"] += 1
    rng = np.random.default_rng(0 if v0 is None else np.abs(v0 * 1e6).astype(np.int64))
    U, s, Vt = block_krylov_svd(A, k, block=block, steps=-(-min(A.shape) // block) + 1, rng=rng)
    return U[:, ::-1], s[::-1], Vt[::-1]


def _ours(X, W, H, method, loss, tol, max_iter):
    CALLS[f"nmf, {method}"] += 1
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # their caller warns by itself
        found = nmf(
            X, len(H), loss=loss, method=method, init=(W, H), max_iterations=max_iter, tolerance=tol, progress=False
        )
    return found.W, found.H, len(found.objective) - 1


def descent(
    X, W, H, tol=1e-4, max_iter=200, l1_reg_W=0, l1_reg_H=0, l2_reg_W=0, l2_reg_H=0, update_H=True, **rest
):  # fmt: skip
    """Our HALS where they minimise the same."""
    if any((l1_reg_W, l1_reg_H, l2_reg_W, l2_reg_H)) or not update_H:
        return DESCENT(X, W, H, tol, max_iter, l1_reg_W, l1_reg_H, l2_reg_W, l2_reg_H, update_H, **rest)
    return _ours(X, W, H, "hals", "frobenius", tol, max_iter)


def multiplicative(
    X, W, H, beta_loss="frobenius", max_iter=200, tol=1e-4, l1_reg_W=0, l1_reg_H=0, l2_reg_W=0, l2_reg_H=0,
    update_H=True, verbose=0,
):  # fmt: skip
    """Our multiplicative updates where they minimise the same."""
    loss = {2: "frobenius", "frobenius": "frobenius", 1: "kullback-leibler", "kullback-leibler": "kullback-leibler"}
    if any((l1_reg_W, l1_reg_H, l2_reg_W, l2_reg_H)) or not update_H or beta_loss not in loss:
        return MULTIPLICATIVE(
            X, W, H, beta_loss, max_iter, tol, l1_reg_W, l1_reg_H, l2_reg_W, l2_reg_H, update_H, verbose
        )
    return _ours(X, W, H, "multiplicative", loss[beta_loss], tol, max_iter)


def pytest_configure():
    """As a plugin: put ours in the place of theirs, before their tests are imported."""
    theirs.randomized_svd = theirs._randomized_svd = randomized
    theirs_truncated._randomized_svd = theirs_pca._randomized_svd = randomized
    theirs_truncated.svds = theirs_pca.svds = krylov
    theirs_nmf._fit_coordinate_descent, theirs_nmf._fit_multiplicative_update = descent, multiplicative


def pytest_terminal_summary(terminalreporter):
    """As a plugin: say what was called."""
    terminalreporter.write_line("called: " + (", ".join(f"{name} {n}" for name, n in sorted(CALLS.items())) or "none"))


def unexplained(failed: list[str]) -> list[str]:
    """Return the failures for which `EXPECTED` has no reason."""
    return [name for name in failed if not any(re.search(pattern, name) for pattern in EXPECTED)]


def run(suite: str, chosen: str) -> tuple[str, list[str]]:
    """Run a suite of scikit-learn's; return its last lines and the tests that failed."""
    command = [
        sys.executable, "-m", "pytest", "-c", "/dev/null", "--rootdir", ROOT, "-q", "-p", "no:cacheprovider",
        "-p", "tools.peer_suites", "-k", chosen, "--tb=no", "-W", "ignore", "--pyargs", suite,
    ]  # fmt: skip
    text = subprocess.run(command, cwd=ROOT, capture_output=True, text=True).stdout
    called = re.search(r"^called: (.*)$", text, re.MULTILINE)
    last = text.strip().splitlines()[-1] if text.strip() else "nothing was run"
    if called is None or called[1] == "none":
        return last, [f"{suite} never called the book's functions"]
    return f"{last}; called: {called[1]}", re.findall(r"^(?:FAILED|ERROR) (.*?)(?: - .*)?$", text, re.MULTILINE)


def compared(A, b):
    """Yield the name of a function of ours, its answer, and what it has to be by numpy."""
    rank, s = min(A.shape), np.linalg.svd(A, compute_uv=False)
    yield "pinv", linalg.pinv(A), np.linalg.pinv(A)
    yield "truncated_svd", svd.reconstruct(svd.truncated_svd(A, rank)), A
    yield "jacobi_svd", svd.reconstruct(svd.jacobi_svd(A)), A
    yield "randomized_svd", svd.reconstruct(randomized_svd(A, rank, rng=0)), A
    yield "block_krylov_svd", svd.reconstruct(block_krylov_svd(A, rank, rng=0)), A
    yield "nuclear_norm", linalg.nuclear_norm(A), s.sum()
    yield "spectral_norm", linalg.spectral_norm(A), s[0]
    yield "numerical_rank", linalg.numerical_rank(A), np.linalg.matrix_rank(A)
    if b is not None and len(b) == len(A):
        yield "lstsq", linalg.lstsq(A, b), np.linalg.lstsq(A, b)[0]


def numpy_cases(step: int = 1) -> tuple[int, list[str]]:
    """Hold ours against numpy on each `step`-th of numpy's own cases, those that are real, not empty, not stacked."""
    from numpy.linalg.tests.test_linalg import CASES

    count, failed = 0, []
    for case in CASES[::step]:
        A, b = np.asarray(case.a), None if case.b is None else np.asarray(case.b)
        if A.dtype.kind == "c" or A.ndim != 2 or 0 in A.shape:
            continue
        relative, absolute = (1e-4, 1e-5) if A.dtype == np.float32 else (1e-10, 1e-12)
        for name, found, wanted in compared(A, b):
            count += 1
            if np.shape(found) != np.shape(wanted) or not np.allclose(found, wanted, relative, absolute):
                failed.append(f"{name} on {case.name}")
    return count, failed


def main() -> int:
    """Run all, print a line for each, and every failure with its reason or without."""
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter).parse_args()
    count, failed = numpy_cases()
    print(f"numpy's cases: {count - len(failed)} of {count} checks passed", *failed, sep="\n  ", flush=True)
    left, seen = list(failed), list(failed)
    for suite, chosen in SUITES.items():
        last, failed = run(suite, chosen)
        print(f"{suite}: {last}", flush=True)
        seen += failed
        left += unexplained(failed)
    for pattern, reason in EXPECTED.items():
        names = [name for name in seen if re.search(pattern, name)]
        print(f"{len(names)} × {pattern}: {reason}")
        left += [] if names else [f"{pattern} is expected to fail and does not"]
    print("unexplained:", *(left or ["none"]), sep="\n  ")
    return 1 if left else 0


if __name__ == "__main__":
    sys.exit(main())
