// A table of rank 2 with holes, filled by sweeps of alternating least squares.
const holesLeft = [[1, 1], [2, 1], [1, 2], [3, 0], [0, 2], [2, 2], [1, 3]];
const holesTop = [[1, 2, 0, 1, 2, 1, 0, 2, 1, 2], [1, 0, 2, 1, 1, 2, 1, 0, 0, 2]];
const holesPenalty = 0.01;

function holesTable() {
  return holesLeft.map(([a, b]) => holesTop[0].map((_, j) => a * holesTop[0][j] + b * holesTop[1][j]));
}

// The row of two numbers that fits the seen entries best, with the penalty on its size.
function holesFit(entries) {
  let [a, b, c, x, y] = [holesPenalty, 0, holesPenalty, 0, 0];
  for (const { value, other: [p, q] } of entries) {
    a += p * p; b += p * q; c += q * q; x += p * value; y += q * value;
  }
  const det = a * c - b * b;
  return [(c * x - b * y) / det, (a * y - b * x) / det];
}

// seen: rows of true and false; sweeps: how often rows and columns have had their turn.
function holesCompute({ seen, sweeps }) {
  const A = holesTable(), m = A.length, n = A[0].length;
  let W = A.map(() => [0, 0]), H = Array.from({ length: n }, (_, j) => [1, (j % 3) - 1]); // any start that is not flat
  for (let sweep = 0; sweep < sweeps; sweep++) {
    W = A.map((row, i) => holesFit(row.flatMap((value, j) => seen[i][j] ? [{ value, other: H[j] }] : [])));
    H = H.map((_, j) => holesFit(A.flatMap((row, i) => seen[i][j] ? [{ value: row[j], other: W[i] }] : [])));
  }
  const filled = W.map(([a, b]) => H.map(([c, d]) => a * c + b * d));
  const inRow = seen.map((row) => row.filter(Boolean).length);
  const inColumn = A[0].map((_, j) => seen.filter((row) => row[j]).length);
  const lost = seen.map((row, i) => row.map((is, j) => !is && (inRow[i] < 2 || inColumn[j] < 2)));
  const rms = (wanted) => {
    const squares = filled.flatMap((row, i) => row.flatMap((value, j) => wanted(i, j) ? [(value - A[i][j]) ** 2] : []));
    return squares.length ? Math.sqrt(squares.reduce((sum, value) => sum + value, 0) / squares.length) : null;
  };
  const count = (table) => table.flat().filter(Boolean).length;
  return {
    filled,
    lost,
    counts: { seen: count(seen), open: m * n - count(seen) - count(lost), lost: count(lost) },
    errors: {
      seen: rms((i, j) => seen[i][j]),
      open: rms((i, j) => !seen[i][j] && !lost[i][j]),
      lost: rms((i, j) => lost[i][j]),
    },
  };
}
