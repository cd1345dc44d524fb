// A small ill-posed problem, a blur to be undone, and Tikhonov's solution by its filter: σ/(σ² + λ) in the place of 1/σ.
{
  const n = 32, t = Array.from({ length: n }, (_, i) => (i + 0.5) / n);
  const A = t.map((x) => t.map((y) => Math.exp(-(((x - y) / 0.09) ** 2) / 2) / (n * 0.09 * Math.sqrt(2 * Math.PI))));
  const truth = t.map((x) => Math.exp(-(((x - 0.3) / 0.07) ** 2) / 2) + 0.7 * Number(x > 0.55 && x < 0.8));
  const errors = [ // drawn once: Gaussian, of standard deviation 1
    0.13, -0.13, 0.64, 0.1, -0.54, 0.36, 1.3, 0.95, -0.7, -1.27, -0.62, 0.04, -2.33, -0.22, -1.25, -0.73,
    -0.54, -0.32, 0.41, 1.04, -0.13, 1.37, -0.67, 0.35, 0.9, 0.09, -0.74, -0.92, -0.46, 0.22, -1.01, -0.21,
  ];
  const blurred = moving.times(A, truth), size = Math.max(...blurred);
  const seen = blurred.map((value, i) => value + 0.01 * size * errors[i]);
  const { U, s, V } = moving.svd(A), along = U.map((u) => moving.dot(u, seen));

  const solve = (power) => {
    const lambda = 10 ** power, x = new Array(n).fill(0);
    s.forEach((sigma, k) => {
      const share = sigma * along[k] / (sigma * sigma + lambda);
      for (let i = 0; i < n; i++) x[i] += share * V[k][i];
    });
    const residual = moving.norm(moving.times(A, x).map((value, i) => value - seen[i]));
    const error = moving.norm(x.map((value, i) => value - truth[i])) / moving.norm(truth);
    return { x, residual, length: moving.norm(x), error };
  };
  const powers = Array.from({ length: 91 }, (_, k) => Number((-8 + k / 10).toFixed(1)));
  const curve = powers.map((power) => {
    const { residual, length, error } = solve(power);
    return { power, place: [Math.log10(residual), Math.log10(length)], error };
  });
  const best = curve.reduce((a, b) => (b.error < a.error ? b : a));
  const filtered = (power) => s.filter((sigma) => sigma * sigma > 10 ** power).length;

  moving("tikhonov", {
    problem: { A, truth, seen },
    start: { power: -6 },
    compute: ({ power }) => ({ ...solve(power), kept: filtered(power), best: best.power }),
    panels: [
      { x: [-1.95, 0.42], y: [-0.75, 1.85], margin: [26, 10, 40, 44] },
      { x: [0, 1], y: [-0.6, 2], margin: [26, 10, 40, 34] },
    ],
    handles: [{
      panel: 0, name: "The power of ten that lambda is", only: "x", range: [[-8, 1]],
      at: ({ power }) => [power, 0],
      spot: (_, { residual, length }) => [Math.log10(residual), Math.log10(length)],
      pull([x, y]) {
        const far = ({ place }) => Math.hypot((place[0] - x) / 2.37, (place[1] - y) / 2.5);
        return [curve.reduce((a, b) => (far(b) < far(a) ? b : a)).power, 0];
      },
      to(state, [power]) { state.power = power; },
      says: ({ power }, { error }) => `lambda 10 to the ${moving.number(power, 1)}; error of the solution ${moving.number(100 * error, 0)} per cent`,
    }],
    spoken: { power: ({ power }, { error }) => `lambda 10 to the ${moving.number(power, 1)}; error of the solution ${moving.number(100 * error, 0)} per cent` },
    actions: { best(state) { state.power = best.power; } },
    draw([left, right], { power }, { x }) {
      const log = (value) => [Math.log10(value), String(value)];
      left.axes({ xTicks: [0.02, 0.1, 0.5, 2].map(log), yTicks: [0.3, 1, 3, 10, 30].map(log), xLabel: "length of the residual", yLabel: "length of the solution" });
      left.line(curve.map(({ place }) => place), "pink");
      for (const at of [-8, -6, -4, -2, 0]) {
        const { place } = curve.find((point) => point.power === at);
        left.dot(place, "pink", 3);
        if (at !== power) left.label(place, at ? `10^{−${-at}}` : "1", "pink plain", [8, -6], "start");
      }
      right.axes({ xTicks: [0, 0.25, 0.5, 0.75, 1].map((value) => [value, String(value)]), yTicks: [0, 0.5, 1, 1.5].map((value) => [value, String(value)]) });
      right.line(t.map((at, i) => [at, truth[i]]), "grey thick");
      t.forEach((at, i) => right.dot([at, seen[i]], "blue", 2.5));
      right.line(t.map((at, i) => [at, x[i]]), "pink");
      right.label([0.03, 1.85], "thick: the truth", "grey plain", [0, 4], "start");
      right.label([0.5, 1.85], "dots: measured", "blue plain", [0, 4], "start");
      right.label([0.03, 1.65], "thin: the solution", "pink plain", [0, 4], "start");
    },
    say({ power }, { residual, length, error, kept }) {
      const { number } = moving;
      return [
        `λ = 10^{${number(power, 1)}}: `
          + `residual ${number(residual, 3)}, solution of length ${number(length)}.`,
        `${kept} of ${n} singular values have a square above λ. Relative error against the truth: ${number(100 * error, 1)} %.`,
      ];
    },
  });
}
