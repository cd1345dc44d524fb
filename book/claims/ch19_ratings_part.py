"""Draft for the claims of chapter 19: its section "Ratings on a cluster"."""

import copy

import numpy as np

from book.claims import Claim
from book.definitions import definitions
from book.margins import within
from book.observations import Contender, Observation, Protocol, student
from lowrank_helpers import results


def splits_by_users(code, users, items, stars, H, lam, where, m):
    """Parts apart, sent nothing else, find the rows of the whole, which least squares finds too; so much is shipped."""
    solve, shipped = code
    r, n = H.shape
    part = np.zeros(m, dtype=int)
    part[users] = where
    try:
        whole, apart, sent = solve(users, items, stars, H, lam), {}, 0
        for k in np.unique(part):
            own = where == k
            columns = np.full_like(H, np.nan)
            columns[:, items[own]] = H[:, items[own]]
            apart |= solve(users[own], items[own], stars[own], columns, lam)
            sent += r * len(set(items[own]))
    except np.linalg.LinAlgError:
        return False
    if not set(whole) == set(apart) == set(users):
        return False
    for i, w in whole.items():
        own = users == i
        tall = np.vstack([H[:, items[own]].T, np.sqrt(lam * own.sum()) * np.eye(r)])
        best = np.linalg.lstsq(tall, np.append(stars[own], np.zeros(r)))[0]
        tol = 1e-9 * max(1.0, np.abs(best).max())
        if not within([*np.abs(w - best), *np.abs(apart[i] - best)], tol):
            return False
    there, back = shipped(users, items, part, r)
    parts = len(np.unique(part))
    return (there, back) == (sent, r * m) and r * len(set(items)) <= there <= r * min(parts * n, len(users))


def table(m, n, share, r, parts, lam=0.1, seed=0):
    """A list of ratings, factors of the items, and the part of each rating, that of its user."""
    rng = np.random.default_rng(seed)
    users, items = np.nonzero(rng.random((m, n)) < share)
    stars = rng.integers(1, 11, len(users)) / 2
    return users, items, stars, rng.standard_normal((r, n)), lam, rng.integers(parts, size=m)[users], m


def without(case, user):
    """The same table with a user who rated nothing."""
    users, items, stars, H, lam, where, m = case
    left = users != user
    return users[left], items[left], stars[left], H, lam, where[left], m


USUAL = table(9, 6, 0.5, 2, 2)
ALIKE = table(7, 8, 0.4, 3, 3, seed=1)
ALIKE[3][:, 2] = ALIKE[3][:, 1]
EVERYTHING = table(4, 5, 1.1, 2, 2, seed=2)
FEW = table(8, 12, 0.15, 5, 3, seed=3)
APART = definitions(19, "solve_users"), definitions(19, "shipped")


def by_another_penalty(weight):
    """Rows as in the chapter, but with another weight of the penalty, weight(lam, own ratings, all ratings)."""

    def solve(users, items, stars, H, lam):
        W = {}
        for i in np.unique(users):
            own = users == i
            F = H[:, items[own]]
            G = F @ F.T + weight(lam, own.sum(), len(users)) * np.eye(len(F))
            W[i] = np.linalg.solve(G, F @ stars[own])
        return W

    return solve


def holes_as_zeros(users, items, stars, H, lam):
    W = {}
    for i in np.unique(users):
        own = users == i
        G = H @ H.T + lam * own.sum() * np.eye(len(H))
        W[i] = np.linalg.solve(G, H[:, items[own]] @ stars[own])
    return W


CLAIMS = {
    "prop-als-split": Claim(
        check=splits_by_users,
        code=APART,
        cases=[
            USUAL,
            ALIKE,
            EVERYTHING,
            FEW,
            table(9, 6, 0.5, 2, 1),
            table(5, 30, 0.3, 4, 9, lam=2.0, seed=4),
            table(30, 4, 0.5, 1, 2, lam=1e-3, seed=5),
            without(USUAL, 4),
            (*USUAL[:2], 0 * USUAL[2], *USUAL[3:]),
        ],
        dropped={
            "each user in one part: a user's ratings in two": (
                *USUAL[:5],
                np.where(np.arange(len(USUAL[0])) == np.argmax(USUAL[0] == 3), 1 - USUAL[5], USUAL[5]),
                USUAL[6],
            ),
            "λ > 0: no inverse for a user with fewer ratings than factors": (
                np.array([0]),
                np.array([1]),
                np.array([3.0]),
                np.array([[1.0, 2], [0, 0]]),
                0.0,
                np.array([0]),
                1,
            ),
        },
        mutants={
            "the same λ for all": (by_another_penalty(lambda lam, own, everyone: lam), APART[1]),
            "λ by the ratings of the part": (by_another_penalty(lambda lam, own, everyone: lam * everyone), APART[1]),
            "half the penalty": (by_another_penalty(lambda lam, own, everyone: lam * own / 2), APART[1]),
            "holes as zeros, which need all columns": (holes_as_zeros, APART[1]),
            "a column for each rating": (APART[0], lambda u, items, part, r: (r * len(u), r * len(part))),
            "each item sent once": (APART[0], lambda u, items, part, r: (r * len(set(items)), r * len(part))),
            "all items to each part": (
                APART[0],
                lambda u, items, part, r: (r * len(set(items)) * len(set(part)), r * len(part)),
            ),
            "the rows stay where they are": (APART[0], lambda *case: (APART[1](*case)[0], 0)),
        },
    ),
}


def errors(folds, name):
    return np.array([row[name]["rmse"] for row in folds.values()])


def apart(folds, one, other):
    """The mean difference of two errors over the folds, and half of its 95 % interval."""
    return student(errors(folds, one) - errors(folds, other))


def processors(folds):
    """How many times the seconds of all processors that ours takes Spark takes, fold by fold."""
    return np.array([row["Spark"]["processor seconds"] / row["ours"]["processor seconds"] for row in folds.values()])


def objectives(folds):
    """How far Spark's objective is from ours, as a share of ours, fold by fold."""
    return np.array([row["Spark"]["objective"] / row["ours"]["objective"] - 1 for row in folds.values()])


def spark_does_not_pay_here(folds):
    """Both clearly behind biases, ours clearly the nearer; objectives within 3 %; Spark's work over twice ours."""
    behind = [apart(folds, "ours", "biases"), apart(folds, "Spark", "ours")]
    return (
        all(gap > half for gap, half in behind)
        and bool((np.abs(objectives(folds)) < 0.03).all())
        and bool((processors(folds) > 2).all())  # so Spark on two processors, all work divided, takes longer
    )


def in_folds(folds, name, key, change):
    """The same folds with one figure of a contender changed in each: change(row)."""
    altered = copy.deepcopy(folds)
    for row in altered.values():
        row[name][key] = change(row)
    return altered


PENALTIES = (0.02, 0.04, 0.06, 0.08, 0.1, 0.13, 0.17, 0.22, 0.3)

OBSERVATIONS = {
    "obs-scale-spark": Observation(
        measured=lambda: results.load("scale_spark")["folds"],
        protocol=Protocol(
            baseline="mean",
            contenders=[
                Contender("mean", fixed="has no setting"),
                Contender(
                    "biases",
                    {"users": (0.0, 6.0, 25.0), "items": (1.0, 2.5, 6.0)},
                    first={"users": "0 is no damping"},
                ),
                Contender("ours", {"penalty": PENALTIES}),
                Contender("Spark", fixed="the objective is that of ours, and so is its penalty"),
            ],
            tested_on="each of five random folds",
            tuned_on="a tenth of the other four",
            runs=5,
            interval="95 % by Student's t, paired, over the folds",
        ),
        verdict=spark_does_not_pay_here,
        numbers=lambda folds: [
            *(f"{errors(folds, name).mean():.4f}" for name in ("biases", "ours", "Spark")),
            *(f"{number:.4f}" for number in apart(folds, "Spark", "ours")),
            *(f"{100 * abs(end):.1f}" for end in (objectives(folds).max(), objectives(folds).min())),
            *(f"{end:.1f}" for end in (processors(folds).min(), processors(folds).max())),
        ],
        sharp={
            "Spark as near as ours": lambda folds: in_folds(folds, "Spark", "rmse", lambda row: row["ours"]["rmse"]),
            "ours as near as biases": lambda folds: in_folds(folds, "ours", "rmse", lambda row: row["biases"]["rmse"]),
            "another objective": lambda folds: in_folds(
                folds, "Spark", "objective", lambda row: 0.9 * row["ours"]["objective"]
            ),
            "Spark's work twice ours": lambda folds: in_folds(
                folds, "Spark", "processor seconds", lambda row: 2 * row["ours"]["processor seconds"]
            ),
            "a penalty at the edge": lambda folds: in_folds(folds, "ours", "chosen", lambda row: {"penalty": 0.3}),
        },
        chosen=lambda folds: {
            name: {setting: [row[name]["chosen"][setting] for row in folds.values()] for setting in settings}
            for name, settings in (("biases", ("users", "items")), ("ours", ("penalty",)))
        },
    ),
}
