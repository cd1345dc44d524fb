"""The claims of chapter 18, what the run learned."""

import copy
import itertools
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from book.claims import Claim, Folklore
from book.definitions import definitions
from book.margins import close, rank, within
from book.observations import Contender, Observation, Protocol, student
from lowrank_helpers import results

RNG = np.random.default_rng(180)


def draw(*shape):
    return RNG.standard_normal(shape)


def basis(n, k):
    return np.linalg.qr(draw(n, k))[0]


# Chance overlap


class Overlap(NamedTuple):
    """φ of two orthonormal bases, the means of ‖UᵀV‖² and of φ by chance, and bases of random subspaces, a stack."""

    phi: Callable[..., float]
    mean_square: Callable[..., float]
    mean_phi: Callable[..., float]
    random: Callable[..., Any]


OVERLAP = Overlap(
    phi=lambda U, V: float(((U.T @ V) ** 2).sum() / min(U.shape[1], V.shape[1])),
    mean_square=lambda n, k, l: k * l / n,
    mean_phi=lambda n, k, l: max(k, l) / n,
    random=lambda rng, count, n, l: np.linalg.qr(rng.standard_normal((count, n, l)))[0],
)


def signed_permutations(n, signs=True, orders=True):
    """The signed permutation matrices of n coordinates, or only the signs, or only the permutations."""
    for order in itertools.permutations(range(n)) if orders else [range(n)]:
        for sign in itertools.product((-1.0, 1.0), repeat=n) if signs else [np.ones(n)]:
            yield np.diag(sign) @ np.eye(n)[list(order)]


def near_means(values, wanted):
    """Whether the mean of each row is the wanted one, within twelve standard errors.

    About one mean in 400 is off by more than three of them, and an error has to stay below a quarter of its bound.
    """
    return within(np.abs(values.mean(axis=1) - wanted), 12 * values.std(axis=1) / values.shape[1] ** 0.5 + 1e-9)


def overlap_claim(code, U, V, signs=True, orders=True, chosen=None, columns=None, pushed=0.0):
    """Bounds with their cases of equality, independence of bases, and means over images of V and over random subspaces.

    U may be ``chosen`` by a function of the image of V; the random matrices may have so many ``columns``, other than
    V, and be ``pushed`` away from mean 0. The theorem allows none of this.
    """
    (n, k), l = U.shape, V.shape[1]
    phi = code.phi(U, V)
    if not within([-phi, phi - 1], 1e-12) or within(1 - phi, 1e-10) != (rank(np.hstack([U, V])) == max(k, l)):
        return False
    if within(phi, 1e-12) != within(np.abs(U.T @ V), 1e-6):
        return False
    Q = np.linalg.qr(np.random.default_rng(1).standard_normal((k, k)))[0]
    if not close([code.phi(U @ Q, -V), code.phi(V, U)], phi, atol=1e-12):
        return False
    images = [S @ V for S in signed_permutations(n, signs, orders)]
    of = chosen or (lambda image: U)
    squares = np.mean([((of(image).T @ image) ** 2).sum() for image in images])
    means = np.mean([code.phi(of(image), image) for image in images])
    other = np.linalg.qr(np.random.default_rng(2).standard_normal((n, k)))[0]
    drawn = np.mean([code.phi(P, image) for P in (U, other) for image in images]) if chosen is None else means
    if not close([squares, means, drawn], [code.mean_square(n, k, l), *2 * [code.mean_phi(n, k, l)]], atol=1e-12):
        return False
    rng, q = np.random.default_rng(3), columns or l
    bases = np.linalg.qr(rng.standard_normal((10_000, n, q)) + pushed)[0] if pushed else code.random(rng, 10_000, n, q)
    if not within(np.abs(bases.transpose(0, 2, 1) @ bases - np.eye(bases.shape[2])), 1e-10):
        return False
    others = U, np.full((n, 1), n**-0.5), np.eye(n)[:, :1]
    found = np.array([((P.T @ bases) ** 2).sum(axis=(1, 2)) for P in others])
    return near_means(found, [code.mean_square(n, P.shape[1], q) for P in others])


FLAT = np.full((4, 1), 0.5)

# PiSSA


class Start(NamedTuple):
    """The factors and the residual, a bound for the rank of the update, the update's factors, and the floor."""

    factors: Callable[..., Any]
    residual: Callable[..., Any]
    most_rank: Callable[..., int]
    as_lora: Callable[..., Any]
    floor: Callable[..., float]


def pissa_factors(W, r, s, columns=lambda U, r: U[:, :r], rows=lambda Vt, r: Vt[:r], powers=(0.5, 0.5)):
    U, sigma, Vt = np.linalg.svd(W, full_matrices=False)
    with np.errstate(invalid="ignore", divide="ignore"):
        left, right = ((sigma[:r] / s) ** power for power in powers)
        return columns(U, r) * left, right[:, None] * rows(Vt, r)


def truncation(M, r):
    U, sigma, Vt = np.linalg.svd(M, full_matrices=False)
    return (U[:, :r] * sigma[:r]) @ Vt[:r]


def tail(M, r):
    return float((np.linalg.svd(M, compute_uv=False)[r:] ** 2).sum())


PISSA = Start(
    factors=pissa_factors,
    residual=lambda W, B, A, s: W - s * B @ A,
    most_rank=lambda r: 2 * r,
    as_lora=definitions(18, "as_lora"),
    floor=lambda W, D, r: tail(truncation(W, r) + D, r),
)


def pissa_claim(code, W, r, s, D, rival_rank=None, trained_rank=None, moved=0.0):
    """The start, the residual's spectrum and its rivals, the update's rank and factors, and the attained floor.

    The frozen part may have ``moved``, which the theorem forbids.
    """
    (m, n), rng = W.shape, np.random.default_rng(7)
    eps = 1e-9 * max(1.0, float(np.linalg.norm(W) + np.linalg.norm(D)) ** 2)
    B0, A0 = code.factors(W, r, s)
    if B0.shape != (m, r) or A0.shape != (r, n) or not np.isfinite(B0).all():
        return False
    R = code.residual(W, B0, A0, s) + moved
    if not close(R + s * B0 @ A0, W, atol=eps):
        return False
    Z, Y = rng.standard_normal((m, r)), rng.standard_normal((r, n))
    if not close(code.residual(W, Z, Y, s) + s * Z @ Y, W, atol=eps):  # any other factors
        return False
    sigma = np.linalg.svd(W, compute_uv=False)
    wanted = np.append(sigma[r:], np.zeros(r))
    if not close(s * B0 @ A0, truncation(W, r), atol=eps):
        return False
    if not close(np.linalg.svd(R, compute_uv=False), wanted, atol=eps):
        return False
    k = rival_rank or r
    rivals = [rng.standard_normal((m, k)) @ rng.standard_normal((k, n)) for _ in range(30)]
    best = truncation(W, k)
    rivals += [best, best * 1.01, truncation(best + 1e-3 * rng.standard_normal((m, n)), k)]
    closer = [(wanted[0] - np.linalg.norm(W - X, 2), np.linalg.norm(R) - np.linalg.norm(W - X)) for X in rivals]
    if not within(closer, eps):
        return False
    q = trained_rank or r
    B, A = rng.standard_normal((m, q)), rng.standard_normal((q, n))
    update = R + s * B @ A - W
    left, right = code.as_lora(B, A, B0, A0)
    if not close(s * left @ right, update, atol=eps) or rank(update) > code.most_rank(r):
        return False
    # The least distance of R + sBA from W + D is attained by a truncation, and no rival of rank q is below.
    gap = W + D - R
    if not within(abs(np.linalg.norm(gap - truncation(gap, r)) ** 2 - code.floor(W, D, r)), eps):
        return False
    others = [truncation(gap, q), truncation(D, q), truncation(gap + 1e-2 * rng.standard_normal((m, n)), q)]
    return within([code.floor(W, D, r) - np.linalg.norm(gap - X) ** 2 for X in others], eps)


WHOLE = draw(5, 7)


def qr_factors(W, r, s):
    Q, R = np.linalg.qr(W)
    return Q[:, :r], R[:r] / s


def last_factors(W, r, s):
    U, sigma, Vt = np.linalg.svd(W, full_matrices=False)
    root = np.sqrt(sigma[-r:] / s)
    return U[:, -r:] * root, root[:, None] * Vt[-r:]


CLAIMS = {
    "thm-chance-overlap": Claim(
        check=overlap_claim,
        code=OVERLAP,
        cases=[
            (np.array([[0.6], [0.8], [0]]), np.linalg.qr(np.array([[1.0, 0], [2, 1], [3, 5]]))[0]),
            (basis(4, 2), basis(4, 2)),
            (basis(4, 3), basis(4, 1)),
            (np.eye(4)[:, :2], np.eye(4)[:, 2:]),  # orthogonal
            (np.eye(4)[:, :1], np.eye(4)[:, :3]),  # one contains the other
            (basis(3, 3), basis(3, 2)),
            (np.ones((1, 1)), -np.ones((1, 1))),
        ],
        dropped={
            "orthonormal columns of U": (2 * basis(4, 2), basis(4, 2)),
            "orthonormal columns of V": (basis(4, 2), draw(4, 2)),
            "signs: permutations alone fix the constant vector": (FLAT, FLAT, False, True),
            "permutations: signs alone fix the axes": (np.eye(4)[:, :1], np.eye(4)[:, :2], True, False),
            "U independent of V: it is V": (basis(4, 2), basis(4, 2), True, True, lambda image: image),
            "U independent of V: it avoids V": (
                basis(4, 2),
                basis(4, 2),
                True,
                True,
                lambda image: np.linalg.qr(image, "complete")[0][:, 2:],
            ),
            "no more columns than rows: orthonormal rows instead, in U": (basis(4, 3).T, basis(3, 1)),
            "l at most n in the random matrix": (basis(3, 2), basis(3, 1), True, True, None, 4),
            "entries of mean 0": (basis(4, 2), basis(4, 1), True, True, None, None, 1.0),
        },
        mutants={
            "min for max": OVERLAP._replace(mean_phi=lambda n, k, l: min(k, l) / n),
            "chance is zero": OVERLAP._replace(mean_phi=lambda n, k, l: 0.0, mean_square=lambda n, k, l: 0.0),
            "kl/n²": OVERLAP._replace(mean_square=lambda n, k, l: k * l / n**2),
            "φ over the larger": OVERLAP._replace(
                phi=lambda U, V: float(((U.T @ V) ** 2).sum() / max(U.shape[1], V.shape[1]))
            ),
            "cosines of basis vectors": OVERLAP._replace(
                phi=lambda U, V: (
                    float(sum((U[:, i] @ V[:, i]) ** 2 for i in range(min(U.shape[1], V.shape[1]))))
                    / min(U.shape[1], V.shape[1])
                )
            ),
            "entries of [0, 1)": OVERLAP._replace(
                random=lambda rng, count, n, l: np.linalg.qr(rng.random((count, n, l)))[0]
            ),
            "one vector repeated in all columns, nearly": OVERLAP._replace(
                random=lambda rng, count, n, l: np.linalg.qr(
                    np.ones((n, 1)) + 0.1 * rng.standard_normal((count, n, l))
                )[0]
            ),
            "not made orthonormal": OVERLAP._replace(
                random=lambda rng, count, n, l: rng.standard_normal((count, n, l)) / n**0.5
            ),
            "no square": OVERLAP._replace(
                phi=lambda U, V: float(np.linalg.norm(U.T @ V) / min(U.shape[1], V.shape[1]))
            ),
        },
    ),
    "thm-pissa": Claim(
        check=pissa_claim,
        code=PISSA,
        cases=[
            (np.diag([3.0, 0]), 1, 1.0, np.diag([0.0, 1])),
            (np.diag([3.0, 2, 2]), 2, 2.0, np.diag([0.0, 0, 5])),  # a tie
            (WHOLE, 2, 2.0, draw(5, 7)),
            (draw(7, 4), 3, 0.5, draw(7, 4)),
            (draw(4, 4), 4, 1.5, draw(4, 4)),  # nothing is frozen
            (np.outer(draw(4), draw(5)), 2, 2.0, draw(4, 5)),  # r above the rank
            (np.zeros((3, 4)), 1, 2.0, draw(3, 4)),
            (draw(9, 9), 2, 0.3, np.zeros((9, 9))),
        ],
        dropped={
            "s positive: negative": (WHOLE, 2, -1.0, draw(5, 7)),
            "s positive: zero": (WHOLE, 2, 0.0, draw(5, 7)),
            "r at most min(m, n)": (draw(4, 6), 5, 1.0, draw(4, 6)),
            "rivals of rank r: one of rank r + 1 has a smaller residual": (WHOLE, 2, 2.0, draw(5, 7), 3),
            "trained factors of rank r": (draw(9, 9), 2, 1.0, draw(9, 9), None, 5),
            "the residual is frozen": (WHOLE, 2, 2.0, draw(5, 7), None, None, 0.01),
        },
        mutants={
            "W stays whole": PISSA._replace(residual=lambda W, B, A, s: W),
            "s is forgotten in the residual": PISSA._replace(residual=lambda W, B, A, s: W - B @ A),
            "s is forgotten in the factors": PISSA._replace(factors=lambda W, r, s: pissa_factors(W, r, 1.0)),
            "rows of U for its columns": PISSA._replace(
                factors=partial(pissa_factors, columns=lambda U, r: U.T[:, :r])
            ),
            "columns of V as they stand for A's rows": PISSA._replace(
                factors=partial(pissa_factors, rows=lambda Vt, r: Vt.T[:r])
            ),
            "the last singular values for the first": PISSA._replace(factors=last_factors),
            "no roots": PISSA._replace(factors=partial(pissa_factors, powers=(1, 1))),
            "a root in B alone": PISSA._replace(factors=partial(pissa_factors, powers=(0.5, 0))),
            "OLoRA's factors": PISSA._replace(factors=qr_factors),
            "the update has rank r": PISSA._replace(most_rank=lambda r: r),
            "the plus sign": PISSA._replace(as_lora=lambda B, A, B0, A0: (np.hstack([B, B0]), np.vstack([A, A0]))),
            "LoRA's floor": PISSA._replace(floor=lambda W, D, r: tail(D, r)),
            "the floor of W + D": PISSA._replace(floor=lambda W, D, r: tail(W + D, r)),
        },
    ),
}

# Observations, all of stored runs


def study():
    return results.load("updates")


def below(first, second):
    """Whether the first of two paired measurements is lower by its interval."""
    gap, half = student(np.subtract(first, second))
    return gap + half < 0


GRIDS = {
    "r = 1": (0.005, 0.01, 0.02, 0.04, 0.08),
    "r = 8": (0.0025, 0.005, 0.01, 0.02, 0.04),
    "r = 32": (0.00125, 0.0025, 0.005, 0.01, 0.02),
    "matrices": (0.0005, 0.001, 0.002, 0.004, 0.008),
    "full": (0.0005, 0.001, 0.002, 0.004, 0.008),
}
TESTED, TUNED = "the first 8000 bytes of the book's validation text, seeds 1 to 5", "its next 8000 bytes, seed 0"
STUDENT = "Student's, 95 %, paired over five seeds"
cut_losses, uncut_losses = definitions(18, "cut_losses"), definitions(18, "uncut")
counted = definitions(18, "counted")
at_three_quarters, whole_instead = (definitions(18, name) for name in ("at_three_quarters", "whole_instead"))


def rated(kind, name=None):
    return Contender(name or kind, grid={"rate": GRIDS[kind]})


def cut_name(kind, r):
    return f"{kind}, cut to {r}"


CUT_KINDS = {"r = 32": ("1", "8"), "matrices": ("1", "8", "32"), "full": ("1", "8", "32")}


def replaced(measured, change):
    """A copy of the measurements, changed."""
    other = copy.deepcopy(measured)
    change(other)
    return other


def every_run(change):
    """A change of each run's measurements."""

    def of_all(other):
        for run in other["runs"]:
            change(run)

    return lambda measured: replaced(measured, of_all)


def cut_verdict(m):
    """Trained is below cut, of the same matrices; wide and cut to 8 is below 8; uncut they are where rank 32 is."""
    ways = cut_losses(m)
    trained = all(below(ways["trained at it", r], ways["matrices, cut", r]) for r in ("1", "8", "32"))
    full = [below(ways["trained at it", r], ways["full, cut", r]) for r in ("1", "8")]
    level = below(ways["r = 32, cut", "8"], ways["trained at it", "8"])
    uncut = {kind: uncut_losses(m, kind) for kind in ("r = 32", "matrices", "full")}
    same = not below(uncut["matrices"], uncut["r = 32"]) and not below(uncut["r = 32"], uncut["matrices"])
    own = below(ways["trained at it", "32"], ways["r = 32, cut", "8"]) and below(
        ways["full, cut", "32"], ways["trained at it", "32"]
    )
    return trained and all(full) and level and own and same and below(uncut["full"], uncut["matrices"])


def rates_of(m):
    chosen = {kind: {"rate": [rate]} for kind, rate in m["rates"].items()}
    for kind, at in m["rates for cuts"].items():
        chosen |= {cut_name(kind, r): {"rate": [rate]} for r, rate in at.items()}
    return chosen


LENGTHS = ("0.1", "0.2", "0.35")


def counts(m):
    """The mean numbers of intruders, as trained and at each length."""
    kinds = ("full", "r = 1", "r = 8", "r = 32")
    return {kind: [counted(m, kind, to).mean() for to in (None, *LENGTHS)] for kind in kinds}


def length_decides(m):
    """Full has fewer as trained, as many as ranks 8 and 32 at each length, and more than noise; rank 1 differs."""
    fewer = all(below(counted(m, "full"), counted(m, kind)) for kind in ("r = 1", "r = 8", "r = 32"))
    pairs = [(counted(m, "full", to), counted(m, kind, to)) for kind in ("r = 8", "r = 32") for to in LENGTHS]
    as_many = not any(below(*pair) or below(*pair[::-1]) for pair in pairs)
    one = [(counted(m, "full", to), counted(m, "r = 1", to)) for to in LENGTHS]
    early_and_few = below(*one[0]) and below(*one[1][::-1]) and below(*one[2][::-1])
    return fewer and as_many and early_and_few and 3 * max(m["noise"]) < counted(m, "full", "0.2").mean()


def with_noise():
    return {**study(), "noise": definitions(18, "of_noise")(0.2).tolist()}


def eased_rows(m):
    rows = {where: at_three_quarters(m, "r = 8", where) for where in ("random", "others", "intruders")}
    return rows | {"whole": whole_instead(m, "r = 8")}


def the_whole_is_the_rival(m):
    """The whole update, shortened, gives back more than intruders at equal cost; their controls are level."""
    source = {where: rows[:, 1] for where, rows in eased_rows(m).items()}
    pairs = [(source["intruders"], source[where]) for where in ("random", "others")]
    undecided = not any(below(*pair) or below(*pair[::-1]) for pair in pairs)
    return undecided and below(source["whole"], source["intruders"])


def eased_more(place, change):
    """The source's losses along one path, changed from its second point on."""

    def of(run):
        first, *rest = run["easing"]["r = 8"][place]
        run["easing"]["r = 8"][place] = [first, *([book, change(first[1], source)] for book, source in rest)]

    return every_run(of)


AGREE = {
    "two of full": "two runs, full",
    "full, another text": "full, another text",
    "two of r = 8": "two runs, r = 8",
    "r = 8, another text": "r = 8, another text",
}


def belongs_to_the_text(m):
    """Two runs on one text agree by more than runs on two, and these by more than chance."""
    phi = m["overlaps"]
    return all(
        below(phi[f"{kind}, another text"], phi[f"two of {kind}"]) and min(phi[f"{kind}, another text"]) > 1.5 * 8 / 128
        for kind in ("r = 8", "full")
    )


AROUND = "rate, in decades around the best"  # which the search left when both neighbours were worse
RELATIVES = ("LoRA", "rsLoRA", "PiSSA", "OLoRA", "DoRA", "LoRA+")
at_best, tuned_relatives, stored_relatives = (definitions(18, name) for name in ("at_best", "tuned", "stored"))
above_line = definitions(18, "above_line")


def relatives():
    """Both losses of each relative at its best rate, on the seeds that tuned nothing, and the rates tried around it."""
    runs = stored_relatives("cpu")
    tried, best = tuned_relatives(runs)
    around = {}
    for name in RELATIVES:
        grid = list(tried[name])
        place = grid.index(best[name])
        around[name] = grid[max(place - 1, 0) : place + 2]
    return {
        "ends": {name: at_best(runs, best, name).tolist() for name in RELATIVES},
        "best": best,
        "around": around,
        "above": {name: above_line(tried, best, name) for name in ("PiSSA", "OLoRA", "LoRA+")},
    }


def behind_in_both(m):
    """On each seed three are behind rsLoRA in both losses, at every rate above its line; it and LoRA share them."""
    ends = {name: np.array(rows) for name, rows in m["ends"].items()}
    inside = all(m["around"][name][1:2] == [m["best"][name]] and len(m["around"][name]) == 3 for name in RELATIVES)
    three = all((ends[name] > ends["rsLoRA"]).all() for name in ("PiSSA", "OLoRA", "LoRA+"))
    gap = ends["rsLoRA"] - ends["LoRA"]
    line = all(min(gaps) > 0.02 for gaps in m["above"].values())
    return inside and three and line and bool((gap[:, 0] > 0).all() and (gap[:, 1] < 0).all())


def ended(name, place, change):
    """The losses of one relative, on the book (0) or on the source (1), changed on the first seed."""

    def of(other):
        other["ends"][name][0][place] = change(other["ends"], name)

    return lambda measured: replaced(measured, of)


OBSERVATIONS = {
    "obs-lora-updates-cut": Observation(
        measured=study,
        protocol=Protocol(
            baseline="the base, no update",
            contenders=[
                Contender("the base, no update", fixed="has no setting"),
                *(rated(kind) for kind in ("r = 1", "r = 8", "r = 32")),
                *(rated(kind, cut_name(kind, r)) for kind, ranks in CUT_KINDS.items() for r in ranks),
            ],
            tested_on=TESTED,
            tuned_on=TUNED,
            runs=5,
            interval=STUDENT,
        ),
        verdict=cut_verdict,
        numbers=lambda m: (
            [f"{m['base'][0]:.2f}"]
            + [f"{ends.mean():.3f}" for ends in cut_losses(m).values()]
            + [f"{uncut_losses(m, kind).mean():.3f}" for kind in ("matrices", "full")]
        ),
        sharp={
            "the matrices, cut to 8, as low as what was trained": every_run(
                lambda run: run["cuts"]["matrices"].update({"8": run["kinds"]["r = 8"]["loss"]})
            ),
            "the matrices, cut to 1, lower": every_run(lambda run: run["cuts"]["matrices"].update({"1": 2.0})),
            "rank 32 that loses by its cut to 8": every_run(
                lambda run: run["cuts"]["r = 32"].update({"8": run["kinds"]["r = 8"]["loss"] + 0.05})
            ),
            "the matrices, uncut, below rank 32": every_run(
                lambda run: run["kinds"]["matrices"].update({"loss": run["kinds"]["r = 32"]["loss"] - 0.02})
            ),
            "all of full fine-tuning, uncut, no lower than the matrices": every_run(
                lambda run: run["kinds"]["full"].update({"loss": run["kinds"]["matrices"]["loss"]})
            ),
            "all of full fine-tuning, cut to 8, as low": every_run(
                lambda run: run["cuts"]["full"].update({"8": run["kinds"]["r = 8"]["loss"]})
            ),
            "a rate at the edge of its grid": lambda m: replaced(
                m, lambda other: other["rates for cuts"]["matrices"].update({"8": 0.008})
            ),
        },
        chosen=rates_of,
    ),
    "obs-lora-updates-agreement": Observation(
        measured=study,
        protocol=Protocol(
            baseline="random subspaces",
            contenders=[
                Contender("random subspaces", fixed="chance is a theorem: 8/128"),
                *(Contender(name, fixed="at the rate that its kind was given for its loss") for name in AGREE.values()),
            ],
            tested_on="updates of runs with the seeds 1 to 5 on this book, and on tkinter's source",
            runs=5,
            interval=STUDENT,
        ),
        verdict=belongs_to_the_text,
        numbers=lambda m: [f"{np.mean(m['overlaps'][name]):.2f}" for name in AGREE] + [f"{8 / 128:.2f}"],
        sharp={
            "another text that agrees as well": lambda m: replaced(
                m, lambda other: other["overlaps"].update({"r = 8, another text": m["overlaps"]["two of r = 8"]})
            ),
            "another text at chance": lambda m: replaced(
                m, lambda other: other["overlaps"].update({"full, another text": [8 / 128] * 5})
            ),
            "runs on one text at chance": lambda m: replaced(
                m, lambda other: other["overlaps"].update({"two of full": [8 / 128] * 5})
            ),
        },
    ),
    "obs-lora-updates-intruders": Observation(
        measured=with_noise,
        protocol=Protocol(
            baseline="noise",
            contenders=[
                Contender("noise", fixed="has the length that it is given"),
                *(rated(kind) for kind in ("full", "r = 1", "r = 8", "r = 32")),
            ],
            tested_on="the weights of 28 layers, seeds 1 to 5",
            tuned_on=TUNED,
            runs=5,
            interval=STUDENT,
        ),
        verdict=length_decides,
        numbers=lambda m: (
            [f"{count:.0f}" for pair in counts(m).values() for count in pair] + [f"{np.mean(m['noise']):.0f}"]
        ),
        sharp={
            "full fine-tuning with as many as trained": every_run(
                lambda run: run["kinds"]["full"].update({"intruders": run["kinds"]["r = 8"]["intruders"]})
            ),
            "full fine-tuning with fewer at equal length": every_run(
                lambda run: run["kinds"]["full"]["at length"].update(
                    {"0.2": run["kinds"]["r = 8"]["at length"]["0.2"] // 2}
                )
            ),
            "full fine-tuning with fewer than rank 8 at the least length": every_run(
                lambda run: run["kinds"]["full"]["at length"].update(
                    {"0.1": run["kinds"]["r = 8"]["at length"]["0.1"] // 2}
                )
            ),
            "rank 1 with no more at the least length": every_run(
                lambda run: run["kinds"]["r = 1"]["at length"].update({"0.1": run["kinds"]["full"]["at length"]["0.1"]})
            ),
            "noise with as many": lambda m: {**m, "noise": counted(m, "full", "0.2").tolist()},
            "a rate at the edge of its grid": lambda m: replaced(
                m, lambda other: other["rates"].update({"full": 0.0005})
            ),
        },
        chosen=rates_of,
    ),
    "obs-lora-updates-eased": Observation(
        measured=study,
        protocol=Protocol(
            baseline="random",
            contenders=[
                Contender("random", fixed="has the intruders' number and lengths"),
                Contender("others", fixed="has the intruders' number and lengths"),
                Contender("whole", fixed="is shortened to where it has cost the book as much as the intruders"),
                Contender("intruders", grid={"threshold": (0.4, 0.5, 0.6, 0.7)}),
            ],
            tested_on="the first 8000 bytes of the validation texts of book and source, seeds 1 to 5",
            tuned_on="their next 8000 bytes, seed 0",
            runs=5,
            interval=STUDENT,
        ),
        verdict=the_whole_is_the_rival,
        numbers=lambda m: [
            f"{abs(value):.3f}" for rows in eased_rows(m).values() for value in (rows[:, 0].mean(), rows[:, 1].mean())
        ],
        sharp={
            "intruders that give back a third of a nat": eased_more("intruders", lambda _, source: source - 0.33),
            "other directions behind the intruders": eased_more("others", lambda _, source: source + 0.1),
            "other directions ahead of the intruders": eased_more("others", lambda _, source: source - 0.1),
            "a whole update that gives nothing back": eased_more("whole", lambda first, _: first),
            "a threshold at the edge of its grid": lambda m: replaced(
                m, lambda other: other["thresholds"].update(chosen=0.7)
            ),
        },
        chosen=lambda m: {"intruders": {"threshold": [m["thresholds"]["chosen"]]}},
    ),
    "obs-lora-updates-relatives": Observation(
        measured=relatives,
        protocol=Protocol(
            baseline="LoRA",
            contenders=[Contender(name, grid={AROUND: (-0.5, 0.0, 0.5)}) for name in RELATIVES],
            tested_on="the validation texts of book and source, seeds 1 to 3",
            tuned_on="the validation text of the book, seed 0",
            runs=3,
            interval="none: three seeds; what is claimed holds on each of them",
        ),
        verdict=behind_in_both,
        numbers=lambda m: [f"{value:.3f}" for rows in m["ends"].values() for value in np.mean(rows, axis=0)],
        sharp={
            "PiSSA lower on the book, on one seed": ended("PiSSA", 0, lambda ends, _: ends["rsLoRA"][0][0] - 0.01),
            "LoRA+ lower on the source, on one seed": ended("LoRA+", 1, lambda ends, _: ends["rsLoRA"][0][1] - 0.01),
            "rsLoRA ahead of LoRA in both, on one seed": ended("rsLoRA", 0, lambda ends, _: ends["LoRA"][0][0] - 0.01),
            "a rate at which OLoRA is below rsLoRA's line": lambda m: replaced(
                m, lambda other: other["above"]["OLoRA"].append(-0.01)
            ),
            "a best rate at the end of what was tried": lambda m: replaced(
                m, lambda other: other["around"].update({"OLoRA": other["around"]["OLoRA"][1:]})
            ),
        },
        chosen=lambda m: {
            name: {AROUND: [(-0.5, 0.0, 0.5)[m["around"][name].index(m["best"][name])]]} for name in RELATIVES
        },
    ),
}
# Misstatements

ONES = np.ones((16, 16)) / 16


def share(M, r):
    return 1 - tail(M, r) / tail(M, 0)


FOLKLORE = {
    17: Folklore(
        wrong="trained weights are of low rank, hence LoRA",
        fails=lambda: within(1 - share(ONES, 1), 1e-12) and share(np.eye(16) - ONES, 1) < 0.1,
        holds=lambda: share(np.eye(16), 1) < 0.1 and within(tail(ONES, 1), 1e-20),
    ),
}
