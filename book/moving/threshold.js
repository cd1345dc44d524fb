// A matrix of rank 4 in noise: its singular values, a threshold, and the error of what is kept. All values are divided
// by the root of the larger side.
{
  const ROWS = 30, COLUMNS = 50, STRENGTHS = [3.4, 2.6, 1.9, 1.2];

  moving("threshold", {
    start: { noise: 0.8, threshold: 2.4 },
    compute({ noise, threshold }) {
      const { normals, orthonormal, svd, dot } = moving, beta = ROWS / COLUMNS;
      const cut = (numbers, length) => Array.from({ length: numbers.length / length },
        (_, k) => numbers.slice(k * length, (k + 1) * length));
      const left = orthonormal(cut(normals(ROWS * STRENGTHS.length, 1), ROWS));
      const right = orthonormal(cut(normals(COLUMNS * STRENGTHS.length, 2), COLUMNS));
      const M = Array.from({ length: ROWS }, (_, i) => Array.from({ length: COLUMNS },
        (_, j) => STRENGTHS.reduce((sum, strength, k) => sum + strength * left[k][i] * right[k][j], 0)));
      const Z = cut(normals(ROWS * COLUMNS, 3).map((value) => value / Math.sqrt(COLUMNS)), COLUMNS);
      const { U, s, V } = svd(M.map((row, i) => row.map((value, j) => value + noise * Z[i][j])));
      // ‖A_k − M‖² = ‖M‖² + the sum over the kept of s² − 2 s uᵀMv
      const whole = M.reduce((sum, row) => sum + dot(row, row), 0), errors = [1];
      let square = whole;
      s.forEach((value, k) => {
        square += value * value - 2 * value * U[k].reduce((sum, u, i) => sum + u * dot(M[i], V[k]), 0);
        errors.push(Math.sqrt(Math.max(0, square) / whole));
      });
      const q = Math.sqrt(beta * beta + 14 * beta + 1);
      const rule = noise * Math.sqrt(2 * (beta + 1) + 8 * beta / (beta + 1 + q));
      const above = (line) => s.filter((value) => value > line).length;
      return {
        M, Z, s, errors, rule, edge: noise * (1 + Math.sqrt(beta)),
        kept: above(threshold), byRule: above(rule), best: errors.indexOf(Math.min(...errors)),
      };
    },
    panels: [
      { x: [0, 31], y: [0, 5], margin: [28, 12, 40, 34] },
      { x: [-0.5, 16.5], y: [0, 2], margin: [28, 12, 40, 34] },
    ],
    handles: [
      {
        panel: 0, name: "Threshold", only: "y", step: 0.05,
        at: ({ threshold }) => [29, threshold], range: [[0, 31], [0, 4.95]],
        to(state, [, threshold]) { state.threshold = threshold; },
        says: ({ threshold }, { kept, errors }) => `${moving.number(threshold)}: ${kept} kept, error ${moving.number(errors[kept], 3)}`,
      },
      {
        panel: 0, name: "Level of the noise", only: "y", step: 0.05, range: [[0, 31], [0.1, 2]],
        at: ({ noise }) => [0, noise], spot: (_, { edge }) => [14, edge], pull: ([, y]) => [0, y / (1 + Math.sqrt(ROWS / COLUMNS))],
        to(state, [, noise]) { state.noise = noise; },
        says: ({ noise }, { edge }) => `${moving.number(noise)}: the noise ends at ${moving.number(edge)}`,
      },
    ],
    actions: { rule(state, { rule }) { state.threshold = rule; } },
    draw([left, right], { threshold }, { s, errors, rule, edge, kept, byRule, best }) {
      left.axes({
        xTicks: [1, 10, 20, 30].map((i) => [i, String(i)]), yTicks: [0, 1, 2, 3, 4, 5].map((y) => [y, String(y)]),
        xLabel: "index i", yLabel: "singular value",
      });
      left.line([[0, edge], [31, edge]], "grey dashed");
      left.line([[0, rule], [31, rule]], "orange thin");
      left.line([[0, threshold], [31, threshold]], "ink");
      s.forEach((value, i) => left.dot([i + 1, value], i < kept ? "blue" : "grey", i < kept ? 4.5 : 3));
        left.label([31, edge], "edge of the noise", "grey plain", [-3, 15], "end");
      left.label([9, rule], "rule", "orange plain", [0, -5], "start");
      left.label([26.5, threshold], "threshold", "ink plain", [0, threshold > 4.6 ? 15 : -6], "end");
      right.axes({
        xTicks: [0, 4, 8, 12, 16].map((k) => [k, String(k)]), yTicks: [0, 0.5, 1, 1.5, 2].map((y) => [y, String(y)]),
        xLabel: "terms kept", yLabel: "error, relative to M",
      });
      right.line(errors.map((error, k) => [k, error]), "ink thin");
      errors.forEach((error, k) => right.dot([k, error], k <= kept && k > 0 ? "blue" : "grey", 3));
      right.dot([best, errors[best]], "green open", 8);
      right.label([best, errors[best]], "best", "green plain", [0, 24]);
      right.dot([byRule, errors[byRule]], "orange", 5);
      right.dot([kept, errors[kept]], "ink", 5);
    },
    say({ noise, threshold }, { errors, rule, edge, kept, byRule, best }) {
      const { number } = moving, terms = (k) => `${k} ${k === 1 ? "term" : "terms"}`;
      return [
        `Noise of ${number(noise)} ends at about ${number(edge)}.`,
        `The threshold ${number(threshold)} keeps ${terms(kept)} of ${ROWS}: error ${number(errors[kept], 3)}.`,
        `The rule, ${number(rule)}, keeps ${byRule}: ${number(errors[byRule], 3)}.`,
        `Best by hindsight: ${best}, ${number(errors[best], 3)}.`,
      ];
    },
  });
}
