"""Write what the benchmarks measured into the page measured.md: tables, and two drawings.

    python -m tools.measured [--check]

The figures are those of lowrank_helpers.results; each part of the page between two comments is this program's. Ratios
are of medians: ours over the peer's, at the peer's own accuracy.
"""

import argparse
import html
import math
import pathlib
import re
from collections.abc import Callable, Sequence

from lowrank_helpers import results

ROOT = pathlib.Path(__file__).resolve().parent.parent
PART = re.compile(r"(<!-- measured: (\w+) -->\n).*?(<!-- measured: end -->)", re.DOTALL)
SVD_PEERS = ("scikit-learn, 4", "scikit-learn, auto", "torch, 2", "torch, 4", "ARPACK", "PROPACK")
ROUNDING = {"float64": 1e-12, "float32": 1e-10}  # an excess below this is no difference
STUDIES = ("svd", "nmf", "lsa", "completion", "lora")


def ratio(ours: float, theirs: float) -> str:
    """Return a ratio to two digits."""
    return f"{ours / theirs:.2f}"


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table in Markdown, the columns after the first to the right."""
    lines = [head, [":---"] + ["---:"] * (len(head) - 1), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


# ------------------------------------------------------------------------------------------------------ the tables


def svd_ratios() -> dict[str, list[str]]:
    """For each matrix and peer: the fastest of ours whose error is not larger, over the peer."""
    rows = {}
    for case, result in results.load("svd")["cases"].items():
        contenders, cells = result["contenders"], []
        for peer in SVD_PEERS:
            limit = max(contenders[peer]["excess"], ROUNDING[result["dtype"]])
            able = [row["seconds"] for name, row in contenders.items() if "ours" in name and row["excess"] <= limit]
            cells.append(ratio(min(able), contenders[peer]["seconds"]) if able else "–")
        rows[f"{case}, {result['shape'][0]} × {result['shape'][1]}"] = cells
    return rows


def svd_part() -> str:
    """The ratios, drawn and as a table."""
    ratios = svd_ratios()
    return "\n\n".join([drawn(ratio_plot(ratios)), table(("matrix", *SVD_PEERS), [[k, *v] for k, v in ratios.items()])])


def nmf_part() -> str:
    """For each matrix and loss: seconds to two targets, and from how many of five starts."""
    rows = []
    for case, result in results.load("nmf")["cases"].items():
        mine, peer = result["methods"].values()
        cells, starts = [], []
        for target in ("1.0%", "0.1%"):
            ours, theirs = mine[f"seconds to {target}"], peer[f"seconds to {target}"]
            cells.append(ratio(ours, theirs) if ours and theirs else "only ours" if ours else "neither")
            starts.append(f"{mine[f'starts that reach {target}']} / {peer[f'starts that reach {target}']}")
        rows.append([case, *cells, *starts])
    head = ("matrix, loss", "to 1 %", "to 0.1 %", "starts to 1 %, ours / scikit-learn", "starts to 0.1 %")
    return table(head, rows)


def lsa_part() -> str:
    """Seconds, and the energy lost beyond what every method must lose."""
    found = results.load("lsa")["methods"].items()
    rows = [[name, f"{row['seconds']:.2f}", f"{100 * max(row['energy lost'], 0):.2f} %"] for name, row in found]
    return table(("method", "seconds", "energy lost beyond the least"), rows)


def completion_part() -> str:
    """Seconds beside the error, without noise and with it."""
    stored, parts = results.load("completion"), []
    for part, name in (("synthetic", "without noise"), ("synthetic, 10 % noise", "10 % noise")):
        rows = [[method, f"{row['seconds']:.3f}", f"{row['error']:.1e}"] for method, row in stored[part].items()]
        parts.append(table((f"500 × 500, rank 5, 30 % seen, {name}", "seconds", "relative error"), rows))
    return "\n\n".join(parts)


def ratings() -> dict[str, tuple[float, float]]:
    """For each method: seconds to fit, and the mean over the folds of the root mean square error."""
    stored, folds = results.load("completion")["ratings"], [f"fold {k}" for k in range(5)]
    return {
        name: (seconds, sum(stored["splits"][fold][name]["rmse"] for fold in folds) / len(folds))
        for name, seconds in stored["seconds"].items()
    }


def ratings_part() -> str:
    """Seconds against errors, drawn and as a table."""
    found = ratings()
    rows = [[name, f"{seconds:.2f}", f"{error:.4f}"] for name, (seconds, error) in found.items()]
    return "\n\n".join([drawn(scatter_plot(found)), table(("method", "seconds to fit", "error in stars"), rows)])


def lists_part() -> str:
    """What lists of ten find."""
    found = results.load("completion")["implicit"]["methods"].items()
    rows = [[name, f"{row['recall']:.3f}", f"{row['ndcg']:.3f}"] for name, row in found]
    return table(("method", "recall at 10", "NDCG at 10"), rows)


def speed_part() -> str:
    """Seconds for implicit feedback."""
    found = results.load("completion")["speed"].items()
    return table(("method", "seconds"), [[name, f"{row['seconds']:.2f}"] for name, row in found])


def lora_part() -> str:
    """Seconds and memory of a step."""
    found = results.load("lora")["contenders"].items()
    rows = [[name, f"{row['seconds per step']:.2f}", f"{row['megabytes above the model']:.0f}"] for name, row in found]
    return table(("loop", "seconds a step", "megabytes above the model"), rows)


def machines_part() -> str:
    """When, with what and on what each study was run."""
    rows = []
    for study in STUDIES:
        stored = results.load(study)
        versions = ", ".join(f"{name} {version}" for name, version in stored["versions"].items())
        rows.append([f"`{study}`", stored["date"], stored["device"], f"{stored['threads']}", versions])
    return table(("study", "date", "device", "threads", "versions"), rows)


# ---------------------------------------------------------------------------------------------------- the drawings

DOT = 'r="6" fill="{colour}" fill-opacity=".75"'
COLOURS = ("#0072b2", "#56b4e9", "#d55e00", "#e69f00", "#009e73", "#cc79a7")  # one for each peer
WIDE = 720


def drawn(svg: str) -> str:
    """A drawing as a part of the page, so that it has the page's colours and lettering."""
    return f'```{{raw}} html\n<div class="pst-scrollable-table-container">\n{svg}\n</div>\n```'


def canvas(name: str, height: int, parts: Sequence[str]) -> str:
    """The drawing: lettering and lines in the colour of the text."""
    head = f'<svg class="measured" viewBox="0 0 {WIDE} {height}" role="img" aria-label="{html.escape(name)}">'
    return "\n".join([head, *parts, "</svg>"])


def text(x: float, y: float, words: str, anchor: str = "start") -> str:
    """A line of lettering."""
    return f'<text x="{x:.0f}" y="{y:.0f}" text-anchor="{anchor}">{html.escape(words)}</text>'


def rule(x1: float, y1: float, x2: float, y2: float, kind: str = "grid") -> str:
    """A line."""
    return f'<line class="{kind}" x1="{x1:.0f}" y1="{y1:.0f}" x2="{x2:.0f}" y2="{y2:.0f}"/>'


def dot(x: float, y: float, colour: str, words: str) -> str:
    """A dot that says what it is when pointed at."""
    return f'<circle cx="{x:.0f}" cy="{y:.0f}" {DOT.format(colour=colour)}><title>{html.escape(words)}</title></circle>'


def log_scale(low: float, high: float, start: float, end: float) -> Callable[[float], float]:
    """Where a number lies between two places, on a logarithmic scale."""
    return lambda value: start + (end - start) * math.log(value / low) / math.log(high / low)


def ratio_plot(ratios: dict[str, list[str]]) -> str:
    """A line for each matrix, a dot for each peer: left of 1, ours is faster."""
    x, top, bottom = log_scale(0.125, 1.25, 250, WIDE - 20), 60, 66 + 30 * len(ratios)
    parts = []
    for k, peer in enumerate(SVD_PEERS):
        left, line = 10 + 240 * (k % 3), 14 + 22 * (k // 3)
        parts += [dot(left + 6, line, COLOURS[k], peer), text(left + 18, line + 5, peer)]
    for tick in (0.125, 0.25, 0.5, 1):
        parts += [rule(x(tick), top, x(tick), bottom, "one" if tick == 1 else "grid")]
        parts += [text(x(tick), bottom + 20, f"{tick:g}", "middle")]
    for row, (name, cells) in enumerate(ratios.items()):
        y = top + 21 + 30 * row
        parts += [text(240, y + 5, name, "end"), rule(250, y, WIDE - 20, y)]
        parts += [  # each a little lower than the last, so that equal ones are both seen
            dot(x(float(cell)), y + 2 * k - 5, COLOURS[k], f"{SVD_PEERS[k]}: {cell}")
            for k, cell in enumerate(cells)
            if cell != "–"
        ]
    parts.append(text(WIDE - 20, bottom + 42, "time of ours over the peer's, as accurate at least", "end"))
    return canvas("Times of ours over each peer's, by matrix; the numbers are in the table below", bottom + 50, parts)


def scatter_plot(found: dict[str, tuple[float, float]]) -> str:
    """Seconds to fit against the error, a dot with its name for each method that learns more than the mean."""
    shown = {name: pair for name, pair in found.items() if pair[0] >= 0.01}
    x, best, worst = log_scale(0.01, 20, 60, WIDE - 20), 0.83, 0.88
    top, bottom = 14, 360
    parts = []
    for tick in (0.01, 0.1, 1, 10):
        parts += [rule(x(tick), top, x(tick), bottom), text(x(tick), bottom + 20, f"{tick:g} s", "middle")]
    for k in range(6):
        error = best + 0.01 * k
        y = bottom - (bottom - top) * (error - best) / (worst - best)
        parts += [rule(60, y, WIDE - 20, y), text(50, y + 5, f"{error:.2f}", "end")]
    for name, (seconds, error) in shown.items():
        y = bottom - (bottom - top) * (error - best) / (worst - best)
        theirs = name.startswith("Surprise")
        parts.append(dot(x(seconds), y, COLOURS[2 if theirs else 0], f"{name}: {seconds:.2f} s, {error:.4f}"))
        right = x(seconds) > 0.72 * WIDE
        parts.append(
            text(
                x(seconds) - 10 if right else x(seconds) + 10,
                y - 6 if theirs else y + 18,
                name,
                "end" if right else "start",
            )
        )
    parts.append(text(WIDE - 20, bottom + 42, "seconds to fit, and root mean square error in stars", "end"))
    return canvas("Seconds to fit against the error of each method, as in the table below", bottom + 50, parts)


# -------------------------------------------------------------------------------------------------------- the page

PARTS = {
    "svd": svd_part,
    "nmf": nmf_part,
    "lsa": lsa_part,
    "completion": completion_part,
    "ratings": ratings_part,
    "lists": lists_part,
    "speed": speed_part,
    "lora": lora_part,
    "machines": machines_part,
}


def filled(page: str) -> str:
    """Return the page with each part written anew."""
    return PART.sub(lambda found: f"{found[1]}\n{PARTS[found[2]]()}\n\n{found[3]}", page)


def main(arguments: list[str] | None = None) -> None:
    """Write, or with --check compare."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--check", action="store_true", help="change nothing; fail if the page has other figures")
    options = parser.parse_args(arguments)
    path = ROOT / "measured.md"
    page = path.read_text("utf-8")
    if options.check:
        if filled(page) != page:
            raise SystemExit("measured.md has other figures than lowrank_helpers.results: run python -m tools.measured")
        return
    path.write_text(filled(page), "utf-8")


if __name__ == "__main__":
    main()
