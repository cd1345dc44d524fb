"""Freeze a sample of CLINC150 into data/tables/ of the package: 600 requests of thirty intents.

    LOWRANK_DATA=… python -m tools.frozen.clinc150

Three intents of each of the ten domains, in the order of the published list; of each the first 16 of the published
training requests and the first 4 of the test's.
"""

import json
import pathlib

from lowrank_helpers import datasets

PLACE = pathlib.Path(__file__).resolve().parents[2] / "lowrank_helpers" / "data" / "tables" / "clinc150_sample.json"
INTENTS, TRAIN, TEST = 3, 16, 4


def main() -> None:
    texts, labels, domains, split = datasets.load("intents", online=True)
    rows = list(zip(texts, labels.tolist(), domains.tolist(), split.tolist(), strict=True))
    chosen = []
    for domain in sorted({row[2] for row in rows} - {"oos"}):
        for label in sorted({row[1] for row in rows if row[2] == domain})[:INTENTS]:
            for part, count in (("train", TRAIN), ("test", TEST)):
                chosen += [row for row in rows if row[1] == label and row[3] == part][:count]
    lines = ",\n".join(json.dumps(row) for row in chosen)
    PLACE.write_text(f"[\n{lines}\n]\n", encoding="utf-8")


if __name__ == "__main__":
    main()
