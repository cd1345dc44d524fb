"""Every public function of the package with a right call: what the tests that sweep over all of them read.

A function is added in three lines:

    Row(linalg.tikhonov, "m/a", {"A": matrix(TALL, "a"), "M": matrix(TALL, "m"), "lam": scalar(0.1, "aa")}),

Its arrays are slots: a value in float64, a unit, and what else the function asks of it. Units are those of physics. If
A is measured in a, and M in m, then lam, which is added to AᵀA, is in a², and the answer in m/a. So A times 2 with lam
times 4 has to give half of the answer, and M times 2 twice the answer: `test_scale.py` asks for that over the whole
range of numbers. An answer of several parts has a unit for each; None is a part, or an answer, of which that is not
promised. `test_determinism.py` asks all functions for the same bits again, `test_inputs.py` puts every kind of array
into every slot, and `test_misuse.py` garbage into every argument. What an option that is a number may be stands in
`LIMITS` under its name, or in the row where it is another: limits={"rank": "[1, min(m, n) = 4]"}.
"""

import atexit
import copy
import dataclasses
import inspect
import itertools
import pickle
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import dask.array
import numpy as np
import scipy.sparse
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lowrank_helpers import (
    attention,
    completion,
    compression,
    costs,
    datasets,
    decomposition,
    linalg,
    lora,
    plotting,
    results,
    svd,
    training,
    widgets,
)


class Slot(NamedTuple):
    """An argument that is an array.

    ``rule`` is what the function asks for: a "matrix", "vector", "right side" (either, with as many rows as the
    matrix), "square", "spectrum" (descending, not negative), "symmetric" matrix (positive definite), "lower" or "upper"
    triangle, "orthonormal" columns, "counts" (not negative), a "table" (with holes: NaN, or not stored), "places"
    (whole numbers), an "image" (bytes), a "picture" (shares of white), a "tensor" of torch. ``sparse`` says what a
    sparse matrix stands for in its place: "sums" of what is stored for an entry, "observations", of which an entry has
    at most one, or nothing: it is refused. ``dask`` says whether a dask array is taken.
    """

    value: Any
    unit: str
    rule: str
    sparse: str = ""
    dask: bool = False


class Scalar(NamedTuple):
    """An option with a unit, or a list of such."""

    value: Any
    unit: str


class Result(NamedTuple):
    """What another function returned, taken as it is, with the units of its parts."""

    value: Any
    units: Mapping[str, str | None]


class Made(NamedTuple):
    """An argument that the function changes, or a folder it writes into: made anew for each call."""

    make: Callable[[], Any]


def matrix(value, unit="", rule="matrix", *, sparse="", dask=False):
    return Slot(value, unit, rule, sparse, dask)


def vector(value, unit="", rule="vector"):
    return Slot(np.asarray(value, dtype=float), unit, rule)


def spectrum(value, unit=""):
    return vector(value, unit, "spectrum")


def places(*value):
    return Slot(np.array(value), "", "places")


def tensor(value, unit=""):
    return Slot(torch.tensor(value), unit, "tensor")


def scalar(value, unit):
    return Scalar(value, unit)


def fields(value) -> dict[str, Any]:
    """The parts of a result, by name."""
    return value._asdict() if hasattr(value, "_asdict") else vars(value)


def changed(leaf, change: Callable[[Any, str | None], Any]) -> Any:
    """The value of a slot, a scalar or a result with change(value, unit) for each of its numbers and arrays."""
    if isinstance(leaf, Result):
        return type(leaf.value)(**{name: change(x, leaf.units.get(name)) for name, x in fields(leaf.value).items()})
    return change(leaf.value, leaf.unit)


def parts(answer) -> dict[str, Any]:
    """What two answers are compared by. Factors that a method is free to turn or to scale are multiplied out."""
    if isinstance(answer, completion.Completion):
        biases = answer.mean + answer.row_bias[:, None] + answer.column_bias
        return {"table": biases + answer.W @ answer.H, "objective": answer.objective, "converged": answer.converged}
    if isinstance(answer, completion.BayesianCompletion):
        mean, row_bias, column_bias, W = (
            part / 4 for part in (answer.mean, answer.row_bias, answer.column_bias, answer.W)
        )
        quarter = mean + row_bias[:, :, None] + column_bias[:, None] + W @ answer.H
        with np.errstate(over="ignore"):  # a draw may lie above a table that ends at the range, and no part of its sum
            tables = 4 * quarter
        return {"tables": tables, "noise": answer.noise, "residual": answer.residual}
    if isinstance(answer, decomposition.NMFResult):
        return {"product": answer.W @ answer.H} | {
            name: getattr(answer, name) for name in ("objective", "stationarity", "converged")
        }
    if isinstance(answer, svd.SVDFactors):
        return svd.fix_signs(answer)._asdict()
    if dataclasses.is_dataclass(answer):
        return {field.name: getattr(answer, field.name) for field in dataclasses.fields(answer)}
    if hasattr(answer, "_asdict"):
        return answer._asdict()
    if isinstance(answer, list):
        return {f"{name} {i}": part for i, one in enumerate(answer) for name, part in parts(one).items()}
    return {"": answer}


#: Between what an option of this name lies. A word before the equals sign is how messages call the upper end.
LIMITS = dict.fromkeys(
    """
    m n rank k block heads kv_heads head_dim latent_dim elements layers width hidden tokens bits vocabulary bottleneck
    steps max_iterations max_sweeps max_epochs batch_size accumulate evaluate_every save_every log_every keep length
    probes max_rank
    """.split(),
    "[1, inf)",
) | {
    **dict.fromkeys("oversample power_iterations burn_in rope_dim start step warmup".split(), "[0, inf)"),
    **dict.fromkeys("penalty noise weight_decay final_learning_rate temperature implicit_features".split(), "[0, inf)"),
    **dict.fromkeys("learning_rate alpha clip scale".split(), "(0, inf)"),
    **dict.fromkeys("rtol tolerance dropout".split(), "[0, 1)"),
    "p": "[1, inf]",
    "seed": "[0, 2⁶³ − 1 = 9223372036854775807]",
}  # fmt: skip


@dataclasses.dataclass(frozen=True, eq=False)
class Row:
    """A function, the unit of its answer or of each part, and right arguments, by name.

    ``note`` tells rows of one function apart. ``large`` is a shape from which on the function computes its first slot
    by other means. ``read`` turns the answer into parts. ``limits`` are those of options that differ from `LIMITS`.
    """

    function: Callable[..., Any]
    answer: str | Mapping[str, str | None] | None
    arguments: Mapping[str, Any]
    note: str = ""
    large: tuple[int, int] | None = None
    read: Callable[[Any], dict[str, Any]] = parts
    limits: Mapping[str, str] = dataclasses.field(default_factory=dict)

    @property
    def name(self) -> str:
        return self.function.__name__

    @property
    def id(self) -> str:
        """The function's name with its module, where two have one name, and the note."""
        module = {decomposition.reconstruct: "pca.", results.load: "results."}.get(self.function, "")
        return module + self.name + (f", {self.note}" if self.note else "")

    @property
    def slots(self) -> list[tuple[str, Slot]]:
        """The slots by the names that messages use; of a tuple of arrays, each of them."""
        return list(_slots(self.arguments))

    def built(self, prepare: Callable[[Any], Any] = lambda leaf: leaf.value) -> dict[str, Any]:
        """The arguments of a call: slots, scalars and results as ``prepare`` makes them of themselves, and rng=0."""
        arguments = {name: _built(argument, prepare) for name, argument in self.arguments.items()}
        if "rng" in inspect.signature(self.function).parameters:
            arguments.setdefault("rng", 0)
        return arguments


def _slots(arguments: Mapping[str, Any]) -> Iterator[tuple[str, Slot]]:
    for name, argument in arguments.items():
        if isinstance(argument, Slot):
            yield name, argument
        elif isinstance(argument, tuple) and not isinstance(argument, Scalar | Result | Made):
            names = getattr(argument, "_fields", [f"{name}[{i}]" for i in range(len(argument))])
            yield from _slots(dict(zip(names, argument, strict=True)))


def _built(argument: Any, prepare: Callable[[Any], Any]) -> Any:
    if isinstance(argument, Made):
        return argument.make()
    if isinstance(argument, Slot | Scalar | Result):
        return prepare(argument)
    if isinstance(argument, tuple):
        made = [_built(part, prepare) for part in argument]
        return type(argument)(*made) if hasattr(argument, "_fields") else tuple(made)
    return argument


def snapshot(value: Any) -> Any:
    """What was given, so that a change shows: of a sparse matrix what it stores, not what it notes about that."""
    if isinstance(value, dict):
        return {name: snapshot(part) for name, part in value.items()}
    if isinstance(value, torch.nn.Module):
        modules = [(name, id(module), type(module), module.training) for name, module in value.named_modules()]
        parameters = [
            (name, id(x), x.requires_grad, x.grad is None, None if x.is_meta else pickle.dumps(x.detach().numpy()))
            for name, x in value.named_parameters()
        ]
        return modules, parameters
    if isinstance(value, Axes):
        return [repr(artist) for artist in value.get_children()], value.get_yscale(), value.axison
    if isinstance(value, Path):
        return [(path, path.read_bytes() if path.is_file() else None) for path in sorted(value.rglob("*"))]
    if isinstance(value, dask.array.Array):  # it notes its shape when it is asked for it
        return value.name, value.chunks, pickle.dumps(value.compute())
    if scipy.sparse.issparse(value) and value.format != "dok":
        value = [getattr(value, name, None) for name in ("data", "indices", "indptr", "coords", "offsets", "rows")]
    return repr(value) if inspect.ismodule(value) or inspect.isclass(value) else pickle.dumps(value)


# ------------------------------------------------------------------------------------------------------- right values

RNG = np.random.default_rng(70)
TALL, RIGHT, INPUTS = (RNG.standard_normal(shape) for shape in ((7, 4), (7, 2), (9, 4)))
SQUARE = RNG.standard_normal((5, 5))
LOWER = np.tril(SQUARE) + 3 * np.eye(5)
DEFINITE = np.round(SQUARE @ SQUARE.T, 3) + np.eye(5)
SPECTRUM = [3.0, 2.0, 1.0, 0.5]
ORTHONORMAL = np.linalg.qr(TALL)[0]
COUNTS = RNG.poisson(2.0, (8, 6)).astype(float)
POSITIVE = RNG.random((8, 6)) + 0.1
TABLE = np.outer(np.append(0.0, RNG.random(11) + 0.5), RNG.random(9) + 0.5) + 0.01 * RNG.standard_normal((12, 9))
TABLE[RNG.random(TABLE.shape) < 0.3] = np.nan
TABLE[0, 0] = 0.0  # seen
SEEN = Slot(TABLE, "a", "table", "observations")
PICTURE = RNG.integers(0, 256, (16, 20), dtype=np.uint8)

SVD = {"U": "", "s": "a", "Vt": ""}
PROJECTED = {"U": None, "s": "a", "Vt": None}  # of each pair either sign is as good
PCA = {"scores": "a", "components": "", "variances": "aa", "ratios": "", "mean": "a", "scale": "", "whitened": ""}
LATENT = {"documents": "a", "s": "a", "Vt": ""}
COMPLETED = {"table": "a", "objective": "aa", "converged": ""}
FACTORED = {"product": "a", "objective": "aa", "stationarity": "", "converged": ""}
ROBUST = {
    "L": "a", "S": "a", "rank": "", "penalty": "", "objective": "a", "gap": "", "residual": "", "converged": "",
}  # fmt: skip

TRIPLE = svd.SVDFactors(matrix(ORTHONORMAL[:, :3]), vector(SPECTRUM[:3], "a"), matrix(np.eye(3)))
PERM, L, U = linalg.lu(SQUARE)
FACTORS = linalg.LU(places(*PERM), matrix(L, rule="lower"), matrix(U, "a", "upper"))
FITTED = completion.als_complete(TABLE, 1, penalty=0.1, tolerance=1e-4)
FIT = Result(
    dataclasses.replace(FITTED, row_bias=np.arange(12.0), column_bias=np.arange(9.0), mean=1.5),
    {"W": "w", "H": "h", "row_bias": "wh", "column_bias": "wh", "mean": "wh", "objective": None, "converged": ""},
)
DRAWS = Result(
    completion.bayesian_complete(TABLE, 1, draws=4, rng=0),
    {"W": "w", "H": "h", "row_bias": "wh", "column_bias": "wh", "mean": "wh", "noise": "wh", "residual": "wh",
     "converged": ""},
)  # fmt: skip


def axes():
    return Figure().subplots()


def drawn(ax: Axes) -> dict[str, Any]:
    """What stands on axes: the points of lines, the pixels of images, the corners of boxes."""
    return {
        "lines": [line.get_xydata().tolist() for line in ax.lines],
        "images": [np.asarray(image.get_array()).tolist() for image in ax.images],
        "boxes": [box.get_bbox().bounds for box in ax.patches],
    }


# -------------------------------------------------------------------------------------------- the functions of arrays

ARRAYS = [
    Row(linalg.vector_norm, "a", {"x": vector(SPECTRUM, "a")}),
    Row(linalg.vector_norm, "a", {"x": vector(SPECTRUM, "a"), "p": 3.5}, "p = 3.5"),
    Row(linalg.frobenius_norm, "a", {"A": matrix(TALL, "a")}),
    Row(linalg.spectral_norm, "a", {"A": matrix(TALL, "a")}),
    Row(linalg.nuclear_norm, "a", {"A": matrix(TALL, "a")}),
    Row(linalg.numerical_rank, "", {"A": matrix(TALL, "a")}),
    Row(linalg.rank_factorization, {"C": "a", "R": ""}, {"A": matrix(TALL, "a")}),
    Row(linalg.pinv, "/a", {"A": matrix(TALL, "a")}),
    Row(linalg.lstsq, "m/a", {"A": matrix(TALL, "a"), "M": matrix(RIGHT, "m", "right side")}),
    Row(
        linalg.tikhonov,
        "m/a",
        {"A": matrix(TALL, "a"), "M": matrix(RIGHT, "m", "right side"), "lam": scalar(0.1, "aa")},
        limits={"lam": "(0, inf)"},
    ),
    Row(costs.factor_parameters, "", {"m": 5, "n": 4, "rank": 2}, limits={"rank": "[0, inf)"}),
    Row(costs.break_even_rank, "", {"m": 5, "n": 4}),
    Row(linalg.degrees_of_freedom, "", {"m": 5, "n": 4, "rank": 2}, limits={"rank": "[0, min(m, n) = 4]"}),
    Row(linalg.householder_qr, {"Q": "", "R": "a"}, {"A": matrix(TALL, "a")}),
    Row(linalg.lu, {"perm": "", "L": "", "U": "a"}, {"A": matrix(SQUARE, "a", "square")}),
    Row(linalg.cholesky, "a", {"A": matrix(DEFINITE, "aa", "symmetric")}),
    Row(linalg.solve_lower, "m/a", {"L": matrix(LOWER, "a", "lower"), "b": matrix(SQUARE, "m", "right side")}),
    Row(linalg.solve_upper, "m/a", {"U": matrix(LOWER.T, "a", "upper"), "b": matrix(SQUARE, "m", "right side")}),
    Row(linalg.lu_solve, "m/a", {"factors": FACTORS, "b": matrix(SQUARE, "m", "right side")}),
    Row(svd.truncated_svd, SVD, {"A": matrix(TALL, "a"), "rank": 2}, limits={"rank": "[1, min(m, n) = 4]"}),
    Row(svd.reconstruct, "a", {"factors": TRIPLE}),
    Row(svd.fix_signs, SVD, {"factors": TRIPLE}),
    Row(svd.jacobi_svd, SVD, {"A": matrix(TALL, "a")}, limits={"tol": "(0, 1)"}),
    Row(
        svd.worked_svd,
        {"gram": "aa", "eigenvalues": "aa", "V": "", "s": "a", "U": ""},
        {"A": matrix(RIGHT, "a")},
    ),
    Row(svd.energy, "", {"s": spectrum(SPECTRUM, "a")}),
    Row(svd.tail_error, "a", {"s": spectrum(SPECTRUM, "a"), "rank": 1}, limits={"rank": "[0, len(s) = 4]"}),
    Row(svd.tail_error, "a", {"s": spectrum(SPECTRUM, "a"), "rank": 1, "norm": "nuclear"}, "nuclear"),
    Row(svd.rank_for_error, "", {"s": spectrum(SPECTRUM, "a"), "tolerance": 0.4}),
    Row(
        svd.rank_for_error,
        "",
        {"s": spectrum(SPECTRUM, "a"), "tolerance": scalar(1.2, "a"), "relative": False},
        "absolute",
    ),
    Row(linalg.schatten_norm, "a", {"A": matrix(TALL, "a"), "p": 3}),
    Row(linalg.ky_fan_norm, "a", {"A": matrix(TALL, "a"), "k": 2}, limits={"k": "[1, min(m, n) = 4]"}),
    Row(
        svd.randomized_svd,
        PROJECTED,
        {"A": matrix(TALL, "a", sparse="sums", dask=True), "rank": 2, "oversample": 1},
        limits={"rank": "[1, min(m, n) = 4]"},
    ),
    Row(
        svd.block_krylov_svd,
        PROJECTED,
        {"A": matrix(TALL, "a", sparse="sums", dask=True), "rank": 2, "block": 2},
        limits={"rank": "[1, min(m, n) = 4]", "block": "[1, min(m, n) = 4]"},
    ),
    Row(
        svd.estimate_error,
        "a",
        {"A": matrix(TALL, "a", sparse="sums", dask=True), "Q": matrix(ORTHONORMAL[:, :2], rule="orthonormal")},
    ),
    Row(
        svd.one_pass_svd,
        PROJECTED,
        {"blocks": matrix(TALL, "a", sparse="sums"), "rank": 2, "oversample": 1},
        limits={"rank": "[1, min(m, n) = 4]"},
    ),
    Row(
        svd.merge_svd,
        None,
        {"pieces": [svd.truncated_svd(TALL[:3], 2), svd.truncated_svd(TALL[3:], 2)], "rank": 2},
        limits={"rank": "[1, min(m, n) = 4]"},
    ),
    Row(
        svd.frequent_directions,
        {"B": "a", "loss": "a", "rows": ""},
        {"blocks": matrix(TALL, "a", sparse="sums"), "size": 3},
        limits={"size": "[1, inf)"},
    ),
    Row(
        svd.merge_directions,
        {"B": "a", "loss": "a", "rows": ""},
        {
            "first": Result(svd.frequent_directions(TALL[:4], 3), {"B": "a", "loss": "a", "rows": None}),
            "second": Result(svd.frequent_directions(TALL[4:], 3), {"B": "a", "loss": "a", "rows": None}),
            "size": 3,
        },
        limits={"size": "[1, inf)"},
    ),
    Row(
        decomposition.pca,
        PCA,
        {"X": matrix(TALL, "a", dask=True), "rank": 2},
        limits={"rank": "[1, min(m − 1, n) = 4]"},
    ),
    Row(
        decomposition.pca,
        PCA | {"scores": "", "variances": "", "scale": "a"},
        {"X": matrix(TALL, "a", dask=True), "rank": 2, "scale": True, "whiten": True},
        "scaled, whitened",
    ),
    Row(decomposition.project, "a", {"result": Result(decomposition.pca(TALL, 2), PCA), "X": matrix(INPUTS, "a")}),
    Row(
        decomposition.reconstruct,
        "a",
        {"result": Result(decomposition.pca(TALL, 2), PCA), "scores": matrix(RIGHT, "a")},
    ),
    Row(
        decomposition.lsa,
        LATENT,
        {"X": matrix(TALL, "a", sparse="sums"), "rank": 2},
        limits={"rank": "[1, min(m, n) = 4]", "steps": "[8, inf)"},
    ),
    Row(
        decomposition.fold_in,
        "a",
        {"space": Result(decomposition.lsa(TALL, 2, rng=0), LATENT), "X": matrix(INPUTS, "a", sparse="sums")},
    ),
    Row(decomposition.optimal_rank, "", {"s": spectrum(SPECTRUM, "a"), "shape": (4, 9)}, limits={"noise": "(0, inf)"}),
    Row(
        decomposition.optimal_rank,
        "",
        {"s": spectrum(SPECTRUM, "a"), "shape": (4, 9), "noise": scalar(0.2, "a")},
        "noise",
    ),
    Row(
        decomposition.optimal_threshold,
        "a",
        {"s": spectrum(SPECTRUM, "a"), "shape": (4, 9)},
        limits={"noise": "(0, inf)"},
    ),
    Row(
        decomposition.optimal_threshold,
        "a",
        {"s": spectrum(SPECTRUM, "a"), "shape": (4, 9), "noise": scalar(0.2, "a")},
        "noise",
    ),
    Row(decomposition.marchenko_pastur_median, "", {"beta": 0.5}, limits={"beta": "(0, 1]"}),
    Row(
        decomposition.robust_pca,
        ROBUST,
        {"A": matrix(TALL, "a"), "tolerance": 1e-4},
        limits={"penalty": "(0, inf)", "tolerance": "[1e-10, 1)"},
    ),
    Row(
        decomposition.singular_value_threshold,
        "a",
        {"A": matrix(TALL, "a"), "level": scalar(0.7, "a")},
        limits={"level": "[0, inf)"},
    ),
    Row(
        decomposition.nmf,
        FACTORED,
        {"A": matrix(POSITIVE, "a", "counts", sparse="sums"), "rank": 2},
        large=(320, 310),
        limits={"rank": "[1, min(m, n) = 6]"},
    ),
    Row(
        decomposition.nmf,
        FACTORED | {"objective": "a"},
        {"A": matrix(COUNTS, "a", "counts", sparse="sums"), "rank": 2, "loss": "kullback-leibler", "tolerance": 1e-2},
        "kullback-leibler",
    ),
    Row(
        decomposition.nmf,
        FACTORED,
        {
            "A": matrix(POSITIVE, "a", "counts", sparse="sums"),
            "rank": 2,
            "method": "multiplicative",
            "init": "random",
            "tolerance": 1e-2,
        },
        "multiplicative, random",
    ),
    Row(
        decomposition.nmf,
        FACTORED | {"product": "wh", "objective": "whwh"},
        {
            "A": matrix(POSITIVE, "wh", "counts", sparse="sums"),
            "rank": 2,
            "init": (matrix(POSITIVE[:, :2], "w", "counts"), matrix(POSITIVE[:2], "h", "counts")),
        },
        "given start",
    ),
    Row(
        completion.als_complete,
        COMPLETED,
        {
            "A": SEEN,
            "rank": 1,
            "penalty": scalar(0.1, "a"),
            "tolerance": 1e-4,
        },
        limits={"rank": "[1, min(m, n) = 9]"},
    ),
    Row(
        completion.als_complete,
        COMPLETED,
        {"A": SEEN, "rank": 1, "biases": True, "tolerance": 1e-2},
        "biases",
    ),
    Row(
        completion.als_complete,
        None,  # the table of what was seen has no unit
        {
            "A": SEEN,
            "rank": 1,
            "penalty": 0.1,
            "weighted": True,
            "implicit_features": 0.5,
            "tolerance": 1e-4,
        },
        "implicit features",
    ),
    Row(
        completion.sgd_complete,
        None,  # its start and its learning rate are for entries of the size of stars
        {"A": SEEN, "rank": 1, "penalty": 0.1, "max_epochs": 300},
        limits={"rank": "[1, min(m, n) = 9]"},
    ),
    Row(
        completion.soft_impute,
        COMPLETED,
        {"A": SEEN, "penalty": scalar(0.5, "a"), "tolerance": 1e-2},
        large=(40, 36),
        limits={"penalty": "(0, inf)", "tolerance": "(0, 1)"},
    ),
    Row(
        completion.soft_impute_path,
        {f"{part} {i}": unit for i in range(2) for part, unit in COMPLETED.items()},
        {"A": SEEN, "penalties": scalar([2.0, 0.5], "a"), "tolerance": 1e-2},
        limits={"tolerance": "(0, 1)"},
    ),
    Row(
        completion.implicit_als,
        {"table": "", "objective": "", "converged": ""},
        {"C": matrix(COUNTS, "a", "counts", sparse="observations"), "rank": 2, "confidence": scalar(2.0, "/a")},
        limits={"rank": "[1, min(m, n) = 6]", "penalty": "(0, inf)", "confidence": "[0, inf)"},
    ),
    Row(
        completion.bayesian_complete,
        {"tables": "a", "noise": "a", "residual": "a"},
        {"A": SEEN, "rank": 1, "draws": 4, "burn_in": 2},
        limits={"rank": "[1, min(m, n) = 9]", "draws": "[2, inf)"},
    ),
    Row(completion.predict, "wh", {"result": FIT, "rows": places(3, 1, 4), "columns": places(5, 1, 2)}),
    Row(
        completion.predict_interval,
        {"mean": "wh", "lower": "wh", "upper": "wh"},
        {"result": DRAWS, "rows": places(3, 1, 4), "columns": places(5, 1, 2)},
        limits={"level": "(0, 1)"},
    ),
    Row(
        compression.activation_aware_factor,
        {"A": "", "B": "w", "s": "wx"},
        {"W": matrix(SQUARE[:, :4], "w"), "rank": 2, "inputs": matrix(INPUTS, "x")},
        limits={"rank": "[1, min(m, n) = 4]"},
    ),
    Row(
        compression.activation_aware_factor,
        {"A": "", "B": "w", "s": "wx"},
        {"W": matrix(SQUARE, "w"), "rank": 2, "gram": matrix(DEFINITE, "xx", "symmetric")},
        "gram",
    ),
    Row(costs.layer_cost, {"flops": "", "bytes": "", "intensity": ""}, {"m": 5, "n": 4, "rank": 2}),
    Row(datasets.load, None, {"name": "karate"}),
    Row(datasets.low_rank, None, {"m": 6, "n": 5, "rank": 2, "noise": 0.1}, limits={"rank": "[0, min(m, n) = 5]"}),
    Row(datasets.with_spectrum, "a", {"s": spectrum(SPECTRUM, "a"), "m": 6, "n": 5}),
    Row(datasets.gray, None, {"image": Slot(np.stack([PICTURE] * 3, axis=2), "", "image")}),
    Row(results.names, None, {}),
    Row(results.load, None, {"name": "nmf"}),
    Row(
        widgets.rank_slider,
        None,
        {"image": Slot(PICTURE, "", "image"), "max_rank": 4, "start": 2},
        limits={"max_rank": "[1, its smaller side = 16]", "start": "[1, max_rank = 4]"},
    ),
    Row(
        plotting.matrix_shapes,
        None,
        {"ax": Made(axes), "parts": [plotting.Shape("M", 6, 4), "=", plotting.Shape("A", 6, 2)]},
        read=drawn,
        limits={"gap": "[0, inf)"},
    ),
    Row(plotting.spectrum, None, {"ax": Made(axes), "s": vector(SPECTRUM)}, read=drawn),
    Row(plotting.heatmap, None, {"ax": Made(axes), "A": matrix(TALL)}, read=drawn, limits={"limit": "(0, inf)"}),
    Row(plotting.image, None, {"ax": Made(axes), "A": matrix(POSITIVE, rule="picture")}, read=drawn),
    Row(costs.training_memory, None, {"layers": 2, "width": 8, "hidden": 12}, limits={"frozen_bytes": "(0, inf)"}),
    Row(widgets.memory_calculator, None, {"preset": "1 B"}),
]

# ---------------------------------------------------------------------------------- networks: tensors, models, folders

TEXT = b"to be or not to be, that is the question; "
FOLDERS = tempfile.TemporaryDirectory()
atexit.register(FOLDERS.cleanup)
NUMBERS = itertools.count()
LINEAR = torch.nn.Linear(4, 5)
PLAIN = training.GPT(training.GPTConfig(context=8, width=16, heads=2, layers=1, hidden=24))
ADAPTED = lora.add_lora(copy.deepcopy(PLAIN), 2, alpha=4, targets=["q_proj", "head"], rng=0)
for parameter in [*LINEAR.parameters(), *lora.lora_parameters(ADAPTED)]:
    torch.nn.init.constant_(parameter, 0.1)


def folder() -> Path:
    """A name in a folder that lasts as long as this process."""
    return Path(FOLDERS.name) / str(next(NUMBERS))


def gpt():
    return copy.deepcopy(PLAIN)


def adapted():
    return copy.deepcopy(ADAPTED)


def linear():
    return copy.deepcopy(LINEAR)


def saved_adapter():
    return lora.save_lora(adapted(), folder())


def saved_checkpoint():
    return training.save_checkpoint(folder(), 3, {"weight": torch.ones(2)}, {"loss": 0.5}).parent


def weights(*shape):
    return tensor(RNG.standard_normal(shape))


TOKENS = weights(6, 8)
# two heads of four numbers, a latent space of three, two rotated numbers
LATENT_WEIGHTS = attention.LatentWeights(
    weights(8, 3), weights(3, 8), weights(3, 8), weights(8, 8), weights(8, 8), weights(8, 2), weights(8, 4)
)
QUANTISED = compression.quantise(torch.tensor(SQUARE[:3]), block=4)
PLAN = {"steps": 3, "learning_rate": 1e-2, "batch_size": 2}
TRAINING = {"corpus": TEXT, "plan": training.Plan(**PLAN)}

BITS = dict.fromkeys(("weight_bits", "moment_bits"), "[1, inf)")
ADAPTERS = {"rank": "[1, min(m, n) = 16]", "prompt_tokens": "[1, the vocabulary = 256]"}

NETWORKS = [
    # What is beyond the range of a network's tensors is infinite, as anywhere in torch: units only where none can be.
    Row(
        attention.attention,
        "v",
        {"q": weights(4, 3, 2), "k": weights(2, 5, 2), "v": tensor(RNG.standard_normal((2, 5, 3)), "v")},
    ),
    Row(
        attention.multi_head_attention,
        None,
        {
            "x": TOKENS,
            "W_Q": weights(8, 8),
            "W_K": weights(8, 4),
            "W_V": weights(8, 4),
            "W_O": weights(8, 8),
            "heads": 4,
            "kv_heads": 2,
            "rotary": True,
        },
        limits={"kv_heads": "[1, heads = 4]"},
    ),
    Row(attention.rotate, None, {"x": TOKENS, "start": 2}),
    Row(attention.latent_cache, None, {"x": TOKENS, "weights": LATENT_WEIGHTS}),
    Row(attention.latent_attention, None, {"x": TOKENS, "weights": LATENT_WEIGHTS, "heads": 2}),
    Row(
        attention.latent_attention,
        None,
        {"x": TOKENS, "weights": LATENT_WEIGHTS, "heads": 2, "form": "absorbed"},
        "absorbed",
    ),
    Row(
        attention.compress_kv,
        {"W_DKV": "w", "W_UK": "", "W_UV": ""},
        {
            "W_K": tensor(SQUARE[:4], "w"),
            "W_V": tensor(SQUARE[1:, :3], "w"),
            "rank": 2,
            "X": tensor(INPUTS, "x"),
        },
        limits={"rank": "[1, min(width, keys + values, rows of X) = 4]"},
    ),
    Row(costs.state_memory, None, {"trained": 5, "weight_bits": 16}, limits={"trained": "[0, inf)"} | BITS),
    Row(costs.logits_memory, None, {"tokens": 3, "vocabulary": 5}),
    Row(costs.kv_cache_elements, None, {"kv_heads": 2, "head_dim": 4}),
    Row(costs.latent_cache_elements, None, {"latent_dim": 3, "rope_dim": 2}),
    Row(costs.kv_cache_bytes, None, {"elements": 5, "layers": 3, "tokens": 7}),
    Row(
        compression.factor_linear,
        None,
        {"layer": Made(linear), "rank": 2, "inputs": matrix(INPUTS)},
        limits={"rank": "[1, min(m, n) = 4]"},
        read=lambda pair: {name: weight.detach().numpy() for name, weight in pair.state_dict().items()},
    ),
    Row(
        compression.quantise,
        {"codes": "", "scales": "w"},
        {"W": tensor(SQUARE[:3], "w"), "block": 4},
        read=lambda few: {"codes": few.codes, "scales": few.scales},
    ),
    Row(compression.dequantise, None, {"quantised": QUANTISED}),
    Row(
        lora.add_lora,
        None,
        {"model": Made(gpt), "rank": 2, "alpha": 4, "targets": ["q_proj", "head"]},
        limits={"rank": "[1, min(m, n) = 16]"},
    ),
    Row(
        lora.add_lora,
        None,
        {"model": Made(gpt), "rank": 2, "alpha": 4, "targets": ["q_proj", "head"], "init": "pissa", "dora": True},
        "pissa, dora",
    ),
    Row(lora.lora_parameters, None, {"model": Made(adapted)}),
    Row(lora.merge_lora, None, {"model": Made(adapted)}),
    Row(lora.unmerge_lora, None, {"model": Made(lambda: lora.merge_lora(adapted()))}),
    Row(lora.set_adapter, None, {"model": Made(adapted), "name": "default"}),
    Row(lora.save_lora, None, {"model": Made(adapted), "folder": Made(folder)}),
    Row(lora.load_lora, None, {"model": Made(gpt), "folder": Made(saved_adapter)}),
    Row(
        training.chunked_cross_entropy,
        None,
        {
            "hidden": weights(6, 3),
            "weight": weights(5, 3),
            "targets": tensor([0, 4, 1, 2, 0, 3]),
        },
    ),
    Row(training.Plan, None, PLAN, limits={"context": "[1, inf)", "warmup": "[0, steps = 3]"}),
    Row(training.Bookkeeping, None, {"log_every": 2}),
    Row(training.pretrain, None, {"model": Made(gpt), **TRAINING}),
    Row(
        training.finetune,
        None,
        {"model": Made(gpt), "method": "lora", "rank": 2, "dropout": 0.3, "targets": ["q_proj", "head"], **TRAINING},
        limits=ADAPTERS,
    ),
    Row(training.prepare, None, {"model": Made(gpt), "method": "lora"}, limits=ADAPTERS),
    Row(training.prepare, None, {"model": Made(gpt), "method": "adapters"}, "adapters", limits=ADAPTERS),
    Row(training.evaluate, None, {"model": Made(gpt), "corpus": TEXT}, limits={"context": "[1, config.context = 8]"}),
    Row(
        training.generate,
        None,
        {"model": Made(gpt), "prompt": b"to be", "length": 5},
        limits={"rng": LIMITS["seed"]},
    ),
    Row(
        training.learning_rate_at,
        None,
        {"step": 2, "steps": 6, "peak": 1.0, "warmup": 1, "final": 0.1},
        limits={"step": "[1, steps = 6]", "warmup": "[0, steps = 6]", "peak": "(0, inf)", "final": "[0, inf)"},
    ),
    Row(training.load_base_model, None, {}),
    Row(training.base_model_record, None, {}),
    Row(training.load_corpus, None, {"name": "tkinter", "split": "validation"}),
    Row(
        training.save_checkpoint,
        None,
        {"folder": Made(folder), "step": 3, "tensors": {"weight": torch.ones(2)}, "state": {"loss": 0.5}},
    ),
    Row(training.latest_checkpoint, None, {"folder": Made(saved_checkpoint)}),
]

ROWS = ARRAYS + NETWORKS

#: Public callables without a row, or whole modules of such, and why.
EXCEPTIONS = {
    "finetuning": "its functions load, train and write models of the hub (tests/package/finetuning, misuse included)",
    "exercises": "its functions take a reader's answer, right or wrong, and say which (tests/package/exercises)",
    "plotting.use_book_style": "it changes the settings of the whole process (tests/package/test_plotting.py)",
    "lora.assign_lora": "a context, not an answer (tests/package/lora/test_switch.py)",
    "lora.disable_lora": "a context, not an answer (tests/package/lora/test_switch.py)",
    "training.standard_library": "seconds a call: it reads all of Python's library (training/test_corpus.py)",
    "lora.LoRALinear": "a layer of a network, made by add_lora",
    "training.GPT": "a network; every function of `training` is called with one",
}
