// What a token leaves in the caches of four kinds of attention: numbers in a layer, and bytes of the whole.
function cacheCompute({ heads, groups, width, latent, rope, layers, tokens, bits }) {
  const kept = { MHA: 2 * heads * width, GQA: 2 * groups * width, MQA: 2 * width, MLA: latent + rope };
  const bytes = {}, shares = {};
  for (const [name, elements] of Object.entries(kept)) {
    bytes[name] = elements * layers * tokens * bits / 8;
    shares[name] = elements / kept.MHA;
  }
  return { kept, bytes, shares, asGroups: kept.MLA / (2 * width) };
}
