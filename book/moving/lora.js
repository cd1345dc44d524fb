// An adapter of rank r beside a weight of m rows and n columns: what it holds, and how it is scaled.
{
  const MOST = 12; // powers of two of the rank
  const significant = (value) => (value >= 100 ? moving.whole(value) : String(Number(value.toPrecision(3))));
  const percent = (share) => `${significant(100 * share)} %`;

  moving("lora", {
    start: { m: 4096, n: 4096, rank2: 3, alpha: 16 },
    compute({ m, n, rank2, alpha }) {
      const r = Math.min(2 ** rank2, m, n), weight = m * n, adapter = r * (m + n);
      return {
        r, weight, adapter,
        share: adapter / weight,
        even: weight / (m + n),
        scale: alpha / r,
        rootScale: alpha / Math.sqrt(r),
        trained: 16 * adapter, // bytes of weight, gradient and two moments in float32
        full: 16 * weight, // weight and gradient in bfloat16, a master copy and two moments in float32
        frozen: 2 * weight, // in bfloat16
      };
    },
    panels: [{ x: [0, 12500], y: [0, 10000] }, { x: [0, MOST], y: [-8, 8], margin: [28, 14, 40, 44] }],
    handles: [{
      panel: 1, name: "Rank", only: "x", step: 1,
      at: (_, { r }) => [Math.log2(r), 0], spot: (_, { r }) => [Math.log2(r), 7], // no more than the weight has
      range: [[0, MOST], [0, 0]],
      to(state, [rank2]) { state.rank2 = rank2; },
      says: (_, { r, share }) => `${r}: ${percent(share)} of the weight's numbers`,
    }],
    spoken: {
      m: ({ m }) => moving.whole(m), n: ({ n }) => moving.whole(n), alpha: ({ alpha }) => String(alpha),
    },
    draw([shapes, plot], { m, n, alpha }, { r, even, scale, rootScale }) {
      const unit = Math.min(11000 / (2 * n + r), 8500 / Math.max(m, r)), thin = Math.max(30, r * unit);
      const [high, wide, middle] = [m * unit, n * unit, 5000], left = (12500 - 2 * wide - thin - 1400) / 2;
      function rectangle(x, w, h, look) {
        const corners = [[x, middle - h / 2], [x + w, middle - h / 2], [x + w, middle + h / 2], [x, middle + h / 2]];
        shapes.area(corners, look);
        shapes.line([...corners, corners[0]], `${look} thin`);
      }
      rectangle(left, wide, high, "grey");
      shapes.label([left + wide / 2, middle + high / 2], "W", "ink", [0, -6]);
      shapes.label([left + wide + 550, middle], "+ s", "ink", [0, 5]);
      rectangle(left + wide + 1100, thin, high, "sky full");
      shapes.label([left + wide + 1100 + thin / 2, middle + high / 2], "B", "ink", [0, -6]);
      rectangle(left + wide + thin + 1400, wide, thin, "sky full");
      shapes.label([left + 1.5 * wide + thin + 1400, middle + thin / 2], "A", "ink", [0, -6]);
      plot.axes({
        xTicks: [0, 3, 6, 9, 12].map((k) => [k, String(2 ** k)]),
        yTicks: [-8, -4, 0, 4, 8].map((k) => [k, k < 0 ? `1/${2 ** -k}` : String(2 ** k)]), xLabel: "rank r", yLabel: "scale s",
      });
      const start = Math.log2(alpha);
      plot.line([[Math.log2(even), -8], [Math.log2(even), 8]], "grey dashed");
      plot.line([[Math.log2(r), -8], [Math.log2(r), 8]], "ink thin dashed");
      plot.line([[0, start], [MOST, start - MOST]], "blue thick");
      plot.line([[0, start], [MOST, start - MOST / 2]], "orange thick");
      plot.label([Math.log2(even), 5.6], "break-even", "grey plain", [-4, -8], "end");
      plot.label([6, start - 6], "α/r", "blue", [-6, 14], "end");
      plot.label([9, start - 4.5], "α/√r", "orange", [0, -8]);
      plot.dot([Math.log2(r), Math.log2(scale)], "blue", 5);
      plot.dot([Math.log2(r), Math.log2(rootScale)], "orange", 5);
    },
    say({ m, n, alpha }, { r, weight, adapter, share, even, scale, rootScale, trained, full, frozen }) {
      const { number, whole, bytes } = moving;
      return [
        `${whole(m)} × ${whole(n)}, r = ${r}: ${whole(adapter)} numbers beside ${whole(weight)}, ${percent(share)}; break-even at ${number(even, Number.isInteger(even) ? 0 : 1)}.`,
        `α/r = ${significant(scale)}, α/√r = ${significant(rootScale)} for α = ${alpha}.`,
        `Training state ${bytes(trained)} beside a frozen weight of ${bytes(frozen)}; of the whole weight it would be ${bytes(full)}.`,
      ];
    },
  });
}
