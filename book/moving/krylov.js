// Power iteration and block Krylov space, step by step, from the same start, on a matrix whose singular values fall
// like a power of their index.
const krylov = { values: 80, rank: 5, block: 7, steps: 7 };

// The random start: as many columns as a block has.
function krylovStart() {
  const { values, block } = krylov, drawn = normals(values * block, 7);
  return Array.from({ length: block }, (_, j) => drawn.slice(j * values, (j + 1) * values));
}

// By how much the best matrix of the rank in the span of Q misses diag(sigma), over the least that any has, less 1.
function krylovExcess(sigma, Q) {
  const squares = sigma.map((s) => s * s), rank = krylov.rank;
  const gram = Q.map((x) => Q.map((y) => inner(x, y.map((value, i) => squares[i] * value))));
  const caught = symmetric(gram).values.slice(0, rank).reduce((sum, value) => sum + value, 0);
  const head = squares.slice(0, rank).reduce((sum, value) => sum + value, 0);
  const tail = squares.slice(rank).reduce((sum, value) => sum + value, 0);
  const missed = Math.max(0, head - caught) / tail;
  return missed / (Math.sqrt(1 + missed) + 1);
}

// decay: the singular values are i to the power of minus this. One pair of excesses for each step.
function krylovCompute({ decay }) {
  const sigma = Array.from({ length: krylov.values }, (_, i) => (i + 1) ** -decay);
  const start = krylovStart().map((column) => column.map((value, i) => sigma[i] * value));
  let power = orthonormal(start), last = power, all = power;
  const powers = [krylovExcess(sigma, power)], spaces = [powers[0]];
  const times = (Q) => Q.map((q) => q.map((value, i) => sigma[i] * sigma[i] * value));
  for (let step = 1; step <= krylov.steps; step++) {
    power = orthonormal(times(power));
    last = orthonormal(times(last), all);
    all = [...all, ...last];
    powers.push(krylovExcess(sigma, power));
    spaces.push(krylovExcess(sigma, all));
  }
  const products = powers.map((_, step) => 2 * krylov.block * (step + 1));
  return { sigma, products, powers, spaces };
}
