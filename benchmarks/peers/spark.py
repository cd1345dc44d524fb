"""Spark's ALS on this machine: what chapter 19 shows, ``tests/spark`` runs, and `scale_spark` measures.

Spark needs a Java runtime; ``make test-spark`` installs Spark itself.
"""

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from typing import Any

import numpy as np
from pyspark import SparkConf, SparkContext
from pyspark.java_gateway import launch_gateway
from pyspark.ml.feature import StringIndexer
from pyspark.ml.recommendation import ALS
from pyspark.sql import SparkSession

NO_JAVA = (
    "Spark needs a Java runtime, version 17 or newer, and there is none here: on Debian and Ubuntu, "
    "apt install default-jre-headless."
)


def fit(ratings, rank, lam, iterations, parts=2):
    """Spark's factors for a frame with columns user, item, rating."""
    als = ALS(
        rank=rank,
        regParam=lam,  # times the ratings of each user and item
        maxIter=iterations,
        numUserBlocks=parts,
        numItemBlocks=parts,
        seed=0,
        userCol="user",
        itemCol="item",
        ratingCol="rating",
        coldStartStrategy="drop",  # "nan" where it is left out
    )
    return als.fit(ratings)


def numbers(ratings):
    """Learn a number for every name; a new name gets a new one."""
    words = StringIndexer(
        inputCols=["user_name", "item_name"],
        outputCols=["user", "item"],
        handleInvalid="keep",
    )
    return words.fit(ratings)


@contextlib.contextmanager
def session(memory: str = "1g", java_options: str = "") -> Iterator[Any]:
    """A session on two threads of this machine. Where it ends, its Java process and its files are gone."""
    home = os.environ.get("JAVA_HOME")
    if not (shutil.which(os.path.join(home, "bin", "java")) if home else shutil.which("java")):
        raise RuntimeError(NO_JAVA)
    with tempfile.TemporaryDirectory() as folder:
        settings = {
            "spark.driver.host": "127.0.0.1",
            "spark.driver.bindAddress": "127.0.0.1",
            "spark.driver.extraJavaOptions": java_options,
            "spark.driver.memory": memory,
            "spark.default.parallelism": "2",
            "spark.local.dir": folder,
            "spark.log.level": "ERROR",
            "spark.sql.shuffle.partitions": "2",
            "spark.sql.warehouse.dir": folder,
            "spark.ui.enabled": "false",
            "spark.ui.showConsoleProgress": "false",
        }
        conf = SparkConf().setMaster("local[2]").setAppName("ratings").setAll(list(settings.items()))
        gateway = launch_gateway(conf)
        context = None
        try:
            context = SparkContext(conf=conf, gateway=gateway)
            context.setCheckpointDir(folder)  # without one, plans grow with every sweep until Java's stack is full
            yield SparkSession.builder.getOrCreate()
        finally:
            if context is not None:
                context.stop()
            gateway.shutdown()
            gateway.proc.stdin.close()  # which Java takes as the end; stop() alone leaves it running
            gateway.proc.wait(60)
            SparkContext._gateway = SparkContext._jvm = None  # else the next session asks the one that ended


def factors(model: Any, shape: tuple[int, int]) -> tuple[Any, Any]:
    """W (m×r) and H (r×n) of a model in float64; zeros for users and items that it does not know."""
    found = []
    for frame, size in zip((model.userFactors, model.itemFactors), shape, strict=True):
        places, rows = zip(*frame.collect(), strict=True)
        side = np.zeros((size, model.rank))
        side[list(places)] = rows
        found.append(side)
    return found[0], found[1].T


def objective(users: Any, items: Any, ratings: Any, W: Any, H: Any, lam: float) -> float:
    """The squared errors, plus λ for every rating and the squares of its user's and its item's factors."""
    errors = ratings - np.einsum("kr,kr->k", W[users], H.T[items])
    squares = (W**2).sum(axis=1)[users] + (H**2).sum(axis=0)[items]
    return float((errors**2).sum() + lam * squares.sum())
