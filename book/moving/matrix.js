// What several figures need of linear algebra. A matrix is an array of rows.

// The eigenvalues of a symmetric matrix, the largest first, and their vectors, by Jacobi's rotations.
function symmetric(given) {
  const n = given.length, A = given.map((row) => Float64Array.from(row));
  const vectors = A.map((_, i) => Float64Array.from({ length: n }, (_, j) => Number(i === j)));
  const size = Math.hypot(...A.map((row) => Math.hypot(...row)));
  for (let sweep = 0; sweep < 30; sweep++) {
    let off = 0;
    for (let p = 0; p < n; p++) {
      for (let q = p + 1; q < n; q++) {
        off = Math.max(off, Math.abs(A[p][q]));
        if (Math.abs(A[p][q]) <= 1e-18 * size) continue;
        const theta = (A[q][q] - A[p][p]) / (2 * A[p][q]);
        const t = (theta < 0 ? -1 : 1) / (Math.abs(theta) + Math.hypot(theta, 1));
        const c = 1 / Math.hypot(t, 1), s = t * c;
        for (let k = 0; k < n; k++) {
          const a = A[k][p], b = A[k][q];
          A[k][p] = c * a - s * b;
          A[k][q] = s * a + c * b;
        }
        for (let k = 0, a = A[p], b = A[q]; k < n; k++) {
          const x = a[k], y = b[k];
          a[k] = c * x - s * y;
          b[k] = s * x + c * y;
        }
        for (let k = 0, a = vectors[p], b = vectors[q]; k < n; k++) {
          const x = a[k], y = b[k];
          a[k] = c * x - s * y;
          b[k] = s * x + c * y;
        }
      }
    }
    if (off <= 1e-17 * size) break;
  }
  const order = A.map((_, i) => i).sort((i, j) => A[j][j] - A[i][i]);
  return { values: order.map((i) => A[i][i]), vectors: order.map((i) => vectors[i]) };
}

function inner(x, y) {
  let sum = 0;
  for (let i = 0; i < x.length; i++) sum += x[i] * y[i];
  return sum;
}

// The vectors made orthonormal, to each other and to those before them; what depends on these is left out.
function orthonormal(vectors, before = []) {
  const basis = [];
  for (const given of vectors) {
    const v = Float64Array.from(given), length = Math.hypot(...v);
    for (let twice = 0; twice < 2; twice++) {
      for (const q of [...before, ...basis]) {
        const along = inner(q, v);
        for (let i = 0; i < v.length; i++) v[i] -= along * q[i];
      }
    }
    const left = Math.hypot(...v);
    if (left > 1e-13 * length) basis.push(v.map((x) => x / left));
  }
  return basis;
}

// Normal random numbers, the same on every machine: mulberry32, in pairs by Box and Muller.
function normals(count, seed) {
  let state = seed;
  const uniform = () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
  const drawn = [];
  while (drawn.length < count) {
    const r = Math.sqrt(-2 * Math.log(1 - uniform())), angle = 2 * Math.PI * uniform();
    drawn.push(r * Math.cos(angle), r * Math.sin(angle));
  }
  return drawn.slice(0, count);
}
