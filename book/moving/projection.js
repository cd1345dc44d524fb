// A line through three points as a projection: A has the columns (1, 1, 1) and (0, 1, 2), M the three heights.
moving("projection", {
  start: { heights: [2, 1, 6] },
  compute({ heights }) {
    const { dot } = moving, one = [1, 1, 1], t = [0, 1, 2];
    const right = [dot(one, heights), dot(t, heights)]; // of the normal equations, whose matrix is (3 3; 3 5)
    const b = [(5 * right[0] - 3 * right[1]) / 6, (3 * right[1] - 3 * right[0]) / 6];
    const fit = t.map((at) => b[0] + b[1] * at), residual = fit.map((value, i) => value - heights[i]);
    const check = [dot(one, residual), dot(t, residual)];
    return { right, b, fit, residual, check, squared: dot(residual, residual) };
  },
  panels: [{ x: [-2.4, 5.9], y: [-0.4, 7.4], margin: [28, 4, 22, 28] }, { x: [-1.7, 10.1], y: [-5.3, 6.5] }],
  handles: [0, 1, 2].map((i) => ({
    panel: 0, name: `Height of the point at t = ${i}`, only: "y", range: [[0, 2], [0, 7]],
    at: ({ heights }) => [i, heights[i]],
    to(state, [, height]) { state.heights[i] = height; },
    says: ({ heights }, { b }) => `${moving.number(heights[i], 1)}; line ${moving.number(b[0])} plus ${moving.number(b[1])} t`,
  })),
  actions: { again(state) { state.heights = [2, 1, 6]; } },
  draw([left, right], { heights }, { b, fit }) {
    const even = (from, to) => Array.from({ length: to - from + 1 }, (_, k) => [from + k, String(from + k).replace("-", "−")]);
    left.axes({ xTicks: even(-2, 5), yTicks: even(0, 7), yLabel: "observed" });
    left.label([5.9, -0.4], "t", "ink", [-6, -8]);
    for (let i = 0; i < 3; i++) {
      const low = Math.min(fit[i], heights[i]), high = Math.max(fit[i], heights[i]), side = high - low;
      left.area([[i, low], [i + side, low], [i + side, high], [i, high]], "orange");
      left.line([[i, low], [i, high]], "orange");
    }
    left.line([[-3, b[0] - 3 * b[1]], [6, b[0] + 6 * b[1]]], "blue");

    // The plane lies flat: along it (1, 1, 1) and (-1, 0, 1), made of length 1, and upright on it (1, -2, 1).
    const units = [[1, 1, 1], [-1, 0, 1], [1, -2, 1]].map((unit) => unit.map((value) => value / moving.norm(unit)));
    const seen = (x) => {
      const [p, q, h] = units.map((unit) => moving.dot(unit, x));
      return [0.8 * p + 0.5 * q, 0.45 * q + 0.9 * h];
    };
    const flat = (p, q) => [0.8 * p + 0.5 * q, 0.45 * q];
    right.area([flat(0, -3), flat(10.5, -3), flat(10.5, 3), flat(0, 3)], "blue");
    for (const q of [-3, -1.5, 0, 1.5, 3]) right.line([flat(0, q), flat(10.5, q)], "sky thin");
    for (let p = 0; p <= 10.5; p += 1.5) right.line([flat(p, -3), flat(p, 3)], "sky thin");
    const columns = [[1, 1, 1], [0, 1, 2]].map((column) => column.map((value) => 1.5 * value));
    columns.forEach((column, i) => {
      right.arrow([0, 0], seen(column), "ink");
      right.label(seen(column), `a_${i + 1}`, "ink", i ? [-6, -10] : [14, 14]);
    });
    right.line([seen(heights), seen(fit)], "orange dashed thick");
    right.arrow([0, 0], seen(fit), "blue thick");
    right.arrow([0, 0], seen(heights), "ink thick");
    const above = moving.dot(units[2], heights) >= 0;
    right.label(seen(fit), "Ab", "blue", [16, above ? 18 : -8]);
    right.label(seen(heights), "M", "ink", [0, above ? -10 : 22]);
  },
  say({ heights }, { right, b, residual, check, squared }) {
    const { number, point } = moving;
    return [
      `Normal equations: 3b_1 + 3b_2 = ${number(right[0], 1)} and 3b_1 + 5b_2 = ${number(right[1], 1)}; so b = ${point(b, 2)}.`,
      `M = ${point(heights)}, residual Ab − M = ${point(residual, 2)}, of squared length ${number(squared)}.`,
      `Its inner products with the two columns: ${number(check[0])} and ${number(check[1])}.`,
    ];
  },
});
