// Gradient descent on (ab − m)², from where the reader starts it.
{
  const STEPS = 400, RATE = 0.02;
  moving("saddle", {
    start: { from: [-1.9, 1.8], m: 1 },
    compute({ from, m }) {
      const path = [from], loss = ([a, b]) => (a * b - m) ** 2;
      for (let k = 0; k < STEPS; k++) {
        const [a, b] = path[k], slope = 2 * RATE * (a * b - m);
        path.push([a - slope * b, b - slope * a]);
      }
      const losses = path.map(loss), distances = path.map(moving.norm);
      const nearest = distances.indexOf(Math.min(...distances));
      return { path, losses, nearest, distance: distances[nearest], there: losses.findIndex((value) => value < 1e-6) };
    },
    panels: [
      { x: [-2.41, 2.41], y: [-2.2, 2.2], margin: [28, 14, 40, 30] },
      { x: [0, STEPS], y: [-8, 1.5], margin: [28, 16, 40, 44] },
    ],
    handles: [{
      panel: 0, name: "The start of descent, a and b", at: ({ from }) => from, range: [[-2, 2], [-2, 2]],
      to(state, place) { state.from = place; },
      says: ({ from }, { path, losses }) => `${moving.point(from)}; descent ends at ${moving.point(path[STEPS], 2)} with loss ${moving.number(losses[STEPS], 3)}`,
    }],
    press: 0,
    spoken: { m: ({ m }) => `m is ${moving.number(m, 1)}` },
    actions: {
      trap(state) { state.from = [-1.8, 1.8]; },
      again(state) { Object.assign(state, { from: [-1.9, 1.8], m: 1 }); },
    },
    draw([left, right], { from, m }, { path, losses, nearest }) {
      const branch = (c, sign) => Array.from({ length: 81 }, (_, k) => {
        const a = Math.sqrt(Math.abs(c)) * Math.exp((k / 40 - 1) * 2.6);
        return [sign * a, sign * c / a];
      });
      for (const level of [0.1, 0.3, 0.6, 1, 2, 4, 8, 14]) {
        for (const c of [m + Math.sqrt(level), m - Math.sqrt(level)]) {
          if (Math.abs(c) < 1e-3) continue;
          for (const sign of [1, -1]) left.line(branch(c, sign), "faint thin");
        }
      }
      const ticks = [-2, -1, 0, 1, 2].map((value) => [value, String(value).replace("-", "−")]);
      left.axes({ xTicks: ticks, yTicks: ticks, xLabel: "a", yLabel: "b", grid: false });
      for (const sign of [1, -1]) left.line(branch(m, sign), "ink thick");
      left.line([[-2.5, 2.5], [2.5, -2.5]], "orange dashed");
      const cross = 0.09;
      left.line([[-cross, -cross], [cross, cross]], "ink thick");
      left.line([[-cross, cross], [cross, -cross]], "ink thick");
      left.line(path, "pink thick");
      left.dot(path[STEPS], "pink", 5);
      right.axes({
        xTicks: [0, 100, 200, 300, 400].map((k) => [k, String(k)]),
        yTicks: [[-8, "1e−8"], [-6, "1e−6"], [-4, "1e−4"], [-2, "0.01"], [0, "1"]],
        xLabel: "step", yLabel: "loss",
      });
      const log = (value) => Math.log10(Math.max(value, 1e-12));
      const plateau = log(m * m);
      right.line([[0, plateau], [STEPS, plateau]], "orange dashed");
      right.label([STEPS, plateau], "at the saddle", "orange plain", [-4, -7], "end");
      right.line(losses.map((value, k) => [k, log(value)]), "pink thick");
      right.dot([nearest, log(losses[nearest])], "pink", 4);
    },
    say({ from, m }, { path, losses, nearest, distance, there }) {
      const { number, point } = moving;
      const end = path[STEPS], trapped = moving.norm(end) < 0.01;
      return [
        `From ${point(from)} with m = ${number(m, 1)}: after ${STEPS} steps at ${point(end, 2)}, ab = ${number(end[0] * end[1])}.`,
        trapped ? "It has run into the saddle, where the slope is 0." : there < 0
          ? `Nearest to the saddle, ${number(distance)}, at step ${nearest}; the loss has not come below a millionth.`
          : `Nearest to the saddle, ${number(distance)}, at step ${nearest}; loss below a millionth at step ${there}.`,
      ];
    },
  });
}
