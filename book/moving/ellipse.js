// A 2×2 matrix and a right-angled pair: where the images are at right angles, too, the pair is v_1, v_2.
moving("ellipse", {
  start: { a: [1.2, 1.6], b: [0, 2], turn: 0 }, // the columns of A, and the angle of v_1 in degrees
  compute({ a, b, turn }) {
    const { dot, norm } = moving, rad = turn * Math.PI / 180;
    const A = (x) => [a[0] * x[0] + b[0] * x[1], a[1] * x[0] + b[1] * x[1]];
    const v = [[Math.cos(rad), Math.sin(rad)], [-Math.sin(rad), Math.cos(rad)]], images = v.map(A);
    // The squared length of A v at the angle t is a constant + p cos 2t + q sin 2t, and greatest where 2t is the angle of (p, q).
    const p = (dot(a, a) - dot(b, b)) / 2, q = dot(a, b), best = Math.atan2(q, p) / 2;
    const V = [[Math.cos(best), Math.sin(best)], [-Math.sin(best), Math.cos(best)]];
    const det = a[0] * b[1] - a[1] * b[0], first = norm(A(V[0])), s = [first, first ? Math.abs(det) / first : 0];
    const along = A(V[0]).map((value) => (first ? value / first : 0)), sign = det < 0 ? -1 : 1;
    const U = [along, [-sign * along[1], sign * along[0]]];
    return { v, images, inner: dot(...images), best: best * 180 / Math.PI, V, s, U };
  },
  panels: [{ x: [-3, 3], y: [-3, 3] }, { x: [-3, 3], y: [-3, 3] }],
  handles: [
    {
      panel: 0, name: "The angle of v1, in degrees", only: "x", step: 1, range: [[-180, 180]],
      at: ({ turn }) => [turn, 0], spot: (_, { v }) => v[0],
      to(state, [turn]) { state.turn = turn; },
      pull: ([x, y]) => [Math.atan2(y, x) * 180 / Math.PI, 0],
      says: ({ turn }, { inner }) => `${moving.number(turn, 0)} degrees; inner product of A v1 and A v2: ${moving.number(inner)}`,
    },
    ...["a", "b"].map((key, i) => ({
      panel: 1, name: `Column ${i + 1} of A`, at: (state) => state[key], range: [[-2.6, 2.6], [-2.6, 2.6]],
      to(state, place) { state[key] = place; },
      says: (state, { s }) => `${moving.point(state[key])}; sigma ${s.map((value) => moving.number(value)).join(" and ")}`,
    })),
  ],
  actions: {
    find(state, { best }) { state.turn = best; },
    again(state) { Object.assign(state, { a: [1.2, 1.6], b: [0, 2], turn: 0 }); },
  },
  draw([left, right], { a, b }, { v, images, inner }) {
    const circle = Array.from({ length: 121 }, (_, k) => [Math.cos(k * Math.PI / 60), Math.sin(k * Math.PI / 60)]);
    left.plane();
    left.area(circle, "blue");
    left.line(circle, "blue");
    right.plane();
    const image = circle.map(([x, y]) => [a[0] * x + b[0] * y, a[1] * x + b[1] * y]);
    right.area(image, "blue");
    right.line(image, "blue");
    const tall = Math.abs(inner) < 0.005;
    if (tall && moving.norm(images[1]) > 0.5) corner(right, images);
    corner(left, v);
    ["orange", "green"].forEach((look, i) => {
      left.arrow([0, 0], v[i], `${look} thick`);
      left.tip([0, 0], v[i], `v_${i + 1}`, look);
      const column = [a, b][i];
      right.line([[0, 0], column], "ink thin dashed");
      if (images.every((tip) => moving.norm([tip[0] - column[0], tip[1] - column[1]]) > 0.5)) right.tip([0, 0], column, `a_${i + 1}`, "ink");
      right.arrow([0, 0], images[i], `${look} thick`);
      right.tip([0, 0], images[i], `Av_${i + 1}`, look);
    });
    function corner(panel, pair) { // the sign of a right angle
      const [x, y] = pair.map((p) => p.map((value) => 0.22 * value / moving.norm(p)));
      panel.line([x, [x[0] + y[0], x[1] + y[1]], y], "ink thin");
    }
  },
  say({ a, b, turn }, { inner, best, s, V, U }) {
    const { number, point } = moving;
    const right = Math.abs(inner) < 0.005;
    return [
      `v_1 at ${number(turn, 0)}°: Av_1 · Av_2 = ${number(inner)}${right ? ", a right angle." : "."}`,
      `A = (${number(a[0], 1)} ${number(b[0], 1)}; ${number(a[1], 1)} ${number(b[1], 1)}), σ_1 = ${number(s[0])}, σ_2 = ${number(s[1])}.`,
      `Right angle at ${number(best, 1)}°: v_1 = ${point(V[0], 2)}, v_2 = ${point(V[1], 2)}, u_1 = ${point(U[0], 2)}, u_2 = ${point(U[1], 2)}.`,
    ];
  },
});
