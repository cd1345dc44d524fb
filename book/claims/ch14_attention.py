"""The claims of chapter 14, attention."""

import math

import numpy as np

from book.claims import Adapted, Claim, Folklore, Helper, each
from book.definitions import definitions
from book.margins import above, close, rank, within

RNG = np.random.default_rng(140)
EPS = np.finfo(float).eps


# ---------------------------------------------------------------------------------------- logits and their softmax

CUT = 1e-12  # of entries of size 1: a softmax of full rank may have singular values down to 3e-8


def softmax(S, mask):
    """The helper's attention to the identity as values: softmax of S where the mask allows it."""
    E = np.where(mask, np.exp(S), 0.0)
    return E / E.sum(axis=1, keepdims=True)


def where_seen(rows, S, mask):
    """The chapter's softmax of rows: with its own causal mask where it is that one, else with -∞ in the logits."""
    causal = np.array_equal(mask, triangle(len(S)))
    return rows(S if causal else np.where(mask, S, -np.inf), causal)


SOFTMAX = Adapted(where_seen, definitions(14, "softmax_rows"))


def logit_rank_claim(code, Q, K, mask, full):
    """rank QKᵀ ≤ d; rank P = rank E; rank P = n where it is promised; triangular with a positive diagonal if masked."""
    n, d = Q.shape
    S = Q @ K.T
    P = code(S, mask)
    if P.shape != (n, n) or not np.isfinite(P).all() or not close(P.sum(axis=1), 1, atol=1e-12):
        return False
    E = np.where(mask, np.exp(S - S.max(axis=1, keepdims=True)), 0.0)  # up to positive factors, that its rank be seen
    if rank(S) > d or rank(P, CUT) != rank(E, CUT) or (full and rank(P, CUT) != n):
        return False
    return bool(mask.all() or (not np.triu(P, 1).any() and (np.diag(P) > 0).all()))


def bilinear(n, tau):
    a = np.arange(1.0, n + 1)[:, None]
    return tau * a, a


def everything(n):
    return np.ones((n, n), dtype=bool)


def triangle(n):
    return np.tril(everything(n))


# ---------------------------------------------------------------------------------------- Johnson and Lindenstrauss


def gaussian(k, n, rng):
    return rng.standard_normal((k, n)) / np.sqrt(k)


def blind(G, X):
    """Vectors that G sends to 0: what one can choose after having seen G."""
    null = np.linalg.svd(G)[2][len(G) :]
    return np.resize(null, X.shape)


def jl_claim(code, X, Y, epsilon, k, chosen=lambda G, X: X):
    """Among 400 draws no more failures, of lengths and of inner products, than promised (and four standard errors)."""
    rng, trials = np.random.default_rng(7), 400
    N, n = X.shape
    beta = epsilon**2 / 4 - epsilon**3 / 6
    lengths = products = 0
    for _ in range(trials):
        G = code(k, n, rng)
        if G.shape != (k, n):
            return False
        A, B = chosen(G, X), Y
        GA, GB = A @ G.T, B @ G.T
        a, b = (A**2).sum(1), (B**2).sum(1)
        lengths += bool((np.abs((GA**2).sum(1) - a) > epsilon * a).any())
        apart = np.abs((GA * GB).sum(1) - (A * B).sum(1))
        products += bool((apart > epsilon * np.sqrt(a * b)).any())

    def allowed(p):
        return trials * p + 4 * math.sqrt(trials * p * (1 - p)) if p < 1 else trials

    return within([lengths, products], [allowed(count * N * math.exp(-beta * k)) for count in (2, 4)])


VECTORS = RNG.standard_normal((10, 400))
OTHERS = RNG.standard_normal((10, 400))
SPARSE = np.eye(400)[:10]
WITH_ZERO = np.vstack([np.zeros(400), VECTORS[:3]])


# -------------------------------------------------------------------------------------------------- on given values


def stand_ins(P, Y, w):
    """Both matrices of the proposition: exact on one vector, exact on all columns."""
    return np.outer(P @ w, w) / (w @ w), P @ Y @ np.linalg.pinv(Y, rcond=1e-9)


def fixed_values_claim(code, P, Y, w, most=None):
    """Ranks at most 1 and rank Y (or ``most``), equal products; no lower rank than rank(PY) can do."""
    one, all_columns = code(P, Y, w)
    size = max(np.linalg.norm(P) * max(np.linalg.norm(Y), np.linalg.norm(w)), 1.0)
    tight = 1e4 * EPS * size * len(P)
    if not (close(one @ w, P @ w, atol=tight) and close(all_columns @ Y, P @ Y, atol=tight)):
        return False
    found = [rank(X, 1e-12, size) for X in (one, all_columns)]
    if found[0] > 1 or found[1] > (rank(Y) if most is None else most):
        return False
    return sketch_claim(P, w)


def sketch_claim(P, w, epsilon=0.6, k=220):
    """The third part, for 50 draws of G: the bound fails with probability at most 4n e^(−βk)."""
    rng, beta = np.random.default_rng(3), epsilon**2 / 4 - epsilon**3 / 6
    p = min(4 * len(P) * math.exp(-beta * k), 1)
    failures = 0
    for _ in range(50):
        G = gaussian(k, len(P), rng)
        error = np.linalg.norm(P @ (G.T @ (G @ w)) - P @ w)
        failures += error > epsilon * np.linalg.norm(P) * np.linalg.norm(w)
    return within(failures, 50 * p + 4 * math.sqrt(50 * p * (1 - p)))


STOCHASTIC = softmax(RNG.standard_normal((9, 9)) * 2, triangle(9))
Y_THIN = RNG.standard_normal((9, 3))
Y_DEFICIENT = Y_THIN[:, :1] @ np.array([[1.0, -2.0, 0.5]])
W_ONE = RNG.standard_normal(9)


# ------------------------------------------------------------------------------------------------------- absorption


def latent(X, C, heads, rotation=None, decoupled=None):
    """The layer head by head, keys and values made: what the absorbed form has to equal."""
    output = 0.0
    for h, (W_Q, W_UK, W_UV, W_O) in enumerate(heads):
        Q, K = X @ W_Q, C @ W_UK
        if rotation is not None:
            Q, K = (np.stack([row @ rotation(t) for t, row in enumerate(Z)]) for Z in (Q, K))
        S = Q @ K.T
        width = W_Q.shape[1]
        if decoupled is not None:
            S = S + decoupled[0][h] @ decoupled[1].T
            width += decoupled[1].shape[1]
        output = output + softmax(S / np.sqrt(width), triangle(len(X))) @ (C @ W_UV) @ W_O
    return output


def widened(layer, X, C, heads, decoupled=None):
    """The chapter's layer, which makes C = X W_DKV, on inputs that hold C, and a decoupled key and its queries."""
    key = np.zeros((len(X), 0)) if decoupled is None else decoupled[1]
    queries = [np.zeros((len(X), 0))] * len(heads) if decoupled is None else decoupled[0]
    everything, latent_dim, shared = np.hstack([X, C, key, *queries]), C.shape[1], key.shape[1]
    down = np.eye(everything.shape[1])[:, X.shape[1] : X.shape[1] + latent_dim + shared]
    W_Q, W_UK, W_UV = [], [], []
    for h, (Q, UK, UV, _) in enumerate(heads):
        own = np.eye(everything.shape[1])[:, down.shape[1] + X.shape[1] + h * shared :][:, :shared]
        W_Q.append(np.hstack([np.vstack([Q, np.zeros((everything.shape[1] - len(Q), Q.shape[1]))]), own]))
        W_UK.append(np.block([[UK, np.zeros((latent_dim, shared))], [np.zeros((shared, UK.shape[1])), np.eye(shared)]]))
        W_UV.append(np.vstack([UV, np.zeros((shared, UV.shape[1]))]))
    W_O = np.vstack([head[3] for head in heads])
    return layer(everything, down, *map(np.hstack, (W_UK, W_UV, W_Q)), W_O, len(heads))


def by_head(head, X, C, heads, decoupled=None):
    """The chapter's single head, with no decoupled key: its queries and keys stand beside X and C."""
    if decoupled is None:
        return sum(head(X, C, *weights) for weights in heads)
    output = 0.0
    for (Q, UK, UV, O), query in zip(heads, decoupled[0], strict=True):
        shared = query.shape[1]
        output = output + head(
            np.hstack([X, query]),
            np.hstack([C, decoupled[1]]),
            np.block([[Q, np.zeros((len(Q), shared))], [np.zeros((shared, Q.shape[1])), np.eye(shared)]]),
            np.block([[UK, np.zeros((len(UK), shared))], [np.zeros((shared, UK.shape[1])), np.eye(shared)]]),
            np.vstack([UV, np.zeros((shared, UV.shape[1]))]),
            O,
        )
    return output


def on_tensors(latent_attention, weights, X, *matrices_and_heads):
    import torch

    *matrices, heads = matrices_and_heads
    tensors = [torch.from_numpy(np.ascontiguousarray(M)) for M in (X, *matrices)]
    return latent_attention(tensors[0], weights(*tensors[1:]), heads=heads, form="absorbed").numpy()


ABSORBED = Adapted(widened, definitions(14, "absorbed"))
PACKAGE = Adapted(
    widened, Adapted(on_tensors, Helper("attention", "latent_attention"), Helper("attention", "LatentWeights"))
)


def absorption_claim(code, X, C, heads, rotation=None, decoupled=None):
    """The absorbed outputs are the explicit ones, and the absorbed matrices have the ranks that are promised."""
    expected, found = latent(X, C, heads, rotation, decoupled), code(X, C, heads, decoupled)
    if not close(found, expected, atol=1e-10 * max(np.abs(expected).max(), 1)):
        return False
    ranks = all(rank(Q @ UK.T) <= Q.shape[1] and rank(UV @ O) <= UV.shape[1] for Q, UK, UV, O in heads)
    return ranks and all(rotation_breaks(head[0], head[1]) for head in heads)


def rotation_breaks(W_Q, W_UK):
    """Part 2: with independent columns no matrix serves the distances 0 and 1, whatever the rotation ≠ I."""
    if min(rank(W_Q), rank(W_UK)) < W_Q.shape[1]:
        return True
    R = np.linalg.qr(np.random.default_rng(1).standard_normal((W_Q.shape[1],) * 2))[0]
    change = W_Q @ (R - np.eye(len(R))) @ W_UK.T
    return close(R, np.eye(len(R)), atol=1e-9) or bool(above(np.abs(change).max(), 1e-9))


def rotation(t):
    return np.array([[np.cos(t), np.sin(t)], [-np.sin(t), np.cos(t)]])


def make_heads(count, d, latent_dim, width, values, seed):
    rng = np.random.default_rng(seed)
    return [
        tuple(rng.standard_normal(s) for s in ((d, width), (latent_dim, width), (latent_dim, values), (values, d)))
        for _ in range(count)
    ]


def change_heads(change):
    return (lambda X, C, heads, decoupled=None: ABSORBED(X, C, change(heads), decoupled),)


def latent_scale(X, C, heads, decoupled=None):
    wide = [(Q * np.sqrt(Q.shape[1] / C.shape[1]), *rest) for Q, *rest in heads]
    return ABSORBED(X, C, wide, decoupled)


def values_transposed(X, C, heads, decoupled=None):
    wrong = [(Q, UK, UK if UK.shape == UV.shape else UV[::-1], O) for Q, UK, UV, O in heads]
    return ABSORBED(X, C, wrong, decoupled)


X_MLA, C_MLA = RNG.standard_normal((7, 6)), RNG.standard_normal((7, 4))
DECOUPLED = ([RNG.standard_normal((7, 2)) for _ in range(2)], RNG.standard_normal((7, 2)))


# ------------------------------------------------------------------------------------- one space for keys and values


def as_tensors(compress, W_K, W_V, r, X):
    import torch

    W_K, W_V, X = (torch.from_numpy(np.ascontiguousarray(Z)) for Z in (W_K, W_V, X))
    return [part.numpy() for part in compress(W_K, W_V, r, X=X)]


def side_by_side(compress, W_K, W_V, r, X):
    D, UK, UV = compress(W_K, W_V, r, X)
    return D, np.hstack([UK, UV])


JOINT = (
    Adapted(side_by_side, definitions(14, "split")),
    Adapted(side_by_side, Adapted(as_tensors, Helper("attention", "compress_kv"))),
)


def best(W, r, X):
    V = np.linalg.svd(X @ W, full_matrices=False)[2][:r].T
    return W @ V, V.T


def joint_claim(code, W_K, W_V, r, X, separate=None):
    """The error is the tail, no separate factors with ranks of sum r beat it, and rank W makes it exact."""
    W = np.hstack([W_K, W_V])
    D, U = code(W_K, W_V, r, X)
    if D.shape != (len(W), r) or U.shape != (r, W.shape[1]):
        return False
    error = np.linalg.norm(X @ W - X @ D @ U)
    s = np.linalg.svd(X @ W, compute_uv=False)
    slack = 1e3 * EPS * max(*W.shape, len(X)) * max(s[0], 1.0)
    if not within(abs(error - np.sqrt((s[r:] ** 2).sum())), slack):
        return False
    pairs = [(i, r - i) for i in range(1, r)] if separate is None else [separate]
    for r_K, r_V in pairs:
        misses = []
        for Z, k in ((W_K, r_K), (W_V, r_V)):
            E, F = best(Z, min(k, *Z.shape, len(X)), X)
            misses.append(np.linalg.norm(X @ Z - X @ E @ F))
        if not within(error - np.hypot(*misses), slack):
            return False
    return r < rank(W) or within(error, slack)


def with_left_vectors(W_K, W_V, r, X):
    W = np.hstack([W_K, W_V])
    U = np.linalg.svd(X @ W, full_matrices=False)[0][:, :r]
    if len(U) != len(W):
        U = np.resize(U, (len(W), r))
    return U, U.T @ W


def without_inputs(W_K, W_V, r, X):
    return best(np.hstack([W_K, W_V]), r, np.eye(len(W_K)))


def keys_first(W_K, W_V, r, X):
    """The latent space of the keys alone, values fitted to it."""
    V = np.linalg.svd(X @ W_K, full_matrices=False)[2][:r].T
    D = W_K @ V
    if D.shape[1] < r:
        D = np.hstack([D, np.zeros((len(D), r - D.shape[1]))])
    return D, np.linalg.pinv(X @ D, rcond=1e-9) @ X @ np.hstack([W_K, W_V])


W_KEYS, W_VALUES = RNG.standard_normal((6, 4)) @ np.diag([3, 1, 1, 0.2]), RNG.standard_normal((6, 5))
INPUTS = RNG.standard_normal((20, 6)) @ np.diag([5.0, 2, 1, 0.5, 0.1, 0.01])


CLAIMS = {
    "thm-logit-rank": Claim(
        check=logit_rank_claim,
        code=SOFTMAX,
        cases=[
            (*bilinear(6, 1.0), everything(6), True),
            (*bilinear(4, -0.5), everything(4), True),
            (*bilinear(1, 2.0), everything(1), True),
            (*RNG.standard_normal((2, 7, 2)), triangle(7), True),
            (np.zeros((5, 3)), np.zeros((5, 3)), triangle(5), True),
            (*RNG.standard_normal((2, 5, 5)), everything(5), False),
            (np.ones((4, 1)), np.arange(4.0)[:, None], everything(4), False),
        ],
        dropped={
            "τ ≠ 0": (*bilinear(5, 0.0), everything(5), True),
            "distinct queries": (np.array([[1.0], [1], [2]]), np.array([[1.0], [2], [3]]), everything(3), True),
            "the mask keeps the diagonal": (
                *bilinear(4, 0.5),
                np.tril(everything(4), -1) | (np.arange(4) == 0),
                True,
            ),
            "the mask hides all that is above the diagonal": (np.ones((4, 1)), np.ones((4, 1)), everything(4), True),
        },
        mutants={
            "logits, normalised, without the exponential": lambda S, mask: (
                np.where(mask, S, 0.0) / np.where(mask, S, 0.0).sum(1, keepdims=True)
            ),
            "a softmax of rank at most d": lambda S, mask: np.where(mask, S**0, 0.0) / mask.sum(1, keepdims=True),
            "columns for rows": lambda S, mask: SOFTMAX(S.T.copy(), mask.T.copy()).T,
            "the mask multiplies logits by 0": lambda S, mask: SOFTMAX(np.where(mask, S, 0.0), mask | True),
        },
    ),
    "thm-johnson-lindenstrauss": Claim(
        check=jl_claim,
        code=gaussian,
        cases=[
            (VECTORS, OTHERS, 0.5, 150),
            (VECTORS, VECTORS, 0.9, 80),
            (SPARSE, OTHERS, 0.5, 150),
            (WITH_ZERO, OTHERS[:4], 0.5, 150),
            (VECTORS[:, :3], OTHERS[:, :3], 0.5, 150),
        ],
        dropped={"chosen before G": (VECTORS, OTHERS, 0.5, 150, blind)},
        mutants={
            "variance 1": lambda k, n, rng: rng.standard_normal((k, n)),
            "variance 1/n": lambda k, n, rng: rng.standard_normal((k, n)) / np.sqrt(n),
            "rows that are not independent": lambda k, n, rng: np.repeat(gaussian(1, n, rng) / np.sqrt(k), k, axis=0),
            "the first k coordinates": lambda k, n, rng: np.eye(k, n) * np.sqrt(n / k),
        },
    ),
    "prop-fixed-values": Claim(
        check=fixed_values_claim,
        code=stand_ins,
        cases=[
            (STOCHASTIC, Y_THIN, W_ONE),
            (STOCHASTIC, Y_DEFICIENT, W_ONE),
            (np.eye(9), Y_THIN, Y_THIN[:, 0]),
            (np.zeros((9, 9)), Y_THIN, W_ONE),
            (STOCHASTIC, np.zeros((9, 2)), W_ONE),
            (np.full((4, 4), 0.25), np.eye(4), np.array([1.0, -1, 0, 0])),
        ],
        dropped={
            "rank at least that of PY": (STOCHASTIC, Y_THIN, W_ONE, 2),
            "one vector (all columns at once, with rank 1)": (np.eye(9), Y_THIN, W_ONE, 1),
        },
        mutants={
            "P itself": lambda P, Y, w: (np.outer(P @ w, w) / (w @ w), P),
            "without the square": lambda P, Y, w: (np.outer(P @ w, w) / np.linalg.norm(w), stand_ins(P, Y, w)[1]),
            "the transpose for the pseudo-inverse": lambda P, Y, w: (stand_ins(P, Y, w)[0], P @ Y @ Y.T),
            "the best approximation of P": lambda P, Y, w: (
                stand_ins(P, Y, w)[0],
                (lambda U, s, Vt: (U[:, :3] * s[:3]) @ Vt[:3])(*np.linalg.svd(P)),
            ),
        },
    ),
    "thm-mla-absorption": Claim(
        check=each(absorption_claim),
        code=(
            ABSORBED,
            Adapted(widened, definitions(14, "explicit")),
            Adapted(by_head, definitions(14, "head")),
            PACKAGE,
        ),
        cases=[
            (X_MLA, C_MLA, make_heads(2, 6, 4, 2, 2, 1)),
            (X_MLA, C_MLA, make_heads(3, 6, 4, 2, 3, 2)),
            (X_MLA, C_MLA, make_heads(1, 6, 4, 5, 5, 3)),
            (X_MLA[:1], C_MLA[:1], make_heads(2, 6, 4, 2, 2, 4)),
            (X_MLA, C_MLA, make_heads(2, 6, 4, 2, 2, 5), None, DECOUPLED),
            (X_MLA, C_MLA, [tuple(0 * W for W in head) for head in make_heads(2, 6, 4, 2, 2, 6)]),
        ],
        dropped={"no rotation between the factors": (X_MLA, C_MLA, make_heads(2, 6, 4, 2, 2, 1), rotation)},
        mutants={
            "the scale of the latent width": (latent_scale,),
            "heads of the keys exchanged": change_heads(
                lambda heads: [(head[0], other[1], *head[2:]) for head, other in zip(heads, heads[::-1], strict=True)]
            ),
            "values through the keys' projection": (values_transposed,),
            "one matrix for all heads": change_heads(lambda heads: [(*heads[0][:2], *head[2:]) for head in heads]),
            "the decoupled key forgotten": (lambda X, C, heads, decoupled=None: ABSORBED(X, C, heads),),
        },
    ),
    "prop-joint-kv": Claim(
        check=each(joint_claim),
        code=JOINT,
        cases=[
            *((W_KEYS, W_VALUES, r, np.eye(6)) for r in (1, 2, 4, 6)),
            (W_KEYS, W_VALUES, 3, INPUTS),
            (W_KEYS, W_VALUES, 2, INPUTS[:3]),
            (W_KEYS[:, :2], W_KEYS[:, :2] @ np.ones((2, 3)), 2, np.eye(6)),
            (0 * W_KEYS, 0 * W_VALUES, 2, INPUTS),
            (np.eye(4), np.eye(4), 3, np.eye(4)),
        ],
        dropped={"inner dimensions of sum r": (W_KEYS, W_VALUES, 4, np.eye(6), (4, 4))},
        mutants={
            "left singular vectors": (with_left_vectors,),
            "the weights' own, whatever the inputs": (without_inputs,),
            "the latent space of the keys alone": (keys_first,),
            "the last singular vectors": (
                lambda W_K, W_V, r, X: (lambda W, V: (W @ V[-r:].T, V[-r:]))(
                    np.hstack([W_K, W_V]), np.linalg.svd(X @ np.hstack([W_K, W_V]), full_matrices=False)[2]
                ),
            ),
        },
    ),
}


def sharp_head(n=40):
    """A head of width 1 whose logits have rank 1, and its causal softmax."""
    Q, K = bilinear(n, 1 / n)
    return Q @ K.T, softmax(Q @ K.T, triangle(n))


def cache_saved(elements, of, bits=16, of_bits=16):
    return 1 - elements * bits / (of * of_bits)


FOLKLORE = {
    19: Folklore(
        wrong="QKᵀ has rank at most d_k, so the attention matrix is of low rank",
        fails=lambda: rank(SOFTMAX(np.outer(np.arange(1, 7.0), np.arange(1, 7.0)), everything(6)), CUT) == 6,
        holds=lambda: (
            rank(sharp_head()[0]) == 1
            and (np.diag(sharp_head()[1]) > 0).all()
            and not np.triu(sharp_head()[1], 1).any()
        ),
    ),
    20: Folklore(
        wrong="Linformer proves that attention is of low rank",
        fails=lambda: rank(stand_ins(np.eye(9), Y_THIN, W_ONE)[1]) == 3 and rank(np.eye(9)) == 9,
        holds=lambda: fixed_values_claim(stand_ins, STOCHASTIC, Y_THIN, W_ONE),
    ),
    27: Folklore(
        wrong="MLA cuts the KV cache by 93.3 % against multi-head attention",
        fails=lambda: round(cache_saved(576, 2 * 128 * 128), 3) == 0.982,
        holds=lambda: (
            round(cache_saved(60 * 576, 95 * 2048, 6, 16), 3) == 0.933
            and round(cache_saved(60 * 576, 95 * 2048), 3) == 0.822
        ),
    ),
}
