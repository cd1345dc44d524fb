// A matrix of rank 4 in noise: its singular values, a threshold, and the error of what is kept.
const noisy = { rows: 30, columns: 50, strengths: [3.4, 2.6, 1.9, 1.2] };

// The matrix and the noise at level 1, in units in which noise ends at 1 + the root of rows / columns.
function noisyParts() {
  const { rows, columns, strengths } = noisy, unit = Math.sqrt(columns);
  const cut = (numbers, length) => Array.from({ length: numbers.length / length },
    (_, k) => numbers.slice(k * length, (k + 1) * length));
  const left = orthonormal(cut(normals(rows * strengths.length, 1), rows));
  const right = orthonormal(cut(normals(columns * strengths.length, 2), columns));
  const M = Array.from({ length: rows }, (_, i) => Array.from({ length: columns },
    (_, j) => strengths.reduce((sum, strength, k) => sum + strength * left[k][i] * right[k][j], 0)));
  const Z = cut(normals(rows * columns, 3).map((value) => value / unit), columns);
  return { M, Z };
}

function optimalThreshold(beta) {
  const q = Math.sqrt(beta * beta + 14 * beta + 1);
  return Math.sqrt(2 * (beta + 1) + 8 * beta / (beta + 1 + q));
}

function thresholdCompute({ noise, threshold }) {
  const { M, Z } = noisyParts(), beta = noisy.rows / noisy.columns;
  const A = M.map((row, i) => row.map((value, j) => value + noise * Z[i][j]));
  const { values, vectors } = symmetric(A.map((x) => A.map((y) => inner(x, y))));
  const s = values.map((value) => Math.sqrt(Math.max(0, value)));
  const whole = M.reduce((sum, row) => sum + inner(row, row), 0);
  // |A_k - M|^2 = |M|^2 + the sum over the kept of s^2 - 2 u' M A' u, as A' u = s v
  const errors = [1];
  let square = whole;
  vectors.forEach((u, k) => {
    const across = (X) => X[0].map((_, j) => X.reduce((sum, row, i) => sum + u[i] * row[j], 0));
    square += values[k] - 2 * inner(across(M), across(A));
    errors.push(Math.sqrt(Math.max(0, square) / whole));
  });
  const kept = s.filter((value) => value > threshold).length;
  const rule = optimalThreshold(beta) * noise, byRule = s.filter((value) => value > rule).length;
  const best = errors.indexOf(Math.min(...errors));
  return { s, errors, kept, best, edge: (1 + Math.sqrt(beta)) * noise, rule, byRule };
}
