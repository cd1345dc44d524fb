// The unit balls of three norms under a 2×2 matrix: the norm of the matrix is the length of the longest image.
moving("norms", {
  start: { a: [1.2, 0.4], b: [0.4, 1.1], p: "2" }, // the columns of A, and by which norm lengths are measured
  compute({ a, b }) {
    const { dot, norm } = moving, sum = ([x, y]) => Math.abs(x) + Math.abs(y);
    const A = ([x, y]) => [a[0] * x + b[0] * y, a[1] * x + b[1] * y];
    // The sum is convex, so it is largest at a corner of the ball: of the diamond, of the square.
    const diamond = sum(a) >= sum(b) ? [1, 0] : [0, 1];
    const rows = [[a[0], b[0]], [a[1], b[1]]], row = sum(rows[0]) >= sum(rows[1]) ? rows[0] : rows[1];
    const square = row.map((value) => (value < 0 ? -1 : 1));
    const angle = Math.atan2(dot(a, b), (dot(a, a) - dot(b, b)) / 2) / 2, round = [Math.cos(angle), Math.sin(angle)];
    const length = { 1: sum, 2: norm, inf: ([x, y]) => Math.max(Math.abs(x), Math.abs(y)) };
    const longest = { 1: diamond, 2: round, inf: square };
    const norms = Object.fromEntries(Object.entries(longest).map(([p, x]) => [p, length[p](A(x))]));
    return { norms, longest, images: Object.fromEntries(Object.entries(longest).map(([p, x]) => [p, A(x)])) };
  },
  panels: [{ x: [-3, 3], y: [-3, 3] }, { x: [-3, 3], y: [-3, 3] }],
  handles: ["a", "b"].map((key, i) => ({
    panel: 1, name: `Column ${i + 1} of A`, at: (state) => state[key], range: [[-1.4, 1.4], [-1.4, 1.4]],
    to(state, place) { state[key] = place; },
    says: (state, { norms }) => `${moving.point(state[key])}; norm of A: ${moving.number(norms[state.p])}`,
  })),
  actions: { again(state) { Object.assign(state, { a: [1.2, 0.4], b: [0.4, 1.1] }); } },
  draw([left, right], { a, b, p }, { norms, longest, images }) {
    const balls = {
      1: [[1, 0], [0, 1], [-1, 0], [0, -1], [1, 0]],
      2: Array.from({ length: 121 }, (_, k) => [Math.cos(k * Math.PI / 60), Math.sin(k * Math.PI / 60)]),
      inf: [[1, 1], [-1, 1], [-1, -1], [1, -1], [1, 1]],
    };
    left.plane();
    for (const other of Object.keys(balls)) if (other !== p) left.line(balls[other], "grey thin");
    left.area(balls[p], "blue");
    left.line(balls[p], "blue");
    left.arrow([0, 0], longest[p], "orange thick");
    left.tip([0, 0], longest[p], "x", "orange");
    right.plane();
    right.line(balls[p].map(([x, y]) => [norms[p] * x, norms[p] * y]), "grey dashed");
    const image = balls[p].map(([x, y]) => [a[0] * x + b[0] * y, a[1] * x + b[1] * y]);
    right.area(image, "blue");
    right.line(image, "blue");
    for (const [column, name] of [[a, "a_1"], [b, "a_2"]]) {
      right.line([[0, 0], column], "ink thin");
      right.tip([0, 0], column, name, "ink");
    }
    right.arrow([0, 0], images[p], "orange thick");
    right.tip([0, 0], images[p], "Ax", "orange");
  },
  say({ a, b, p }, { norms, longest }) {
    const { number, point } = moving, sign = p === "inf" ? "∞" : p;
    return [
      `‖A‖_${sign} = ${number(norms[p])}, reached at x = ${point(longest[p], 2)}.`,
      `A = (${number(a[0], 1)} ${number(b[0], 1)}; ${number(a[1], 1)} ${number(b[1], 1)}): ‖A‖_1 = ${number(norms[1])}, `
        + `‖A‖_2 = ${number(norms[2])}, ‖A‖_∞ = ${number(norms.inf)}.`,
    ];
  },
});
