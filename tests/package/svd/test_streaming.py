"""Matrices that come in blocks of rows: one pass, merged parts, Frequent Directions, each against its bound."""

import itertools

import numpy as np
import pytest
import scipy.sparse
from hypothesis import given
from hypothesis import strategies as st

from book.margins import close, within
from lowrank_helpers.svd import (
    DirectionSketch,
    SVDFactors,
    frequent_directions,
    merge_directions,
    merge_svd,
    one_pass_svd,
    truncated_svd,
)
from lowrank_helpers.svd.streaming import _shrink


def blocks(A, *heights):
    """Rows of A, so many at a time, over and over."""
    at = 0
    for height in itertools.cycle(heights):
        if at >= len(A):
            return
        yield A[at : at + height]
        at += height


def beyond(x, limit):
    """How far x is above what it may be at most."""
    return max(float(x - limit), 0.0)


def noisy(m, n, rank, seed=0, noise=0.1):
    rng = np.random.default_rng(seed)
    return rng.standard_normal((m, rank)) @ rng.standard_normal((rank, n)) + noise * rng.standard_normal((m, n))


def tail(A, rank):
    return float(np.sqrt((np.linalg.svd(A, compute_uv=False)[rank:] ** 2).sum()))


def product(factors):
    return (factors.U * factors.s) @ factors.Vt


# one pass


@pytest.mark.parametrize("shape", [(200, 30), (30, 200), (40, 40)])
def test_a_matrix_of_low_rank_comes_back_from_one_pass(shape):
    A = noisy(*shape, rank=3, noise=0.0)
    found = one_pass_svd(blocks(A, 7, 1, 20), 3, rng=0)
    assert close(product(found), A, atol=1e-10 * np.abs(A).max())
    assert close(found.U.T @ found.U, np.eye(3), atol=1e-12) and close(found.Vt @ found.Vt.T, np.eye(3), atol=1e-12)


def test_one_pass_keeps_within_its_expectation():
    A, rank, surplus = noisy(300, 80, 10, noise=0.3), 10, 10
    squares = [np.linalg.norm(A - product(one_pass_svd(A, rank, oversample=surplus, rng=i))) ** 2 for i in range(30)]
    assert tail(A, rank) ** 2 < np.mean(squares)
    assert np.mean(squares) < 2 * (1 + rank / (surplus - 1)) * tail(A, rank) ** 2


def test_how_rows_are_cut_changes_one_pass_by_rounding():
    A = noisy(90, 40, 5)
    whole, cut = (product(one_pass_svd(given, 5, rng=3)) for given in (A, list(blocks(A, 1, 13, 30))))
    assert close(whole, cut, atol=1e-9)
    assert not close(whole, product(one_pass_svd(A, 5, rng=4)), atol=1e-6)


def test_one_pass_reads_every_block_once_and_sparse_ones_too():
    A = np.where(np.arange(600).reshape(60, 10) % 7 == 0, 1.0, 0.0) * np.arange(1.0, 11.0) ** 2
    read = []
    given = (read.append(len(b)) or scipy.sparse.csr_array(b) for b in blocks(A, 25))
    found = one_pass_svd(given, 4, rng=0)
    assert read == [25, 25, 10]
    assert close(product(found), product(one_pass_svd(A, 4, rng=0)), atol=1e-9)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_dtypes_stay(dtype):
    A = noisy(50, 20, 3).astype(dtype)
    parts = [truncated_svd(half, 3) for half in (A[:20], A[20:])]
    found = [*one_pass_svd(A, 3, rng=0), *merge_svd(parts, 3), frequent_directions(A, 6).B]
    assert {part.dtype for part in found} == {np.dtype(dtype)}


# merging


def test_parts_that_are_whole_merge_into_the_svd():
    A = noisy(70, 25, 25)
    found = merge_svd([truncated_svd(block, min(block.shape)) for block in blocks(A, 10, 30)], 25)
    assert close(found.s, np.linalg.svd(A, compute_uv=False), atol=1e-12 * found.s[0])
    assert close(product(found), A, atol=1e-12 * found.s[0]) and close(found.U.T @ found.U, np.eye(25), atol=1e-12)


def tree(A, rank, levels):
    """The SVD of A merged in a binary tree of so many levels, each truncated."""
    if levels == 1:
        return truncated_svd(A, min(rank, *A.shape))
    half = len(A) // 2
    return merge_svd([tree(A[:half], rank, levels - 1), tree(A[half:], rank, levels - 1)], rank)


@given(st.integers(0, 10_000), st.integers(2, 4), st.integers(1, 6))
def test_a_tree_loses_at_most_the_root_of_its_levels(seed, levels, rank):
    A = np.random.default_rng(seed).standard_normal((64, 12)) * np.arange(1, 13) ** -1.0
    error, least = np.linalg.norm(A - product(tree(A, rank, levels))), tail(A, rank)
    assert within(beyond(least, error) / least, 1e-9) and within(beyond(error, levels**0.5 * least) / least, 1e-9)


def test_left_vectors_belong_to_their_blocks():
    parts = [SVDFactors(np.eye(2)[:, :1], np.array([s]), np.eye(3)[i : i + 1]) for i, s in enumerate((2.0, 5.0))]
    found = merge_svd(parts, 2)
    assert np.abs(found.U).tolist() == [[0, 1], [0, 0], [1, 0], [0, 0]] and found.s.tolist() == [5, 2]


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ([], "pieces must be a list of one or more SVDFactors"),
        ([np.eye(2)], "pieces must be a list of one or more SVDFactors"),
        ([(np.eye(2), np.ones(1), np.eye(2))], "of one decomposition"),
        ([truncated_svd(np.eye(2), 1), truncated_svd(np.eye(3), 1)], "must have 2 columns"),
    ],
)
def test_parts_refused(parts, message):
    with pytest.raises((TypeError, ValueError), match=message):
        merge_svd(parts, 1)


# frequent directions


def difference(A, sketch):
    """The least and the greatest eigenvalue of AᵀA − BᵀB, over ‖A‖₂²."""
    found = np.linalg.eigvalsh(A.T @ A - sketch.B.T @ sketch.B) / np.linalg.norm(A, 2) ** 2
    return found[0], found[-1]


@given(st.integers(0, 10_000), st.integers(1, 25), st.sampled_from([(1,), (3, 17), (200,)]))
def test_directions_keep_their_bound(seed, size, heights):
    rng = np.random.default_rng(seed)
    A = rng.standard_normal((120, 15)) * rng.permutation(np.arange(1, 16) ** -1.5)
    sketch = frequent_directions(blocks(A, *heights), size)
    least, greatest = difference(A, sketch)
    loss = (sketch.loss / np.linalg.norm(A, 2)) ** 2
    promised = min(tail(A, k) ** 2 / (size - k) for k in range(min(size, 15))) / np.linalg.norm(A, 2) ** 2
    assert within([beyond(0, least), beyond(greatest, loss), beyond(loss, promised)], 1e-12)
    assert len(sketch.B) <= size and sketch.rows == 120


def test_the_known_loss_is_close_to_the_true_one():
    A = noisy(3000, 80, 20)
    sketch = frequent_directions(A, 30)
    _, greatest = difference(A, sketch)
    known = (sketch.loss / np.linalg.norm(A, 2)) ** 2
    assert 0.1 * known < greatest and within(beyond(greatest, known) / known, 1e-9)


def test_k_counts_in_the_bound():
    """With ‖A − A_k‖_F²/ℓ in place of ‖A − A_k‖_F²/(ℓ − k), the promise would be false."""
    A = np.vstack([np.eye(6)] * 40)
    sketch = frequent_directions(A, 6)
    assert difference(A, sketch)[1] * np.linalg.norm(A, 2) ** 2 > tail(A, 5) ** 2 / 6


def test_cutting_rows_off_is_no_substitute():
    """Keeping the leading rows as they are loses a direction that is always the smallest, and knows nothing of it."""
    A = np.vstack([np.eye(6)[:5], np.tile(0.9 * np.eye(6)[5], (600, 1))])
    cut = np.zeros((0, 6))
    for block in blocks(A, 1):
        _, s, Vt = np.linalg.svd(np.vstack([cut, block]), full_matrices=False)
        cut = (s[:, None] * Vt)[:5]
    greatest = difference(A, DirectionSketch(cut, 0.0, 605))[1]
    assert greatest > 0.9 and difference(A, frequent_directions(A, 5))[1] < 0.01


def test_few_rows_are_kept_as_they_are():
    A = noisy(5, 9, 2)
    sketch = frequent_directions([A[:2], A[2:]], 5)
    assert np.array_equal(sketch.B, A) and sketch.loss == 0


def test_going_on_and_merging_keep_the_bound_of_the_whole():
    A = noisy(400, 30, 6, noise=1.0)
    halves = [frequent_directions(blocks(half, 33), 12) for half in (A[:150], A[150:])]
    merged, resumed = merge_directions(*halves, 12), frequent_directions(A[150:], 12, sketch=halves[0])
    for sketch in (merged, resumed):
        least, greatest = difference(A, sketch)
        loss = (sketch.loss / np.linalg.norm(A, 2)) ** 2
        promised = min(tail(A, k) ** 2 / (12 - k) for k in range(12)) / np.linalg.norm(A, 2) ** 2
        assert within([beyond(0, least), beyond(greatest, loss), beyond(loss, promised)], 1e-12) and sketch.rows == 400
    assert merged.loss > np.hypot(halves[0].loss, halves[1].loss)


def test_shrinking_needs_no_room_for_squares():
    rows = np.random.default_rng(0).standard_normal((8, 5))
    kept, taken = _shrink(rows, 3)
    great, much = _shrink(rows * 2.0**1000, 3)
    assert close(np.ldexp(great, -1000), kept, atol=1e-13) and close(much / 2.0**1000, taken, atol=1e-13)


def test_sparse_rows_are_rows():
    A = np.where(np.arange(900).reshape(90, 10) % 7 < 2, 1.0, 0.0)
    sparse = [scipy.sparse.csc_array(block) for block in blocks(A, 20)]
    dense = frequent_directions(blocks(A, 20), 4)
    assert close(frequent_directions(sparse, 4).loss, dense.loss, atol=1e-12)


@pytest.mark.parametrize("function", [lambda b: one_pass_svd(b, 1, rng=0), lambda b: frequent_directions(b, 2)])
@pytest.mark.parametrize(
    ("given", "message"),
    [
        (lambda: iter([]), "at least one block"),
        (lambda: [np.ones((2, 3)), np.ones((2, 4))], r"blocks\[1\] must have 3 columns"),
        (lambda: [np.ones((2, 3)), np.full((2, 3), np.nan)], r"blocks\[1\] has 6 NaN"),
    ],
)
def test_blocks_refused(function, given, message):
    with pytest.raises(ValueError, match=message):
        function(given())


def test_a_rank_above_the_rows_is_refused_after_the_pass():
    with pytest.raises(ValueError, match="rank must be between 1 and min"):
        one_pass_svd(blocks(np.ones((3, 9)), 1), 4, rng=0)
