// One picture, one slider: the sum of the first r terms scale[k] · u_k v_kᵀ, painted into a canvas.
(() => {
  function start(root) {
    root.dataset.ready = "yes";
    const { rows, columns, scale, factors, figures } = JSON.parse(root.dataset.slider);
    const bytes = Uint8Array.from(atob(factors), (letter) => letter.charCodeAt(0));
    const numbers = Float64Array.from(new Int16Array(bytes.buffer)); // u_1, v_1, u_2, v_2, …
    const length = numbers.length / scale.length; // of u_k and v_k together
    const U = scale.map((_, k) => numbers.subarray(k * length, k * length + rows));
    const V = scale.map((_, k) => numbers.subarray(k * length + rows, (k + 1) * length));
    const wide = length - rows; // columns of the matrix: the channels side by side
    const sum = new Float64Array(rows * wide);
    let terms = 0; // how many the sum holds

    function recompose(rank) { // add the terms that are missing, or take away those too many; a row at a time, for speed
      const first = Math.min(terms, rank), last = Math.max(terms, rank), sign = Math.sign(rank - terms);
      for (let i = 0; i < rows; i++) {
        const row = sum.subarray(i * wide, (i + 1) * wide);
        for (let k = first; k < last; k++) {
          const v = V[k], factor = sign * scale[k] * U[k][i];
          for (let j = 0; j < wide; j++) row[j] += factor * v[j];
        }
      }
      terms = rank;
    }

    const canvas = root.querySelector("canvas");
    const context = canvas.getContext("2d");
    const image = context.createImageData(columns, rows);
    const green = wide > columns ? columns : 0; // where a row's next channel starts; 0 for grey
    function paint() {
      const data = image.data; // writing into it rounds and clips
      for (let i = 0, to = 0; i < rows; i++) {
        for (let j = i * wide; j < i * wide + columns; j++, to += 4) {
          data[to] = sum[j];
          data[to + 1] = sum[j + green];
          data[to + 2] = sum[j + 2 * green];
          data[to + 3] = 255;
        }
      }
      context.putImageData(image, 0, 0);
    }

    const input = root.querySelector("input");
    const readings = root.querySelectorAll("output span");
    const bars = root.querySelectorAll("rect");
    function show() {
      const rank = Number(input.value);
      recompose(rank);
      paint();
      readings.forEach((reading, which) => { reading.textContent = figures[rank - 1][which]; });
      bars.forEach((bar, k) => bar.classList.toggle("dropped", k >= rank));
      input.setAttribute("aria-valuetext", figures[rank - 1].join(", "));
    }

    input.addEventListener("input", show);
    show();
    for (const still of root.querySelectorAll("img, p")) still.hidden = true;
    canvas.hidden = false;
    input.closest("div").hidden = false;
  }

  document.querySelectorAll(".rank-slider:not([data-ready])").forEach(start);
})();
