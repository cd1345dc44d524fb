"""Write what the benchmarks measured into the README, as ratios of medians: ours over the peer's, at its own accuracy.

    python -m tools.readme_figures [--check]

The figures are those of lowrank_helpers.results; the part of README.md between two comments is theirs.
"""

import argparse
import pathlib

from lowrank_helpers import results

ROOT = pathlib.Path(__file__).resolve().parent.parent
BEGIN, END = "<!-- measured: begin -->\n", "<!-- measured: end -->\n"
SVD_PEERS = ("scikit-learn, 4", "scikit-learn, auto", "torch, 2", "torch, 4", "ARPACK", "PROPACK")
ROUNDING = {"float64": 1e-12, "float32": 1e-10}  # an excess below this is no difference


def ratio(ours: float, theirs: float) -> str:
    """Return a ratio to two digits."""
    return f"{ours / theirs:.2f}"


def svd_table() -> list[str]:
    """For each matrix and peer: the fastest of ours whose error is not larger, over the peer."""
    rows = ["| truncated SVD, rank 50 | " + " | ".join(SVD_PEERS) + " |", "|---" * (len(SVD_PEERS) + 1) + "|"]
    for case, result in results.load("svd")["cases"].items():
        contenders, cells = result["contenders"], []
        for peer in SVD_PEERS:
            limit = max(contenders[peer]["excess"], ROUNDING[result["dtype"]])
            able = [row["seconds"] for name, row in contenders.items() if "ours" in name and row["excess"] <= limit]
            cells.append(ratio(min(able), contenders[peer]["seconds"]) if able else "–")
        rows.append(f"| {case}, {result['shape'][0]} × {result['shape'][1]} | " + " | ".join(cells) + " |")
    return rows


def nmf_table() -> list[str]:
    """For each matrix and loss: seconds to two targets, and from how many of five starts."""
    rows = ["| NMF, five starts | to 1 % | to 0.1 % | starts that get there, ours / theirs |", "|---|---|---|---|"]
    for case, result in results.load("nmf")["cases"].items():
        mine, peer = result["methods"].values()
        cells, starts = [], []
        for target in ("1.0%", "0.1%"):
            ours, theirs = mine[f"seconds to {target}"], peer[f"seconds to {target}"]
            cells.append(ratio(ours, theirs) if ours and theirs else "only ours" if ours else "neither")
            starts.append(f"{mine[f'starts that reach {target}']} / {peer[f'starts that reach {target}']}")
        rows.append(f"| {case} | " + " | ".join(cells) + f" | {starts[0]}, {starts[1]} |")
    return rows


def lsa_lines() -> list[str]:
    """Seconds, and the energy lost beyond what every method must lose."""
    result = results.load("lsa")
    size = " × ".join(map(str, result["shape"]))
    rows = [f"| LSA, {size}, rank {result['rank']} | seconds | energy lost beyond the least |", "|---|---|---|"]
    for name, row in result["methods"].items():
        rows.append(f"| {name} | {row['seconds']:.2f} | {100 * max(row['energy lost'], 0):.2f} % |")
    return rows


def completion_tables() -> list[str]:
    """Synthetic, ratings, lists: seconds beside what was reached."""
    result = results.load("completion")
    rows = ["| completion, 500 × 500, rank 5, 30 % seen | seconds | relative error |", "|---|---|---|"]
    for part, note in (("synthetic", ""), ("synthetic, 10 % noise", ", 10 % noise")):
        for name, row in result[part].items():
            rows.append(f"| {name}{note} | {row['seconds']:.3f} | {row['error']:.1e} |")
    source = "MovieLens Latest Small" if result["data"] == "ratings" else result["data"]
    rows += [
        "",
        f"| {source}, five folds, all tuned alike | seconds to fit | root mean square error |",
        "|---|---|---|",
    ]
    stored, folds = result["ratings"], [f"fold {k}" for k in range(5)]
    for name, seconds in stored["seconds"].items():
        error = sum(stored["splits"][fold][name]["rmse"] for fold in folds) / len(folds)
        rows.append(f"| {name} | {seconds:.2f} | {error:.4f} |")
    rows += ["", "| lists of ten, the same table | recall at 10 | NDCG at 10 |", "|---|---|---|"]
    for name, row in result["implicit"]["methods"].items():
        rows.append(f"| {name} | {row['recall']:.3f} | {row['ndcg']:.3f} |")
    rows += ["", "| implicit feedback, the same table | seconds |", "|---|---|"]
    rows += [f"| {name} | {row['seconds']:.2f} |" for name, row in result["speed"].items()]
    return rows


def section() -> str:
    """Return the part of the README."""
    tables = [svd_table(), nmf_table(), lsa_lines(), completion_tables()]
    return "\n" + "\n\n".join("\n".join(table) for table in tables) + "\n\n"


def main(arguments: list[str] | None = None) -> None:
    """Write, or with --check compare."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--check", action="store_true", help="change nothing; fail if the README has other figures")
    options = parser.parse_args(arguments)
    path = ROOT / "README.md"
    text = path.read_text("utf-8")
    start, end = text.index(BEGIN) + len(BEGIN), text.index(END)
    if options.check:
        if text[start:end] != section():
            raise SystemExit(
                "README.md has other figures than lowrank_helpers.results: run python -m tools.readme_figures"
            )
        return
    path.write_text(text[:start] + section() + text[end:], "utf-8")


if __name__ == "__main__":
    main()
