// Power iteration and block Krylov space from one start: the excess of their errors after each step.
{
  const RANK = 3, BLOCK = 5, STEPS = 7, VALUES = 60, FLOOR = -12;
  const words = (value) => (value < 10 ** FLOOR ? `below 10${moving.raised(FLOOR)}` : moving.scientific(value));

  moving("krylov", {
    start: { fall: -0.5, step: 3 }, // the singular values are i to the power of fall
    compute({ fall, step }) {
      const { normals, orthonormal, svd, dot } = moving;
      const sigma = Array.from({ length: VALUES }, (_, i) => (i + 1) ** fall), squares = sigma.map((s) => s * s);
      const sum = (values) => values.reduce((total, value) => total + value, 0);
      const head = sum(squares.slice(0, RANK)), tail = sum(squares.slice(RANK));
      // By how much the best matrix of the rank in the span of Q misses diag(sigma), over the least that any has, less 1.
      function excess(Q) {
        const gram = Q.map((x) => { const y = x.map((value, i) => squares[i] * value); return Q.map((q) => dot(q, y)); });
        const missed = Math.max(0, head - sum(svd(gram).s.slice(0, RANK))) / tail;
        return missed / (Math.sqrt(1 + missed) + 1);
      }
      const times = (Q) => Q.map((q) => q.map((value, i) => squares[i] * value));
      const drawn = normals(VALUES * BLOCK, 7);
      const omega = Array.from({ length: BLOCK }, (_, j) => drawn.slice(j * VALUES, (j + 1) * VALUES));
      let power = orthonormal(omega.map((column) => column.map((value, i) => sigma[i] * value))), last = power, space = power;
      const powers = [excess(power)], krylov = [powers[0]];
      for (let k = 1; k <= STEPS; k++) {
        power = orthonormal(times(power));
        last = orthonormal(times(last), space);
        space = [...space, ...last];
        powers.push(excess(power));
        krylov.push(excess(space));
      }
      return { omega, sigma, powers, krylov, products: 2 * BLOCK * (step + 1) };
    },
    panels: [
      { x: [-0.08, 1.88], y: [-4, 0.2], margin: [28, 12, 40, 44] },
      { x: [0, 84], y: [FLOOR, 1], margin: [28, 12, 40, 44] },
    ],
    handles: [
      {
        panel: 0, name: "Exponent of the singular values", only: "y", step: 0.1, range: [[0, 1], [-2, -0.1]],
        at: ({ fall }) => [0, fall], spot: ({ fall }) => [Math.log10(VALUES), fall * Math.log10(VALUES)],
        pull: ([, y]) => [0, y / Math.log10(VALUES)],
        to(state, [, fall]) { state.fall = fall; },
        says: ({ fall }) => `i to the power ${moving.number(fall, 1)}`,
      },
      {
        panel: 1, name: "Steps", only: "x", step: 1, range: [[0, STEPS]],
        at: ({ step }) => [step, 0], spot: (_, { products }) => [products, 0.6],
        pull: ([x]) => [x / (2 * BLOCK) - 1, 0],
        to(state, [step]) { state.step = step; },
        says: ({ step }, { powers, krylov }) => `${step}; excess of the powers ${words(powers[step])}, `
          + `of the Krylov space ${words(krylov[step])}`,
      },
    ],
    draw([left, right], { step }, { sigma, powers, krylov, products }) {
      const power = (k) => [k, k === 0 ? "1" : `10${moving.raised(k)}`];
      left.axes({
        xTicks: [1, 2, 5, 10, 20, 60].map((i) => [Math.log10(i), String(i)]), yTicks: [-4, -3, -2, -1, 0].map(power),
        xLabel: "index i", yLabel: "singular value",
      });
      sigma.forEach((value, i) => left.dot([Math.log10(i + 1), Math.log10(value)], i < RANK ? "blue" : "grey", i < RANK ? 4.5 : 2.5));
      right.axes({
        xTicks: [0, 20, 40, 60, 80].map((x) => [x, String(x)]), yTicks: [-12, -9, -6, -3, 0].map(power),
        xLabel: "columns multiplied", yLabel: "excess of the error",
      });
      right.line([[products, FLOOR], [products, 1]], "ink thin dashed");
      for (const [values, look, name, which, beside, anchor] of [
        [powers, "green", "powers", 4, [6, -8], "start"], [krylov, "yellow", "Krylov", 2, [-8, 14], "end"],
      ]) {
        const places = values.map((value, k) => [2 * BLOCK * (k + 1), value > 0 ? Math.max(FLOOR - 1, Math.log10(value)) : FLOOR - 1]);
        right.line(places.slice(step), `${look} thin faded`);
        right.line(places.slice(0, step + 1), `${look} thick`);
        places.forEach((place, k) => { if (place[1] >= FLOOR) right.dot(place, k <= step ? look : `${look} faded`, 4); });
        right.label(places.findLast((place, k) => k <= which && place[1] > FLOOR + 1.5), name, `${look} plain`, beside, anchor);
      }
    },
    say({ fall, step }, { powers, krylov, products }) {
      return [
        `The singular values are i to the power ${moving.number(fall, 1)}; rank ${RANK}.`,
        `After ${step} ${step === 1 ? "step" : "steps"}, ${products} columns multiplied by A or its transpose:`,
        `the excess of the powers is ${words(powers[step])}, of the Krylov space ${words(krylov[step])}.`,
      ];
    },
  });
}
