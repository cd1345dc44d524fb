"""The claims of chapter 8, images."""

import functools
import itertools
from fractions import Fraction

import numpy as np
from matplotlib import cbook
from PIL import Image

from book.claims import Adapted, Claim, Folklore
from book.definitions import definitions
from book.margins import above, close, within
from book.observations import Contender, Observation, Protocol
from lowrank_helpers import costs, datasets, linalg, results, svd
from lowrank_helpers.decomposition import rank_choice

RNG = np.random.default_rng(80)
EPS = np.finfo(float).eps
fro = linalg.frobenius_norm
HAND = np.array([[1.0, 0.0, 2.0], [0.0, 1.0, 1.0], [1.0, 1.0, 3.0], [2.0, -1.0, 3.0]])
TALL, WIDE = RNG.standard_normal((7, 4)), RNG.standard_normal((3, 8))
RANK_TWO = RNG.standard_normal((6, 2)) @ RNG.standard_normal((2, 9))
ZERO = np.zeros((3, 4))


# thm-storage: code = (factors, rows, pays, inner), the four parts


def two_factors(truncate, M, r):
    """A and B of inner dimension r, the singular values in A."""
    U, s, Vt = truncate(M, min(max(r, 1), *M.shape))
    return (U * s)[:, :r], Vt[:r]


factors = Adapted(two_factors, svd.truncated_svd)


def rows(M, r):
    """The places of r rows that span the row space, these rows, and the coefficients of the others: a greedy choice."""
    rest, places = M.copy(), []
    for _ in range(r):
        lengths = np.sum(rest**2, axis=1)
        lengths[places] = -1.0
        i = int(lengths.argmax())
        places.append(i)
        if above(lengths[i], (1e-10 * (1 + fro(M))) ** 2):
            direction = rest[i] / np.linalg.norm(rest[i])
            rest = rest - np.outer(rest @ direction, direction)
    others = np.delete(np.arange(len(M)), places)
    T = np.linalg.lstsq(M[places].T, M[others].T, rcond=1e-9)[0].T if r else np.zeros((len(M), 0))
    return places, M[places], T


pays = Adapted(lambda even, m, n, r, w, b: r < b / w * even(m, n), costs.break_even_rank)


def inner(m, n, w, budget):
    return budget // (w * (m + n))


def storage(code, M, r, w, b, budget):
    """Both descriptions give M back with the counts of the statement; the two thresholds are those of the bytes."""
    make, pick, gain, fits = code
    m, n = M.shape
    slack = 1000 * EPS * max(m, n) * (1 + fro(M))
    parts = make(M, r)
    if sum(part.size for part in parts) != r * (m + n) or not within(fro(np.linalg.multi_dot([*parts]) - M), slack):
        return False
    places, some, T = pick(M, r)
    if len(set(places)) != r or some.size + T.size != r * (m + n - r):
        return False
    again = np.zeros(M.shape)
    again[places], again[np.delete(np.arange(m), places)] = some, T @ some
    if not within(fro(again - M), slack) or (r < min(m, n)) != (r * (m + n - r) < m * n):
        return False
    if any(gain(m, n, k, w, b) != (w * k * (m + n) < b * m * n) for k in range(m + n)):
        return False
    # Part 4, on a matrix N of full rank: the inner dimension, and rivals of it, of which none is closer
    N = M + np.random.default_rng(1).standard_normal(M.shape)
    k = fits(m, n, w, budget)
    if w * k * (m + n) > budget or w * (k + 1) * (m + n) <= budget:
        return False
    s = np.linalg.svd(N, compute_uv=False)
    least = np.sqrt(np.sum(s[k:] ** 2))
    A, B = make(N, k)
    draws = np.random.default_rng(2).standard_normal((20, m, k))
    rivals = [A + 0.1 * D[:, : A.shape[1]] for D in draws] + list(draws)
    near = [fro(N - X @ np.linalg.lstsq(X, N)[0]) if k else fro(N) for X in rivals]
    return within([abs(fro(N - A @ B) - least), *(least - np.array(near))], slack)


def with_dense_sigma(M, r):
    U, s, Vt = np.linalg.svd(M, full_matrices=False)
    return U[:, :r], np.diag(s[:r]), Vt[:r]


def columns_of_vt(M, r):
    U, s, Vt = np.linalg.svd(M, full_matrices=False)
    return U[:, :r] * s[:r], Vt[:, :r].T if Vt.shape[0] == Vt.shape[1] else Vt[:r] * 0


def first_rows(M, r):
    T = np.linalg.lstsq(M[:r].T, M[r:].T, rcond=1e-9)[0].T if r else np.zeros((len(M), 0))
    return list(range(r)), M[:r], T


STORAGE = (factors, rows, pays, inner)

# thm-keep-term: code(A, M) -> the squared errors of rank 0 … p, and the best coefficients

by_terms = definitions(8, "errors_by_rank")


def keep_term(code, A, M, terms=None):
    """The terms are those of numpy's decomposition, by which the chapter's code goes as well."""
    errors, c = code(A, M)
    U, s, Vt = np.linalg.svd(A, full_matrices=False) if terms is None else terms
    slack = 1000 * EPS * max(M.shape) * (1 + fro(M) + np.abs(s).max()) ** 2
    direct = np.array([fro((U[:, :r] * s[:r]) @ Vt[:r] - M) ** 2 for r in range(len(s) + 1)])
    if not close(errors, direct, atol=slack):
        return False
    gains = -np.diff(direct)
    if ((gains > 0) != (c > s / 2))[above(np.abs(gains), slack)].any():
        return False
    best = fro((U * c) @ Vt - M) ** 2
    moves = np.vstack([0.1 * np.eye(len(s)), -0.1 * np.eye(len(s)), RNG_MOVES[:, : len(s)]])
    moved = np.array([fro((U * (c + d)) @ Vt - M) ** 2 for d in moves])
    return within(best + (moves**2).sum(axis=1) / 2 - moved, slack)


RNG_MOVES = np.random.default_rng(3).standard_normal((10, 12))


def noisy(M, sigma, seed=4):
    return M + sigma * np.random.default_rng(seed).standard_normal(M.shape), M


values = definitions(8, "values")
SKEW = np.array([[1.0, 0.8], [0.0, 0.6]])  # unit columns that are not orthogonal

# thm-optimal-threshold: code = (λ(β), g as a function of y and β)


def spiked(x, beta):
    y = np.sqrt((x**2 + 1) * (x**2 + beta)) / x
    return y, (x**4 - beta) / (x**2 * y)


# λ(β) as the package has it: the threshold for the shape 1000 × 1000β and σ = 1
coefficient = Adapted(
    lambda threshold, beta: threshold([1.0], (1000, round(1000 * beta)), noise=1.0) / 1000**0.5,
    rank_choice.optimal_threshold,
)
# g as the chapter's `shrink` has it: of a matrix with the one singular value y, for noise that makes the unit 1


def only_entry(shrink, y, beta):
    small, large = Fraction(beta).limit_denominator(1000).as_integer_ratio()
    A = np.zeros((small, large))
    A[0, 0] = y
    return shrink(A, large**-0.5)[0, 0]


shrunken = Adapted(only_entry, definitions(8, "shrink"))


def threshold_claim(code, beta, strengths):
    *ways, shrink = code
    lam, *others = [way(beta) for way in ways]
    if not close(others, lam, rtol=1e-12):
        return False
    edge = 1 + beta**0.5
    y, g = spiked(strengths, beta)
    return bool(
        lam > edge
        and above(np.diff(y), 1e-12).all()
        and above(y - edge, 1e-12).all()
        and above(np.abs([g - y / 2, y - lam]), 1e-9).all()
        and ((g > y / 2) == (y > lam)).all()
        and within(np.abs([shrink(value, beta) for value in y] - g), 1e-6 * (1 + g))
        and (beta != 1 or within(abs(lam - 4 / 3**0.5), 1e-12))
    )


BY_FORMULA = definitions(8, "threshold")


def strengths(beta):
    """A fine grid above β^{1/4}, finer still around the point where the sides change."""
    root = np.sqrt((1 + beta + np.sqrt(beta**2 + 14 * beta + 1)) / 2)
    near = root * (1 + np.array([-1e-3, -1e-6, 1e-6, 1e-3]))
    return np.sort(np.concatenate([beta**0.25 * (1 + np.logspace(-3, 2, 200)), near]))


# prop-held-out: code(count, size, σ) is the constant between the two errors; noise ±σ at all positions, enumerated


def held_out(code, M, mask, predict, sigma, shift=0.0):
    seen, true = [], []
    for signs in itertools.product((-sigma, sigma), repeat=M.size):
        A = M + np.reshape(signs, M.shape) + shift
        X = predict(A, mask)
        seen.append(np.sum((A - X)[mask] ** 2))
        true.append(np.sum((M - X)[mask] ** 2))
    return within(abs(np.mean(seen) - np.mean(true) - code(int(mask.sum()), M.size, sigma)), 1e-9 * (1 + np.mean(seen)))


def mean_of_the_rest(A, mask):
    return np.full(A.shape, A[~mask].mean())


def from_the_cross(A, mask):
    """One hidden entry from the other three, as if the rank were 1; bounded away from division by zero."""
    return np.full(A.shape, A[0, 1] * A[1, 0] / A[1, 1])


def truncation(A, mask):
    return svd.reconstruct(svd.truncated_svd(A, 1))


CORNER = np.array([[True, False], [False, False]])
FIRST_ROW = np.array([[True, True, True], [False, False, False]])
M22, M23 = np.array([[1.0, 2.0], [3.0, 5.0]]), np.arange(6.0).reshape(2, 3)

CLAIMS = {
    "thm-storage": Claim(
        check=storage,
        code=STORAGE,
        cases=[
            (HAND, 2, 2, 1, 30),
            (HAND, 3, 8, 1, 55),
            (TALL, 4, 8, 1, 200),
            (WIDE, 3, 4, 1, 44),
            (RANK_TWO, 2, 1, 1, 31),
            (RANK_TWO, 4, 2, 3, 29),
            (RANK_TWO.T, 2, 2, 1, 60),
            (np.vstack([WIDE[0], WIDE[0], WIDE[1]]), 2, 2, 1, 45),
            (ZERO, 1, 2, 1, 3),
            (ZERO, 0, 2, 1, 0),
            (np.eye(4), 4, 1, 1, 100),
        ],
        dropped={"rank at most r": (HAND, 1, 2, 1, 30)},
        mutants={
            "Σ stored as a full matrix": (with_dense_sigma, rows, pays, inner),
            "columns of Vᵀ for its rows": (columns_of_vt, rows, pays, inner),
            "the first r rows, spanning or not": (factors, first_rows, pays, inner),
            "bytes of the picture forgotten": (factors, rows, lambda m, n, r, w, b: pays(m, n, r, w, 1), inner),
            "numbers for bytes": (factors, rows, lambda m, n, r, w, b: pays(m, n, r, 1, 1), inner),
            "a budget in numbers": (factors, rows, pays, lambda m, n, w, budget: budget // (m + n)),
            "degrees of freedom for factors": (
                factors,
                rows,
                lambda m, n, r, w, b: w * r * (m + n - r) < b * m * n,
                inner,
            ),
        },
    ),
    "thm-keep-term": Claim(
        check=keep_term,
        code=by_terms,
        cases=[
            (np.diag([4.0, 3.0]), np.diag([3.0, 1.0])),
            noisy(RANK_TWO, 0.5),
            noisy(TALL, 1.0),
            noisy(WIDE, 0.1),
            noisy(ZERO, 1.0),
            (ZERO, WIDE[:, :4]),
            (np.eye(3), np.diag([2.0, 0.4, -1.0])),
            (RANK_TWO, RNG.standard_normal((6, 9))),
        ],
        dropped={
            "orthonormal vectors": ((SKEW * [2.0, 1.0]) @ SKEW.T, np.eye(2), (SKEW, np.array([2.0, 1.0]), SKEW.T)),
        },
        mutants={
            "σ² of the tail, as without noise": lambda A, M: (
                np.append(np.cumsum((values(A) ** 2)[::-1])[::-1], 0.0),
                by_terms(A, M)[1],
            ),
            "2s for 2sc": lambda A, M: (
                np.cumsum(np.append(fro(M) ** 2, values(A) ** 2 - 2 * values(A))),
                by_terms(A, M)[1],
            ),
            "the singular values as best coefficients": lambda A, M: (by_terms(A, M)[0], values(A)),
            "half of c": lambda A, M: (by_terms(A, M)[0], by_terms(A, M)[1] / 2),
        },
    ),
    "thm-optimal-threshold": Claim(
        check=threshold_claim,
        code=(coefficient, BY_FORMULA, shrunken),
        cases=[(beta, strengths(beta)) for beta in (1.0, 0.8, 0.5, 0.1, 0.001)],
        dropped={
            "x > β^{1/4}": (1.0, np.array([0.3, 0.5])),
        },
        mutants={
            "4/√3 for every shape": (lambda beta: 4 / 3**0.5, shrunken),
            "2.858, which belongs to the median": (lambda beta: 2.858, shrunken),
            "the edge of the noise": (lambda beta: 1 + beta**0.5 + 1e-12, shrunken),
            "1 + β for the edge": (
                coefficient,
                BY_FORMULA,
                lambda y, beta: np.sqrt(max((y**2 - beta - 1) ** 2 - beta, 0)) / y,
            ),
            "x for g": (coefficient, BY_FORMULA, lambda y, beta: y * shrunken(y, beta)),
            "the chapter's formula for another shape": (coefficient, lambda beta: BY_FORMULA(beta / 2), shrunken),
        },
    ),
    "prop-held-out": Claim(
        check=held_out,
        code=lambda count, size, sigma: count * sigma**2,
        cases=[
            (M22, CORNER, mean_of_the_rest, 1.0),
            (M22, CORNER, from_the_cross, 0.5),
            (M23, FIRST_ROW, mean_of_the_rest, 2.0),
            (M23, ~FIRST_ROW, mean_of_the_rest, 0.3),
            (M23, FIRST_ROW, lambda A, mask: np.zeros(A.shape), 1.0),
        ],
        dropped={
            "independence of X": (M22, CORNER, truncation, 1.0),
            "mean 0": (M22, CORNER, lambda A, mask: np.zeros(A.shape), 1.0, 0.5),
        },
        mutants={
            "all entries for those held out": lambda count, size, sigma: size * sigma**2,
            "σ for σ²": lambda count, size, sigma: count * sigma,
            "no noise in what is held out": lambda count, size, sigma: 0.0,
        },
    ),
}


def rank_for_energy(A):
    s = np.linalg.svd(A, compute_uv=False)
    rank = int(np.searchsorted(svd.energy(s), 0.9)) + 1
    return rank, svd.tail_error(s, rank) / svd.tail_error(s, 0)


def energy_is_not_in_a_few():
    """The digits, centred, need 21 of 64 values for 90 %, and almost a third of the norm is left."""
    X = datasets.load("digits").X
    rank, left = rank_for_energy(X - X.mean(axis=0))
    return rank == 21 and left > 0.3


# ------------------------------------------------------------------------------------------------- the observations


@functools.cache
def files_of_equal_bytes():
    """For each of three photographs the decibels of all that has the bytes of a JPEG file."""
    with cbook.get_sample_data("grace_hopper.jpg") as file:
        hopper = np.asarray(Image.open(file).convert("RGB"))
    pictures = {"china": datasets.load("china"), "flower": datasets.load("flower"), "hopper": hopper}
    curve, compare = definitions(8, "qualities"), definitions(8, "at_equal_bytes")
    return {name: compare(picture, curve(picture)) for name, picture in pictures.items()}


def far_below_jpeg(rows):
    """At 16 bits the truncation is last, with ten times the bytes; at its best it passes one thumbnail of three."""
    passed = [name for name, row in rows.items() if row["at its best"] > row["thumbnail"]]
    return passed == ["china"] and all(
        row["truncation"] + 1 < row["thumbnail"] < row["JPEG"]
        and row["truncation"] < row["at its best"] < row["JPEG"] - 6
        and row["times"] > 10
        and row["JPEG"] >= 30
        for row in rows.values()
    )


def with_row(rows, name, **values):
    return {**rows, name: {**rows[name], **values}}


LEAST_NOISE = ("china", 0.05)


@functools.cache
def noisy_pictures():
    """For each picture and σ the decibels of each way, a number for each draw of the noise."""
    lines = results.load("pictures")["lines"]
    return {
        (line["picture"], line["σ"]): {way: np.array(values) for way, values in line["dB"].items()} for line in lines
    }


def with_line(lines, where, way, values):
    return {**lines, where: {**lines[where], way: values}}


def rules_hold_but_once(lines):
    """In every draw the threshold is near the best rank, but on the temple with little noise, and shrinkage above it.

    There the rules that do not know σ lose more than two decibels.
    """
    near = {where: (line["best rank"] - line["σ known"]).max() < 0.1 for where, line in lines.items()}
    lost = lines[LEAST_NOISE]["σ known"] < lines[LEAST_NOISE]["noisy"] - 0.4
    return (
        [where for where, ok in near.items() if not ok] == [LEAST_NOISE]
        and lost.all()
        and all(
            (lines[LEAST_NOISE][way] < lines[LEAST_NOISE]["best rank"] - 2).all() for way in ("σ unknown", "held out")
        )
        and all((line["shrunk"] > line["best rank"]).all() for line in lines.values())
    )


def below(lines, way, rival="best rank"):
    """How far the mean of a way is below that of a rival, by line."""
    return {where: float((line[rival] - line[way]).mean()) for where, line in lines.items()}


FILTERS = ("median", "blur", "Wiener")


def least_gain(line, way):
    """The lower end of the 95 % interval of the mean gain of patches over a way, over the draws."""
    gains = line["patches"] - line[way]
    return gains.mean() - 2.776 * gains.std(ddof=1) / len(gains) ** 0.5


def patches_are_ahead(lines):
    """Of the whole, the filters and plain windows in every line, but not of the cosines; behind without neighbours.

    And of what they gain on the whole the plain windows have more than half.
    """
    return all(
        min(least_gain(line, way) for way in ("noisy", "shrunk", "best rank", *FILTERS, "windows")) > 0.3
        and (line["windows"] - line["shrunk"] > (line["patches"] - line["shrunk"]) / 2).all()
        and (np.abs(line["patches"] - line["cosines"]) < 0.7).all()
        and (line["patches, shuffled"] < line["shrunk"][0]).all()
        for line in lines.values()
    )


def by_windows_alone(lines):
    """The share of the gain of the patches that windows have without them, in per cent: least and most."""
    shares = [
        100 * (line["windows"] - line["shrunk"]).mean() / (line["patches"] - line["shrunk"]).mean()
        for line in lines.values()
    ]
    return [min(shares), max(shares)]


def cosines_apart(lines):
    gaps = below(lines, "patches", "cosines").values()
    return [max(gaps), -min(gaps)]


def shuffled_apart(lines):
    losses = [float(line["shrunk"][0] - line["patches, shuffled"][0]) for line in lines.values()]
    return [min(losses), max(losses)]


def chosen_for_filters(lines):
    grids = {"blur": "width", "median": "size", "Wiener": "size", "cosines": "factor"}
    stored = results.load("pictures")["lines"]
    return {
        way: {setting: [value for line in stored for value in line["chosen"][way].values()]}
        for way, setting in grids.items()
    }


@functools.cache
def grid(way):
    return results.load("pictures")["grids"][way]


WHOLE_PICTURES = "three grey photographs, three levels of noise, draws 0 to 4"

OBSERVATIONS = {
    "obs-images-jpeg": Observation(
        measured=files_of_equal_bytes,
        protocol=Protocol(
            baseline="thumbnail",
            contenders=[
                Contender("thumbnail", fixed="its size is that of the bytes"),
                Contender("truncation", fixed="its rank is that of the bytes, and no product of this rank is closer"),
                Contender("at its best", {"bits": (3, 4, 5, 6, 8)}),
                Contender("JPEG", fixed="the first quality in steps of five that reaches 30 dB"),
            ],
            tested_on="three colour photographs",
            tuned_on="each of them by itself, in favour of the truncation",
            runs=3,
            interval="none: nothing is random, and the three are all that is spoken of",
        ),
        verdict=far_below_jpeg,
        numbers=lambda rows: [
            *(
                f"{row[key]:.1f}"
                for row in rows.values()
                for key in ("truncation", "thumbnail", "at its best", "times")
            ),
            *(f"{row['bits']} bits a number" for row in rows.values()),
        ],
        sharp={
            "a truncation as good as the thumbnail": lambda rows: with_row(
                rows, "china", truncation=rows["china"]["thumbnail"]
            ),
            "one that comes near JPEG with fewer bits": lambda rows: with_row(
                rows, "china", **{"at its best": rows["china"]["JPEG"] - 4}
            ),
            "fewer bits enough to pass every thumbnail": lambda rows: with_row(
                rows, "hopper", **{"at its best": rows["hopper"]["thumbnail"] + 0.1}
            ),
            "the fewest bits the best": lambda rows: with_row(rows, "flower", bits=3),
            "30 dB for five times the bytes": lambda rows: with_row(rows, "hopper", times=5.0),
        },
        chosen=lambda rows: {"at its best": {"bits": [row["bits"] for row in rows.values()]}},
    ),
    "obs-images-rank-rules": Observation(
        measured=noisy_pictures,
        protocol=Protocol(
            baseline="noisy",
            contenders=[
                Contender("noisy", fixed="nothing is done"),
                Contender("best rank", fixed="every rank is tried, on the clean picture: what no rule can pass"),
                Contender("σ known", fixed="the threshold is given by theory"),
                Contender("σ unknown", fixed="the threshold is given by theory"),
                Contender("held out, defaults"),
                Contender("shrunk", fixed="the coefficients are given by theory"),
            ],
            tested_on=WHOLE_PICTURES,
            runs=5,
            interval="the range over five draws, for each picture and level",
        ),
        verdict=rules_hold_but_once,
        numbers=lambda lines: [
            f"{number:.1f}"
            for number in (
                below(lines, "σ known")[LEAST_NOISE],
                below(lines, "σ known", "noisy")[LEAST_NOISE],
                max(below(lines, "σ unknown").values()),
                max(below(lines, "held out").values()),
                -max(below(lines, "shrunk").values()),
                -min(below(lines, "shrunk").values()),
            )
        ],
        sharp={
            "the threshold good on the temple too": lambda lines: with_line(
                lines, LEAST_NOISE, "σ known", lines[LEAST_NOISE]["best rank"]
            ),
            "the threshold bad on the flower too": lambda lines: with_line(
                lines, ("flower", 0.1), "σ known", lines["flower", 0.1]["σ known"] - 0.2
            ),
            "a rank above shrinkage, in one draw": lambda lines: with_line(
                lines, ("hopper", 0.2), "best rank", lines["hopper", 0.2]["best rank"] + np.array([0, 0, 1, 0, 0])
            ),
            "no need to know σ": lambda lines: with_line(
                lines, LEAST_NOISE, "σ unknown", lines[LEAST_NOISE]["σ known"]
            ),
            "cross-validation that finds the best rank": lambda lines: with_line(
                lines, LEAST_NOISE, "held out", lines[LEAST_NOISE]["best rank"]
            ),
            "truncation no worse than the noise": lambda lines: with_line(
                lines, LEAST_NOISE, "noisy", lines[LEAST_NOISE]["σ known"]
            ),
        },
    ),
    "obs-images-patches": Observation(
        measured=noisy_pictures,
        protocol=Protocol(
            baseline="noisy",
            contenders=[
                Contender("noisy", fixed="nothing is done"),
                Contender("best rank", fixed="every rank is tried, on the clean picture: what no rule can pass"),
                Contender("shrunk", fixed="the coefficients are given by theory"),
                Contender("median", {"size": grid("median")}, first={"size": "1 leaves the picture as it is"}),
                Contender("blur", {"width": grid("blur")}),
                Contender("Wiener", {"size": grid("Wiener")}, first={"size": "3 is the least window that has a mean"}),
                Contender("cosines", {"factor": grid("cosines")}),
                Contender("windows, defaults"),
                Contender("patches, defaults"),
            ],
            tested_on=WHOLE_PICTURES,
            tuned_on="parts of the two other photographs, draw 100; in the rivals' favour also a part of its own",
            runs=5,
            interval="95 %, paired, over five draws, for each picture and level",
        ),
        verdict=patches_are_ahead,
        numbers=lambda lines: [
            *(f"{share:.0f} " for share in by_windows_alone(lines)),
            *(
                f"{number:.1f}"
                for number in (
                    min(below(lines, "shrunk", "patches").values()),
                    max(below(lines, "shrunk", "patches").values()),
                    min(below(lines, "windows", "patches").values()),
                    max(below(lines, "windows", "patches").values()),
                    *(min(below(lines, way, "patches").values()) for way in ("blur", "median", "Wiener")),
                    *cosines_apart(lines),
                    *shuffled_apart(lines),
                )
            ),
        ],
        sharp={
            "a blur within its interval": lambda lines: with_line(
                lines, ("flower", 0.2), "blur", lines["flower", 0.2]["patches"] + np.array([0.2, -0.2, 0.1, 0, -0.1])
            ),
            "Wiener's filter within its interval": lambda lines: with_line(
                lines, LEAST_NOISE, "Wiener", lines[LEAST_NOISE]["patches"] - np.array([1.5, 0.0, 0.3, 0.1, 0.6])
            ),
            "the whole picture as good": lambda lines: with_line(
                lines, ("hopper", 0.1), "shrunk", lines["hopper", 0.1]["patches"]
            ),
            "windows as good without patches": lambda lines: with_line(
                lines, ("china", 0.05), "windows", lines["china", 0.05]["patches"]
            ),
            "windows that gain nothing": lambda lines: with_line(
                lines, ("flower", 0.2), "windows", lines["flower", 0.2]["shrunk"]
            ),
            "patches that gain without neighbours": lambda lines: with_line(
                lines, ("china", 0.1), "patches, shuffled", lines["china", 0.1]["patches"][:1]
            ),
            "cosines far ahead": lambda lines: with_line(
                lines, ("china", 0.2), "cosines", lines["china", 0.2]["patches"] + 1
            ),
        },
        chosen=chosen_for_filters,
    ),
}


FOLKLORE = {
    11: Folklore(
        wrong="rank 50 of 1000×1000 needs 1000·50 + 50·50 + 1000·50 numbers, ten times less space",
        fails=lambda: (
            costs.factor_parameters(1000, 1000, 50) != 1000 * 50 + 50 * 50 + 50 * 1000
            and 8 * costs.factor_parameters(1000, 1000, 50) > 1_000_000 / 2
        ),
        holds=lambda: (
            costs.factor_parameters(1000, 1000, 50) == 100_000
            and 1_000_000 / (8 * costs.factor_parameters(1000, 1000, 50)) == 1.25
        ),
    ),
    12: Folklore(
        wrong="a few singular values hold 90 % and more of the energy of real matrices",
        fails=energy_is_not_in_a_few,
        holds=lambda: close(svd.tail_error(np.ones(10), 9) / svd.tail_error(np.ones(10), 0), 0.1**0.5, rtol=1e-12),
    ),
    14: Folklore(
        wrong="cast the truncated picture to uint8",
        fails=lambda: int(np.array(254.9).astype(np.uint8)) == 254 and int(np.array(260).astype(np.uint8)) == 4,
        holds=lambda: np.rint(np.clip([-3.0, 254.9, 260.0], 0, 255)).astype(np.uint8).tolist() == [0, 255, 255],
    ),
    36: Folklore(
        wrong="low rank cannot denoise pictures as well as a blur",
        fails=lambda: all((line["patches"] > line["blur"]).all() for line in noisy_pictures().values()),
        holds=lambda: (
            all((line["shrunk"] < line["blur"]).all() for line in noisy_pictures().values())
            and patches_are_ahead(noisy_pictures())
        ),
    ),
}
