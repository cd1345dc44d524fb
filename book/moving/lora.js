// An adapter of rank r beside a weight of m rows and n columns: what it has to hold, and how it is scaled.
function loraCompute({ m, n, r, alpha }) {
  const weight = m * n, adapter = r * (m + n);
  return {
    weight,
    adapter,
    share: adapter / weight,
    breakEven: weight / (m + n),
    scale: alpha / r,
    rootScale: alpha / Math.sqrt(r),
    trained: 16 * adapter, // bytes of weight, gradient and two moments, in float32
    full: 16 * weight, // and in full fine-tuning with a master copy
    frozen: 2 * weight, // in bfloat16
  };
}
