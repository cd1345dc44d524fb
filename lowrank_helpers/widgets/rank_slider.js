// One picture, one slider. The rank r is the picture projected onto its first r left singular vectors, the sum of
// u_k (u_kᵀ M); the u_k are eigenvectors of M Mᵀ, found here once, so that the page need not carry them.
(() => {
  // The eigenvectors of a symmetric matrix, given by its rows, with the largest eigenvalue first.
  function eigenvectors(A) {
    const n = A.length, Q = A.map((_, i) => { const row = new Float64Array(n); row[i] = 1; return row; });
    for (let k = 0; k < n - 2; k++) { // reflections that leave A with three diagonals
      const v = A[k].slice(k + 1);
      const alpha = -Math.hypot(...v) * (v[0] < 0 ? -1 : 1);
      v[0] -= alpha;
      const length = Math.hypot(...v);
      if (length === 0) continue;
      for (let i = 0; i < v.length; i++) v[i] /= length;
      A[k][k + 1] = A[k + 1][k] = alpha;
      const w = v.map((_, i) => { // 2 A v, and then less its part along v
        let sum = 0;
        for (let j = 0, row = A[k + 1 + i]; j < v.length; j++) sum += row[k + 1 + j] * v[j];
        return 2 * sum;
      });
      let along = 0;
      for (let i = 0; i < v.length; i++) along += v[i] * w[i] / 2;
      for (let i = 0; i < v.length; i++) w[i] -= 2 * along * v[i];
      const s = new Float64Array(n);
      for (let i = 0; i < v.length; i++) {
        for (let j = 0, row = A[k + 1 + i]; j < v.length; j++) row[k + 1 + j] -= v[i] * w[j] + w[i] * v[j];
        for (let j = 0, row = Q[k + 1 + i]; j < n; j++) s[j] += v[i] * row[j];
      }
      for (let i = 0; i < v.length; i++) {
        for (let j = 0, row = Q[k + 1 + i]; j < n; j++) row[j] -= 2 * v[i] * s[j];
      }
    }
    const d = A.map((row, i) => row[i]), e = d.map((_, i) => A[i][i + 1]);
    const zero = (k) => Math.abs(e[k]) <= 1e-15 * (Math.abs(d[k]) + Math.abs(d[k + 1]));
    for (let high = n - 1, left = 50 * n; high > 0 && left > 0; left--) { // QR steps, with Wilkinson's shift, on the last block that does not fall apart
      if (zero(high - 1)) { high--; continue; }
      let low = high - 1;
      while (low > 0 && !zero(low - 1)) low--;
      const t = (d[high - 1] - d[high]) / 2, last = e[high - 1];
      let x = d[low] - d[high] + last * last / (t + (t < 0 ? -1 : 1) * Math.hypot(t, last)), z = e[low];
      for (let k = low; k < high; k++) {
        const r = Math.hypot(x, z), c = r ? x / r : 1, s = r ? z / r : 0;
        if (k > low) e[k - 1] = r;
        const a = d[k], b = e[k], f = d[k + 1];
        d[k] = c * c * a + 2 * c * s * b + s * s * f;
        d[k + 1] = s * s * a - 2 * c * s * b + c * c * f;
        e[k] = c * s * (f - a) + (c * c - s * s) * b;
        x = e[k];
        if (k < high - 1) { z = s * e[k + 1]; e[k + 1] *= c; }
        const p = Q[k], q = Q[k + 1];
        for (let j = 0; j < n; j++) { const h = p[j]; p[j] = c * h + s * q[j]; q[j] = c * q[j] - s * h; }
      }
    }
    return d.map((_, k) => k).sort((i, j) => d[j] - d[i]).map((k) => Q[k]);
  }

  async function start(root) {
    root.dataset.ready = "yes";
    const figures = JSON.parse(root.dataset.figures);
    const [still, canvas, input, button] = ["img", "canvas", "input", "button"].map((part) => root.querySelector(part));
    const { width: columns, height: rows } = canvas;
    const context = canvas.getContext("2d");
    input.closest("div").hidden = false;
    root.querySelector("p").hidden = true;
    await new Promise((near) => { // begin when the picture comes near the screen
      const observer = new IntersectionObserver((entries) => {
        if (entries.some((entry) => entry.isIntersecting)) { observer.disconnect(); near(); }
      }, { rootMargin: "600px" });
      observer.observe(root);
    });
    const original = new Image();
    original.src = still.dataset.original;
    await original.decode();
    context.drawImage(original, 0, 0);
    const image = context.getImageData(0, 0, columns, rows), { data } = image;

    // M: the channels side by side; grey where they are the same everywhere
    const grey = data.every((value, i) => i % 4 === 3 || value === data[i - i % 4]);
    const channels = grey ? 1 : 3, wide = channels * columns;
    const M = Array.from({ length: rows }, (_, i) => Float64Array.from({ length: wide },
      (_, j) => data[4 * (i * columns + j % columns) + Math.floor(j / columns)]));
    const gram = M.map(() => new Float64Array(rows));
    for (let i = 0; i < rows; i++) {
      for (let j = 0; j <= i; j++) {
        let sum = 0;
        for (let k = 0, a = M[i], b = M[j]; k < wide; k++) sum += a[k] * b[k];
        gram[i][j] = gram[j][i] = sum;
      }
    }
    await new Promise((done) => setTimeout(done)); // let the page answer in between
    const U = eigenvectors(gram), V = []; // V[k] = u_kᵀ M, when it is needed
    const project = (u) => {
      const v = new Float64Array(wide);
      for (let i = 0; i < rows; i++) for (let j = 0, row = M[i]; j < wide; j++) v[j] += u[i] * row[j];
      return v;
    };

    const sum = M.map(() => new Float64Array(wide));
    let terms = 0; // how many the sum holds
    function recompose(rank) { // add the terms that are missing, or take away those too many; a row at a time, for speed
      const first = Math.min(terms, rank), last = Math.max(terms, rank), sign = Math.sign(rank - terms);
      for (let k = first; k < last; k++) V[k] ??= project(U[k]);
      for (let i = 0; i < rows; i++) {
        for (let k = first, row = sum[i]; k < last; k++) {
          const v = V[k], factor = sign * U[k][i];
          for (let j = 0; j < wide; j++) row[j] += factor * v[j];
        }
      }
      terms = rank;
    }

    const green = grey ? 0 : columns; // where a row's next channel starts
    function paint() {
      for (let i = 0, to = 0; i < rows; i++) {
        for (let j = 0, row = sum[i]; j < columns; j++, to += 4) { // writing into data rounds and clips
          data[to] = row[j];
          data[to + 1] = row[j + green];
          data[to + 2] = row[j + 2 * green];
        }
      }
      context.putImageData(image, 0, 0);
    }

    const readings = root.querySelectorAll("output span");
    const bars = root.querySelectorAll("rect");
    const even = root.querySelector("line").x1.baseVal.value / 10; // from here on the factors are larger than the pixels
    function show(rank) {
      recompose(rank);
      paint();
      readings.forEach((reading, which) => { reading.textContent = figures[rank - 1][which]; });
      readings[1].classList.toggle("dear", rank > even);
      bars.forEach((bar, k) => bar.classList.toggle("dropped", k >= rank));
      input.setAttribute("aria-valuetext", figures[rank - 1].join(", "));
    }

    // The film: from rank 1 to the rank that is shown first, six times a second, in ever larger steps.
    const goal = Number(input.value);
    let film = null;
    function pause() {
      clearInterval(film);
      film = null;
      button.textContent = "Play";
    }
    function play() {
      input.value = 1;
      show(1);
      button.textContent = "Pause";
      film = setInterval(() => {
        const rank = Number(input.value);
        input.value = Math.min(goal, rank + Math.ceil(rank / 8));
        show(Number(input.value));
        if (Number(input.value) === goal) pause();
      }, 170);
    }

    for (const touch of ["pointerdown", "keydown"]) input.addEventListener(touch, pause); // they need not change the rank
    input.addEventListener("input", () => { pause(); show(Number(input.value)); });
    button.addEventListener("click", () => { film === null ? play() : pause(); });
    show(goal);
    still.hidden = true;
    canvas.hidden = false;
    input.disabled = false;
    if (!button.hidden && !matchMedia("(prefers-reduced-motion: reduce)").matches) play();
  }

  document.querySelectorAll(".rank-slider:not([data-ready])").forEach(start);
})();
