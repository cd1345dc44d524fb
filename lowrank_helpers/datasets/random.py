"""Random matrices whose rank or spectrum is known."""

from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lowrank_helpers import _checks
from lowrank_helpers._checks import Seed

FloatArray: TypeAlias = NDArray[np.float64]


def low_rank(m: int, n: int, rank: int, *, noise: float = 0.0, rng: Seed = None) -> FloatArray:
    """Return a random m×n matrix of the given rank, or one with noise on top.

    The matrix is L R / √rank, with independent standard normal entries in L (m×rank) and R (rank×n): it has that rank
    with probability 1, and entries of mean 0 and variance 1.

    Parameters
    ----------
    m, n : int
        Its shape.
    rank : int
        Between 0 (the zero matrix) and min(m, n).
    noise : float
        The standard deviation of normal noise added to every entry; above 0 the result has full rank. The same seed
        gives the same matrix under the noise, whatever its level.
    rng : None, int or numpy.random.Generator
        The source of randomness.

    Returns
    -------
    ndarray of float64, shape (m, n)

    Raises
    ------
    TypeError, ValueError
        If an argument is of the wrong kind or out of its range.

    Examples
    --------
    >>> A = low_rank(60, 40, 5, rng=0)
    >>> A.shape, np.linalg.matrix_rank(A).item()
    ((60, 40), 5)
    """
    m, n = _checks.shape(m, n)
    rank = _checks.integer(rank, 0, min(m, n), "rank", limit="min(m, n)", got=f"for shape {(m, n)}")
    noise = _checks.number(noise, "noise", least=0.0)
    generator = _checks.generator(rng)
    L, R = generator.standard_normal((m, rank)), generator.standard_normal((rank, n))
    A: FloatArray = L @ R / np.sqrt(max(rank, 1))
    return A + noise * generator.standard_normal((m, n))


def with_spectrum(s: ArrayLike, m: int, n: int, *, rng: Seed = None) -> FloatArray:
    """Return a random m×n matrix U diag(s) Vᵀ with the given singular values.

    U (m×k) and V (n×k) have orthonormal columns, drawn uniformly (Haar measure): the Q of a Gaussian matrix, with
    signs such that the diagonal of R is positive.

    Parameters
    ----------
    s : array_like, shape (k,)
        Singular values, non-negative, in descending order; k ≤ min(m, n), and those beyond k are 0.
    m, n : int
        The shape.
    rng : None, int or numpy.random.Generator
        The source of randomness.

    Returns
    -------
    ndarray of float64, shape (m, n)

    Raises
    ------
    TypeError, ValueError
        If an argument is of the wrong kind or out of its range.

    References
    ----------
    F. Mezzadri, How to generate random matrices from the classical compact groups, Notices of the AMS 54
    (2007), 592-604.

    Examples
    --------
    >>> A = with_spectrum([3, 2, 1], 6, 4, rng=0)
    >>> np.linalg.svd(A, compute_uv=False).round(6) + 0.0
    array([3., 2., 1., 0.])
    """
    m, n = _checks.shape(m, n)
    s = np.asarray(_checks.singular_values(s), dtype=np.float64)
    if s.size > min(m, n):
        raise _checks.invalid(
            f"s must have at most min(m, n) = {min(m, n)} values; got {s.size} for shape {(m, n)}. "
            "Drop the smallest ones or ask for a larger shape."
        )
    generator = _checks.generator(rng)
    U, V = _orthonormal(m, s.size, generator), _orthonormal(n, s.size, generator)
    k = _checks.excess(s)
    A: FloatArray = (U * np.ldexp(s, -k)) @ V.T
    return _checks.times_power(A, k)


def _orthonormal(m: int, k: int, generator: np.random.Generator) -> FloatArray:
    Q, R = np.linalg.qr(generator.standard_normal((m, k)))
    return Q * np.where(np.diag(R) < 0, -1.0, 1.0)
