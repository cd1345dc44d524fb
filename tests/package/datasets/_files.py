"""Small files in the form of the published ones."""

import io
import json
import zipfile


def _zip(**contents):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in contents.items():
            file.writestr(name, content)
    return buffer.getvalue()


def _latest_small():
    return _zip(
        **{
            "ml-latest-small/ratings.csv": b"userId,movieId,rating,timestamp\r\n"
            + b"".join(b"%d,%d,%d.5,%d\r\n" % (u, 10 * i, (u + i) % 5, 9 - i) for u in (1, 7) for i in (2, 4, 5, 6, 8)),
            "ml-latest-small/movies.csv": b"movieId,title,genres\r\n"
            + b"".join(b'%d,"No. %d, The",Drama\r\n' % (i, i) for i in range(10, 100, 10)),
        }
    )


def _100k():
    rows = "".join(f"{u}\t{i}\t{1 + (u * i) % 5}\t{u + i}\n" for u in (3, 4) for i in (9, 8, 5, 6, 7))
    films = "".join(f"{i}|Misérables {i} (1995)|01-Jan-1995||http://x|0|1\n" for i in range(1, 10))
    return _zip(**{"ml-100k/u.data": rows.encode(), "ml-100k/u.item": films.encode("latin-1")})


def _1m():
    rows = "".join(f"{u}::{i}::{1 + (u * i) % 5}::{u + i}\n" for u in (3, 4) for i in (9, 8, 5, 6, 7))
    films = "".join(f"{i}::Misérables, Les {i} (1995)::Drama\n" for i in range(1, 10))
    return _zip(**{"ml-1m/ratings.dat": rows.encode(), "ml-1m/movies.dat": films.encode("latin-1")})


def _intents():
    pairs = [["what is my balance", "balance"], ["book me a table", "restaurant_reservation"]]
    return json.dumps({"oos_val": [["who won", "oos"]], "train": pairs, "test": pairs[:1], "val": pairs[1:]}).encode()


MADE = {
    "ratings": _latest_small,
    "ml-100k": _100k,
    "ml-1m": _1m,
    "shakespeare": lambda: b"First Citizen:\nBefore we proceed any further, hear me speak.\n",
    "intents": _intents,
}
