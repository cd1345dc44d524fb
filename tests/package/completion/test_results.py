"""What a completion predicts, and for whom."""

import numpy as np
import pytest

from book.margins import close
from lowrank_helpers.completion import als_complete, predict
from tests.package.completion._tables import TABLE, holes, nan


def test_cold_start_is_mean_and_the_other_bias():
    A = 3 + holes(20, 15, 0.6, np.random.default_rng(4))
    A[7] = nan
    result = als_complete(A, 2, penalty=0.5, biases=True)
    assert result.row_bias[7] == 0 and not result.W[7].any()
    assert close(predict(result, 7, np.arange(15)), result.mean + result.column_bias, rtol=1e-14)


def test_predict_agrees_with_the_whole_table_and_keeps_shapes():
    A = 3 + holes(20, 15, 0.6, np.random.default_rng(5))
    result = als_complete(A, 2, penalty=0.5, biases=True)
    full = result.W @ result.H + result.row_bias[:, None] + result.column_bias + result.mean
    rounding = 1e-14 * np.abs(full).max()
    assert close(predict(result, np.arange(20)[:, None], np.arange(15)), full, atol=rounding)
    assert predict(result, 3, 4).shape == () and close(predict(result, 3, 4), full[3, 4], atol=rounding)
    assert predict(result, [], []).shape == (0,)


@pytest.mark.parametrize(
    ("rows", "columns", "error", "message"),
    [
        ([0, 3], [0, 0], ValueError, "rows must be between 0 and 2; got 0 to 3. A new one has no factors yet"),
        ([0], [-1], ValueError, "columns must be between 0 and 2; got -1"),
        ([0.0], [1], TypeError, "rows must be whole numbers"),
        ([0, 1], [0, 1, 2], ValueError, "must broadcast to one shape"),
    ],
)
def test_misuse_of_predict(rows, columns, error, message):
    result = als_complete(TABLE, 1, penalty=0.1)
    with pytest.raises(error, match=f"^predict: .*{message}"):
        predict(result, rows, columns)
    with pytest.raises(TypeError, match="predict: result must be a Completion; got ndarray"):
        predict(TABLE, 0, 0)
