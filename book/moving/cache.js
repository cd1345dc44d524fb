// What a token leaves in one layer for four kinds of attention, and the bytes of the whole cache.
{
  const ROPE = 64; // numbers of the small key of MLA
  moving("cache", {
    // heads, groups, layers, tokens and bits; in powers of two those whose name ends in a 2
    start: { heads2: 7, groups2: 3, width: 128, latent: 512, layers: 60, tokens2: 0, bits: 16 },
    compute({ heads2, groups2, width, latent, layers, tokens2, bits }) {
      const heads = 2 ** heads2, groups = 2 ** Math.min(groups2, heads2), tokens = 2 ** tokens2;
      const kept = { MHA: 2 * heads * width, GQA: 2 * groups * width, MQA: 2 * width, MLA: latent + ROPE };
      const bytes = Object.fromEntries(Object.entries(kept).map(([name, elements]) => [name, elements * layers * tokens * Number(bits) / 8]));
      return { heads, groups, tokens, kept, bytes, asGroups: kept.MLA / (2 * width) };
    },
    panels: [{ x: [0, 4], y: [-0.26, 1.12] }],
    spoken: {
      heads2: (_, { heads }) => String(heads),
      groups2: (_, { groups }) => String(groups),
      width: ({ width }) => String(width),
      latent: ({ latent }) => `${latent} + ${ROPE}`,
      layers: ({ layers }) => String(layers),
      tokens2: (_, { tokens }) => moving.whole(tokens),
    },
    draw([panel], _, { groups, kept, bytes }) {
      const largest = Math.max(...Object.values(kept));
      const rectangle = (x, from, to, look) => panel.area([[x, from], [x + 0.8, from], [x + 0.8, to], [x, to]], `${look} full`);
      Object.entries(kept).forEach(([name, elements], k) => {
        const x = k + 0.1, height = elements / largest;
        if (name === "MLA") rectangle(x, 0, height, "green");
        else { rectangle(x, 0, height / 2, "blue"); rectangle(x, height / 2, height, "orange"); }
        panel.label([x + 0.4, height], moving.bytes(bytes[name]), "ink plain", [0, -7]);
        panel.label([x + 0.4, 0], name === "GQA" ? `GQA, ${groups}` : name, "ink plain", [0, 18]);
        panel.label([x + 0.4, 0], moving.whole(elements), "grey plain", [0, 35]);
      });
    },
    say({ width, layers, bits }, { heads, groups, tokens, kept, asGroups }) {
      const { number, whole } = moving, times = kept.MHA / kept.MLA;
      return [
        `${heads} heads of width ${width}, ${groups} ${groups === 1 ? "group" : "groups"}, ${layers} ${layers === 1 ? "layer" : "layers"}, `
          + `${whole(tokens)} ${tokens === 1 ? "token" : "tokens"}, ${bits} bits a number.`,
        `MLA keeps ${whole(kept.MLA)} numbers for a token in a layer, ${times >= 1 ? `MHA ${number(times, 1)} times` : `MHA only ${number(times, 2)} times`} as many; `
          + `it keeps as much as ${number(asGroups)} groups would.`,
      ];
    },
  });
}
