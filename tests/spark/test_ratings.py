"""Spark's ALS and `als_complete` on one table: the same objective; what Spark does with names and with cold users.

``make test-spark`` runs these: they need Spark and Java, which nothing else here does.
"""

import os
import socket
import subprocess
import sys
import time

import numpy as np
import pytest
from pyspark.ml.recommendation import ALS
from scipy.sparse import coo_array
from sklearn.linear_model import Ridge

from benchmarks.peers.spark import NO_JAVA, factors, fit, numbers, objective, session
from book.margins import close, rejects, within
from lowrank_helpers.completion import als_complete
from lowrank_helpers.datasets import load

RANK, LAM, SWEEPS = 3, 0.3, 15
TABLE = load("ratings")
RATINGS = TABLE.users, TABLE.items, TABLE.ratings
COLUMNS = "user int, item int, rating float"


def rows(*columns):
    """Columns as rows of Python's own numbers and words, as Spark takes them."""
    return list(zip(*(column.tolist() for column in columns), strict=True))


@pytest.fixture(scope="module")
def frame(spark):
    frame = spark.createDataFrame(rows(*RATINGS), COLUMNS).cache()
    yield frame
    frame.unpersist()


@pytest.fixture(scope="module")
def model(frame):
    return fit(frame, RANK, LAM, SWEEPS)


def best_users(W, H, weights):
    """Each row of W is the ridge regression of its user's ratings on the columns of H, as scikit-learn has it."""
    ridges = [
        Ridge(alpha=weights[i], fit_intercept=False).fit(H.T[TABLE.items[own]], TABLE.ratings[own]).coef_
        for i in range(len(W))
        for own in [TABLE.users == i]
    ]
    return close(W, np.array(ridges), atol=1e-3)


def test_the_last_half_step_has_lambda_times_the_counts(model):
    W, H = factors(model, TABLE.shape)
    counts = np.bincount(TABLE.users)
    assert best_users(W, H, LAM * counts)
    assert rejects(best_users, W, H, np.full(len(W), LAM)), "the same λ for all"
    assert rejects(best_users, W, H, np.full(len(W), LAM * counts.mean())), "the counts' mean"


def test_the_objective_falls_with_every_sweep_to_ours(frame, model):
    ours = als_complete(
        coo_array((TABLE.ratings, (TABLE.users, TABLE.items)), shape=TABLE.shape),
        RANK,
        penalty=LAM,
        weighted=True,
        max_iterations=300,
        tolerance=1e-7,
    )
    assert close(ours.objective[-1], objective(*RATINGS, ours.W, ours.H, LAM), rtol=1e-9)
    models = [fit(frame, RANK, LAM, 1), fit(frame, RANK, LAM, 3), model]
    values = [objective(*RATINGS, *factors(found, TABLE.shape), LAM) for found in models]
    assert all(np.diff(values) < 0)
    assert within(abs(values[-1] - ours.objective[-1]), 0.01 * ours.objective[-1])
    assert rejects(lambda: within(abs(values[0] - ours.objective[-1]), 0.01 * ours.objective[-1]))


def test_a_name_is_no_id_and_gets_a_number(spark):
    users, items = (np.array([f"{kind} {k}" for k in ids]) for kind, ids in zip("ui", RATINGS[:2], strict=True))
    named = spark.createDataFrame(rows(users, items, TABLE.ratings), "user_name string, item_name string, rating float")
    renamed = named.withColumnsRenamed({"user_name": "user", "item_name": "item"})
    with pytest.raises(Exception, match="must be of type numeric"):
        fit(renamed, RANK, LAM, 1)
    learnt = numbers(named)
    found = fit(learnt.transform(named), RANK, LAM, 1)
    places = [[int(name.split()[1]) for name in names] for names in learnt.labelsArray]
    W, H = factors(found, TABLE.shape)
    back = np.zeros_like(W), np.zeros_like(H)
    back[0][places[0]], back[1][:, places[1]] = W, H
    assert best_users(*back, LAM * np.bincount(TABLE.users))
    assert rejects(best_users, W, H, LAM * np.bincount(TABLE.users)), "numbers are not those of the names"
    new = spark.createDataFrame([("u 0", "i 0", 1.0), ("a new one", "i 0", 1.0)], named.schema)
    assert found.transform(learnt.transform(new)).count() == 1


def test_a_cold_user_is_nan_or_dropped(spark, frame, model):
    asked = spark.createDataFrame([(0, 0, 1.0), (10**6, 0, 1.0), (0, 10**6, 1.0)], COLUMNS)
    assert [row.user for row in model.transform(asked).collect()] == [0]
    usual = ALS(rank=RANK, maxIter=1, userCol="user", itemCol="item", ratingCol="rating").fit(frame)
    predicted = {(row.user, row.item): row.prediction for row in usual.transform(asked).collect()}
    assert {place for place, value in predicted.items() if np.isnan(value)} == {(10**6, 0), (0, 10**6)}


SCRIPT = """
import sys
from benchmarks.peers.spark import session
with session() as spark:
    gateway = spark.sparkContext._gateway
    proc = gateway.proc
    print(proc.pid, gateway.gateway_parameters.port, spark.conf.get("spark.local.dir"), flush=True)
    assert spark.range(5).count() == 5
    if sys.argv[1:]:
        input()
assert proc.poll() is not None, "Java is still running"
"""


def gone(pid, port, folder):
    """Whether a process has ended, nobody listens at its port, and its folder is removed."""
    with socket.socket() as asking:
        return not os.path.exists(f"/proc/{pid}") and asking.connect_ex(("127.0.0.1", int(port))) and folder


def test_nothing_is_left_behind():
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    pid, port, folder = done.stdout.split()
    assert gone(pid, port, folder)
    assert not os.path.exists(folder)


def test_java_ends_with_a_python_that_was_killed():
    command = [sys.executable, "-c", SCRIPT, "wait"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        pid, port, folder = process.stdout.readline().split()
        assert not gone(pid, port, folder)
        process.kill()
    end = time.monotonic() + 100
    while not gone(pid, port, folder) and time.monotonic() < end:
        time.sleep(0.2)
    assert gone(pid, port, folder)


def test_without_java_one_sentence_says_what_to_install(monkeypatch):
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv("JAVA_HOME", raising=False)
    with pytest.raises(RuntimeError) as missing, session():
        pass
    assert str(missing.value) == NO_JAVA and "default-jre-headless" in NO_JAVA
