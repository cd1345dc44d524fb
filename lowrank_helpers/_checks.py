"""The checks behind every public function: they read an argument, or say what is wrong with it.

A message names the function that was called, which is looked up when something is wrong, the rule, what came, and the
next step. Nothing is clamped, nothing is guessed, and no argument is changed: what comes back is a plain ``float32`` or
``float64`` array (``float32`` stays ``float32``; integers and booleans become ``float64``), possibly the caller's own,
so copy it before writing.
"""

import math
import operator
import os
import re
import sys
import warnings
from collections.abc import Iterator, Sequence
from numbers import Real
from pathlib import Path
from types import FrameType
from typing import Any, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

Array: TypeAlias = NDArray[np.floating[Any]]

# For type checkers: results have the dtype of an NDArray[F], and are float64 for what is read as Float64. The two are
# overloads, and no ArrayLike is among them: it would take a float32 array wherever float64 is expected of the result.
F = TypeVar("F", bound=np.floating[Any])
_Exact: TypeAlias = NDArray[np.float64 | np.integer[Any] | np.bool_]
Float64: TypeAlias = _Exact | Sequence[_Exact] | Sequence[float] | Sequence[Sequence[float]]

Seed: TypeAlias = int | np.random.Generator | None  # what `generator` reads


def _frames() -> Iterator[FrameType]:
    """The calls that are running in this package, the innermost first, up to the one from outside of it.

    Some come back to it by way of torch or of a with statement.
    """
    within = ("lowrank_helpers", "torch", "contextlib")
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and frame.f_globals.get("__name__", "").split(".")[0] in within:
        yield frame
        frame = frame.f_back


def caller() -> str:
    """The name of the public function that was called from outside of the package: whose argument, or result, it is."""
    found = ""
    for frame in _frames():
        name, this = frame.f_code.co_name, frame.f_locals.get("self")
        if re.fullmatch(r"lowrank_helpers(\.[a-z]\w*)*", frame.f_globals["__name__"]) is None:
            continue  # of a private module no function is public
        if this is not None and name in ("__init__", "__post_init__"):
            found = type(this).__name__
        elif name[0] not in "_<":
            found = name if this is None else f"{type(this).__name__}.{name}"
    return found


def named(message: str) -> str:
    """A message with the name of the function that was called in front of it."""
    name = caller()
    return f"{name}: {message}" if name else message


def invalid(message: str) -> ValueError:
    """The error for a value that is wrong."""
    return ValueError(named(message))


def mistyped(message: str) -> TypeError:
    """The error for a type that is wrong."""
    return TypeError(named(message))


def warn(message: str, category: type[Warning] = RuntimeWarning) -> None:
    """Warn at the line that called into the package."""
    warnings.warn(named(message), category, stacklevel=1 + len(list(_frames())))


def array(value: object, name: str) -> NDArray[Any]:
    """Read a dense array of any dimension and dtype."""
    if isinstance(value, np.ma.MaskedArray):
        raise mistyped(
            f"{name} must be a plain array; got a masked array, whose mask would be lost. "
            f"Fill the masked entries ({name}.filled(value)) or drop their rows first."
        )
    if isinstance(value, np.matrix):
        raise mistyped(
            f"{name} must be a plain array; got np.matrix, whose * is another product. Pass np.asarray({name})."
        )
    if hasattr(value, "toarray"):
        raise mistyped(f"{name} must be dense; got a sparse {type(value).__name__}. Pass {name}.toarray().")
    in_memory(value, name)
    try:
        read: NDArray[Any] = np.asarray(value)
    except (TypeError, ValueError, RuntimeError) as error:
        if hasattr(value, "detach"):
            raise mistyped(
                f"{name} must be what numpy can read; got a {type(value).__name__}, of which it says: "
                f"{error} Pass {name}.detach().cpu().float().numpy()."
            ) from None
        raise invalid(
            f"{name} must be a rectangular array of numbers; got a {type(value).__name__} that numpy "
            "cannot read as one. Make all rows equally long."
        ) from None
    return read


def is_dask(value: object) -> bool:
    """Whether this is a dask array; who has one has imported dask."""
    return "dask.array" in sys.modules and isinstance(value, sys.modules["dask.array"].Array)


def in_memory(value: object, name: str) -> None:
    """Refuse a dask array, which numpy would compute whole."""
    if is_dask(value):
        raise mistyped(f"{name} must be in memory; got a dask array. Pass {name}.compute(), if it fits there.")


def real_array(value: object, name: str, *, empty: bool = False) -> Array:
    """Read a finite real array of any dimension: dense, float32 or float64 in the end; ``empty`` allows no entry."""
    real = real_dtype(array(value, name), name)
    if not empty:
        not_empty(real, name)
    _finite(real, name)
    return real


def not_empty(array: Array, name: str) -> None:
    """Refuse an array without entries."""
    if array.size == 0:
        raise invalid(f"{name} must not be empty; got shape {array.shape}. Pass at least one entry.")


def real_dtype(array: NDArray[Any], name: str) -> Array:
    """Bring the dtype to float32 (kept) or float64 (float64, integers, bool); refuse every other."""
    kind, size = array.dtype.kind, array.dtype.itemsize
    if kind == "c":
        raise mistyped(
            f"{name} must be real; got dtype {array.dtype}. If the imaginary part is zero, pass np.real({name})."
        )
    if kind not in "biuf":
        raise mistyped(
            f"{name} must hold real numbers; got dtype {array.dtype}. "
            f"If it holds nothing else, pass np.array({name}, dtype=float)."
        )
    if kind == "f" and size not in (4, 8):
        raise mistyped(
            f"{name} must be of dtype float32, float64, integer or bool; got {array.dtype}. "
            f"Pass {name}.astype(np.float64)."
        )
    return array.astype(np.float32 if kind == "f" and size == 4 else np.float64, copy=False)


def _finite(array: Array, name: str) -> None:
    """Refuse NaN and infinite entries, with their number and the place of the first."""
    if np.isfinite(array).all():
        return
    bad, kind = np.isnan(array), "NaN"
    if not bad.any():
        bad, kind = np.isinf(array), "infinite"
    first = tuple(int(i) for i in np.argwhere(bad)[0])
    raise not_finite(name, kind, int(bad.sum()), str(first[0]) if len(first) == 1 else str(first))


def not_finite(name: str, kind: str, count: int, first: str) -> ValueError:
    """The error for entries that are "NaN" or "infinite": how many, and where the first of them is."""
    entries = f"1 {kind} entry, at {first}" if count == 1 else f"{count} {kind} entries, first at {first}"
    step = {
        "NaN": "Fill them in or drop their rows first.",
        "infinite": "Look for an overflow or a division by zero where they were made.",
    }[kind]
    return invalid(f"{name} has {entries}. {step}")


def exponent(*arrays: Array) -> int:
    """The k for which the largest magnitude times 2⁻ᵏ lies in [1/2, 1); 0 for zeros only.

    Scaling by 2⁻ᵏ rounds nothing but what is 2⁻ᵏ⁺¹⁰²² times smaller, and leaves room for sums and squares.
    """
    return math.frexp(max(float(np.abs(array).max()) for array in arrays))[1]


def square_limits(dtype: Any) -> tuple[float, float]:
    """The magnitudes between which the largest number of a table must lie, so that sums of squares are in range."""
    limits = np.finfo(dtype)
    return float(limits.tiny**0.5 / limits.eps), float(limits.max**0.5 * limits.eps)


def excess(array: Array, room: int | None = None) -> int:
    """The k of the least magnitude for which array · 2⁻ᵏ has room: 0 for all but the largest and smallest arrays.

    Room is this many powers of two above the largest magnitude; by default half of them, for products. Where k is 0
    not even the smallest entries are rounded.
    """
    k, most = exponent(array), np.finfo(array.dtype).maxexp
    limit = most - room if room is not None else most // 2
    return k - max(-limit, min(k, limit))


def times_power(array: NDArray[F], k: int, name: str = "the result") -> NDArray[F]:
    """Return array · 2ᵏ, or refuse what its dtype cannot hold."""
    with np.errstate(over="ignore"):
        return in_range(np.ldexp(array, k), name)


def in_range(array: NDArray[F], name: str) -> NDArray[F]:
    """Refuse a result that its dtype cannot hold."""
    if not np.isfinite(array).all():
        raise invalid(
            f"{name} must be within the range of {array.dtype}; it has entries above "
            f"{np.finfo(array.dtype).max:.1e}. Divide the input by its largest entry first."
        )
    return array


def matrix(value: object, name: str = "A", *, empty: bool = False) -> Array:
    """Read a finite real matrix: two dimensions, and unless ``empty`` at least one row and one column."""
    read = real_array(value, name, empty=empty)
    two_dimensions(read, name)
    return read


def two_dimensions(array: Array, name: str) -> None:
    """Refuse what is no matrix."""
    if array.ndim != 2:
        step = {
            1: f"For one column pass np.reshape({name}, (-1, 1)), for one row np.reshape({name}, (1, -1)).",
            0: f"For one number pass [[{name}]].",
        }.get(array.ndim, "Pass one matrix at a time.")
        raise invalid(f"{name} must be a matrix, with 2 dimensions; got {array.ndim} (shape {array.shape}). {step}")


def square(value: object, name: str = "A") -> Array:
    """Read a finite real square matrix."""
    A = matrix(value, name)
    if A.shape[0] != A.shape[1]:
        raise invalid(f"{name} must be square; got shape {A.shape}. For a system that is not square use linalg.lstsq.")
    return A


def vector(value: object, name: str = "x") -> Array:
    """Read a finite real vector: one dimension, at least one entry."""
    x = real_array(value, name)
    if x.ndim != 1:
        raise invalid(
            f"{name} must be a vector, with 1 dimension; got {x.ndim} "
            f"(shape {x.shape}). Pass np.ravel({name}) if its entries are one vector."
        )
    return x


def singular_values(value: object, name: str = "s") -> Array:
    """Read a vector of singular values: finite, non-negative, in descending order."""
    s = vector(value, name)
    if (s < 0).any():
        i = int(np.argmax(s < 0))
        raise invalid(
            f"{name} must be non-negative; got {float(s[i]):.6g} at {i}. "
            "Singular values are square roots of eigenvalues of AᵀA, not eigenvalues of A."
        )
    if (s[1:] > s[:-1]).any():
        i = int(np.argmax(s[1:] > s[:-1]))
        raise invalid(
            f"{name} must be in descending order; got {float(s[i]):.6g} before "
            f"{float(s[i + 1]):.6g} at {i}. Sort it with np.sort({name})[::-1]."
        )
    return s


def right_hand_side(value: object, rows: int, name: str, of: str = "A") -> Array:
    """Read a vector of ``rows`` entries or a matrix of ``rows`` rows."""
    b = real_array(value, name)
    if b.ndim not in (1, 2):
        raise invalid(
            f"{name} must be a vector or a matrix; got {b.ndim} dimensions "
            f"(shape {b.shape}). Put several right-hand sides side by side as columns."
        )
    if b.shape[0] != rows:
        step = f"Transpose {name}." if b.shape[-1] == rows else "Make their numbers of rows equal."
        raise invalid(f"{name} must have as many rows as {of}, {rows}; got shape {b.shape}. {step}")
    return b


def image(value: object, name: str = "image", *, color: bool = False) -> NDArray[np.uint8]:
    """Read an 8-bit picture of shape (m, n, 3), or, unless it must be in ``color``, (m, n)."""
    pixels = array(value, name)
    if pixels.dtype != np.uint8:
        raise mistyped(
            f"{name} must be uint8, from 0 to 255; got {pixels.dtype}. "
            f"Scale to 0 … 255, then np.clip(np.round({name}), 0, 255).astype(np.uint8)."
        )
    in_color = pixels.ndim == 3 and pixels.shape[2] == 3
    if pixels.size == 0 or not (in_color or (pixels.ndim == 2 and not color)):
        rule = "(m, n, 3), red, green, blue" if color else "(m, n) or (m, n, 3), and a pixel"
        step = f"a picture that is grey already needs {name} / 255" if color else "leave out what is no colour"
        raise invalid(f"{name} must have shape {rule}; got {pixels.shape}. Put the channels last; {step}.")
    return pixels


def integer(
    value: object,
    least: int,
    greatest: int | None,
    name: str,
    *,
    limit: str = "",
    got: str = "",
) -> int:
    """Read a whole number between ``least`` and ``greatest`` (None: no bound); a bool or a float is refused.

    ``limit`` names the upper bound in words ("min(m, n)"), ``got`` adds to what came ("for A of shape (3, 2)").
    """
    if not isinstance(value, int | np.integer) or isinstance(value, bool):
        raise mistyped(
            f"{name} must be an integer; got {value!r} of type {type(value).__name__}. "
            f"Pass a whole number such as {least}."
        )
    whole = int(value)
    if whole < least or (greatest is not None and whole > greatest):
        bound = f"{limit} = {greatest}" if limit else f"{greatest}"
        rule = f"at least {least}" if greatest is None else f"between {least} and {bound}"
        raise invalid(f"{name} must be {rule}; got {whole}{' ' + got if got else ''}.")
    return whole


def rank(value: object, shape: tuple[int, ...], name: str = "rank", *, of: str = "A") -> int:
    """Read a rank between 1 and min(m, n) of a matrix of this shape."""
    return integer(value, 1, min(shape), name, limit="min(m, n)", got=f"for {of} of shape {shape}")


def number(
    value: object,
    name: str,
    *,
    least: float | None = None,
    above: float | None = None,
    below: float | None = None,
    step: str = "",
) -> float:
    """Read a finite real number x with least ≤ x, above < x and x < below, as far as these are given.

    ``step`` is the next step for a number out of bounds, a sentence of its own.
    """
    if isinstance(value, bool | np.bool_) or not isinstance(value, Real):
        raise mistyped(f"{name} must be a real number; got {value!r} of type {type(value).__name__}. Pass one float.")
    try:
        x = float(value)
    except OverflowError:
        x = math.inf
    bounds = [("at least", operator.ge, least), ("above", operator.gt, above), ("below", operator.lt, below)]
    given = [(words, holds, bound) for words, holds, bound in bounds if bound is not None]
    if not math.isfinite(x) or not all(holds(x, bound) for _, holds, bound in given):
        rule = " and ".join(["finite", *(f"{words} {bound:g}" for words, _, bound in given)])
        raise invalid(f"{name} must be {rule}; got {x:g}.{' ' + step if step else ''}")
    return x


def norm_order(p: object) -> float:
    """Read the p of a p-norm: a number ≥ 1, or infinity."""
    if isinstance(p, Real) and p == math.inf:
        return math.inf
    return number(p, "p", least=1.0, step="Below 1 the triangle inequality fails; np.inf is allowed.")


def choice(value: object, options: Sequence[str], name: str) -> str:
    """Read a word out of a closed list."""
    if not isinstance(value, str) or value not in options:
        listed = ", ".join(repr(option) for option in options)
        error = ValueError if isinstance(value, str) else TypeError
        got = repr(value) if len(repr(value)) <= 60 else f"{type(value).__name__} {repr(value)[:50]}…"
        raise error(named(f"{name} must be one of {listed}; got {got}. Write one of these words."))
    return value


def text(value: object, name: str) -> str:
    """Read a string."""
    if not isinstance(value, str):
        raise mistyped(f"{name} must be a string; got {value!r} of type {type(value).__name__}. Put it in quotes.")
    return value


def folder(value: object, name: str = "folder") -> Path:
    """Read the path of a folder."""
    if not isinstance(value, str | os.PathLike) or not os.fspath(value):
        raise mistyped(f"{name} must be a path; got {value!r}. Pass a str such as 'runs/first'.")
    return Path(value)


def flag(value: object, name: str) -> bool:
    """Read True or False."""
    if not isinstance(value, bool | np.bool_):
        raise mistyped(
            f"{name} must be True or False; got {value!r} of type {type(value).__name__}. Pass one of the two."
        )
    return bool(value)


def progress_shown(progress: object) -> bool:
    """Read ``progress``: None (a bar on a terminal only), True or False."""
    if progress is None:
        return sys.stderr is not None and sys.stderr.isatty()
    return flag(progress, "progress")


def generator(rng: object) -> np.random.Generator:
    """Read ``rng``: None (fresh entropy), an int (a seed) or a numpy Generator (used as it is)."""
    if isinstance(rng, np.random.Generator):
        return rng
    if rng is None:
        return np.random.default_rng()
    if isinstance(rng, int | np.integer) and not isinstance(rng, bool):
        if rng < 0:
            raise invalid(f"rng as a seed must be at least 0; got {rng}. Pass a seed such as 0.")
        return np.random.default_rng(int(rng))
    raise mistyped(
        f"rng must be None, an int or a numpy Generator; got {type(rng).__name__}. Pass np.random.default_rng(seed)."
    )


def seed(value: object, name: str = "seed") -> int:
    """Read a seed of torch's generators."""
    return integer(value, 0, 2**63 - 1, name, limit="2⁶³ − 1")


def relative_tolerance(rtol: object, A: Array) -> float:
    """Read ``rtol``; None means max(m, n) times the machine epsilon of A's dtype."""
    if rtol is None:
        return float(max(A.shape) * np.finfo(A.dtype).eps)
    return number(rtol, "rtol", least=0.0, below=1.0, step="It is relative to the size of A.")


def shape(m: object, n: object) -> tuple[int, int]:
    """The numbers of rows and of columns, at least 1 each."""
    return integer(m, 1, None, "m"), integer(n, 1, None, "n")
