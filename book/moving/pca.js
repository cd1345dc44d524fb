// Four points, their principal line and their regression line: each has the least sum of squares in its own measure.
moving("pca", {
  start: { points: [[7, 4], [6, 5], [3, 2], [4, 1]] },
  compute({ points }) {
    const m = points.length, mean = [0, 1].map((k) => points.reduce((sum, point) => sum + point[k], 0) / m);
    const centred = points.map((point) => point.map((value, k) => value - mean[k]));
    const sum = (i, j) => centred.reduce((total, point) => total + point[i] * point[j], 0);
    const [xx, xy, yy] = [sum(0, 0), sum(0, 1), sum(1, 1)];
    const middle = (xx + yy) / 2, apart = Math.hypot((xx - yy) / 2, xy);
    const tie = apart <= 1e-12 * middle; // no direction is principal: all have the same variance
    const angle = tie ? null : Math.atan2(2 * xy, xx - yy) / 2;
    const slope = xx <= 1e-12 * middle ? null : xy / xx; // no regression on a column that is constant
    // For a line through the mean, by its direction: the sums of squares at right angles, and vertically.
    const squares = ([c, s]) => [
      xx * s * s - 2 * xy * s * c + yy * c * c,
      Math.abs(c) <= 1e-9 ? null : (xx * s * s - 2 * xy * s * c + yy * c * c) / (c * c),
    ];
    const along = tie ? null : [Math.cos(angle), Math.sin(angle)];
    const slanted = slope === null ? null : [1 / Math.hypot(1, slope), slope / Math.hypot(1, slope)];
    return {
      mean, slope, along, slanted,
      degrees: tie ? null : angle * 180 / Math.PI,
      variances: [middle + apart, middle - apart], // the squares of the singular values
      principal: tie ? null : squares(along),
      regression: slope === null ? null : squares(slanted),
      feet: tie ? null : centred.map((point) => mean.map((value, k) => value + moving.dot(point, along) * along[k])),
      below: slope === null ? null : centred.map(([x]) => [mean[0] + x, mean[1] + slope * x]),
    };
  },
  panels: [{ x: [0, 9], y: [-1, 7] }, { x: [0, 10], y: [-0.18, 1.35] }],
  handles: [0, 1, 2, 3].map((k) => ({
    panel: 0, name: `Point ${k + 1}`, at: ({ points }) => points[k], range: [[0.2, 8.8], [-0.8, 6.8]], step: 0.1,
    to(state, place) { state.points[k] = place; },
    says: ({ points }, { degrees, slope }) => `${moving.point(points[k])}; principal line at `
      + `${degrees === null ? "any angle" : `${moving.number(degrees, 1)} degrees`}, regression line of slope `
      + `${slope === null ? "none" : moving.number(slope)}`,
  })),
  actions: { again(state) { state.points = [[7, 4], [6, 5], [3, 2], [4, 1]]; } },
  draw([plane, bars], { points }, { mean, along, slanted, feet, below, principal, regression }) {
    plane.plane();
    const through = ([c, s]) => [[mean[0] - 20 * c, mean[1] - 20 * s], [mean[0] + 20 * c, mean[1] + 20 * s]];
    if (slanted) {
      points.forEach((point, k) => plane.line([point, below[k]], "orange thin dashed"));
      plane.line(through(slanted), "orange");
    }
    if (along) {
      points.forEach((point, k) => plane.line([point, feet[k]], "blue thin dashed"));
      plane.line(through(along), "blue");
    }
    plane.dot(mean, "ink open", 5);
    bars.label([0.2, 1.35], "sums of squared distances", "grey plain", [0, 16], "start");
    bars.line([[0.2, 0], [9.8, 0]], "grey thin");
    const lines = [[principal, "blue"], [regression, "orange"]];
    ["at right angles", "vertically"].forEach((measure, which) => {
      const largest = Math.max(1e-9, ...lines.map(([squares]) => squares?.[which] ?? 0)); // each measure has a scale of its own
      bars.label([2.5 + 5 * which, 0], measure, "ink plain", [0, 20]);
      lines.forEach(([squares, look], k) => {
        const x = 1 + 5 * which + 1.6 * k;
        if (!squares) return;
        const value = squares[which], height = value === null ? 1.1 : value / largest;
        bars.area([[x, 0], [x + 1.4, 0], [x + 1.4, height], [x, height]], `${look} full`);
        bars.label([x + 0.7, height], value === null ? "∞" : moving.number(value), `${look} plain`, [0, -6]);
      });
    });
  },
  say(_, { degrees, slope, variances }) {
    const { number } = moving, whole = variances[0] + variances[1];
    return [
      degrees === null ? "Every direction has the same variance: no line is principal."
        : `Principal line (blue): ${number(degrees, 1)}°, with ${number(100 * variances[0] / whole, 0)} % of the variance.`,
      slope === null ? "The first coordinate is constant: no regression line."
        : `Regression line (orange): slope ${number(slope)}, ${number(Math.atan(slope) * 180 / Math.PI, 1)}°.`,
    ];
  },
});
