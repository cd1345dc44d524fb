// The principal line of a few points, and their regression line.
function pcaCompute({ points }) {
  const m = points.length;
  const mean = [0, 1].map((k) => points.reduce((sum, point) => sum + point[k], 0) / m);
  const centred = points.map((point) => point.map((value, k) => value - mean[k]));
  const sum = (i, j) => centred.reduce((total, point) => total + point[i] * point[j], 0);
  const [xx, xy, yy] = [sum(0, 0), sum(0, 1), sum(1, 1)];
  const middle = (xx + yy) / 2, apart = Math.hypot((xx - yy) / 2, xy);
  const tie = apart <= 1e-12 * middle, upright = xx <= 1e-12 * yy;
  const angle = tie ? null : Math.atan2(2 * xy, xx - yy) / 2; // no line is principal where all are
  const slope = upright || middle === 0 ? null : xy / xx; // nor does a regression explain a column by a constant one
  const along = tie ? null : [Math.cos(angle), Math.sin(angle)];
  return {
    mean,
    variances: [middle + apart, middle - apart], // the squares of the singular values
    share: middle === 0 ? null : (middle + apart) / (2 * middle),
    degrees: tie ? null : angle * 180 / Math.PI,
    slope,
    vertical: slope === null ? null : centred.reduce((total, [x, y]) => total + (y - slope * x) ** 2, 0),
    feet: tie ? null : centred.map((point) => {
      const length = inner(point, along);
      return [mean[0] + length * along[0], mean[1] + length * along[1]];
    }),
    below: slope === null ? null : centred.map(([x]) => [mean[0] + x, mean[1] + slope * x]),
  };
}
