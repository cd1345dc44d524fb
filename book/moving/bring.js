// A picture or a table of the reader's: its spectrum, and the best matrix of any rank. Nothing leaves the page.
{
  const SIDE = 160, ROWS = 1000, COLUMNS = 120;

  // Until something is brought: a planet and its ring before a slope, 48 × 72.
  const example = Array.from({ length: 48 }, (_, i) => Array.from({ length: 72 }, (_, j) => {
    const planet = Math.hypot(i - 24, j - 36) < 13, ring = Math.abs(Math.hypot(2 * (i - 24) + 0.8 * (j - 36), j - 36) - 28) < 3;
    return Math.round((planet ? 235 - 5 * (j - 30) : ring ? 190 : 40) + 0.8 * i);
  }));

  // The numbers of a text: {matrix, columns, left}, where left counts the rows that were left out. Rows are lines, with commas,
  // semicolons or tabs between entries; a column counts if most of its entries, after the first line, are numbers.
  function table(text) {
    const lines = text.split(/\r?\n/).filter((line) => line.trim());
    const mark = ["\t", ";", ","].find((sign) => (lines[0] ?? "").includes(sign)) ?? ",";
    const value = (entry) => {
      const plain = (entry ?? "").trim().replace(/^"(.*)"$/, "$1");
      return plain === "" ? NaN : Number(mark === ";" ? plain.replace(",", ".") : plain);
    };
    const rows = lines.map((line) => line.split(mark).map(value));
    const body = rows.length > 1 && !rows[0].every(Number.isFinite) && rows[0].filter(Number.isFinite).length < rows[1].filter(Number.isFinite).length ? rows.slice(1) : rows;
    const width = Math.max(0, ...body.map((row) => row.length));
    const columns = Array.from({ length: width }, (_, j) => j)
      .filter((j) => body.filter((row) => Number.isFinite(row[j])).length > body.length / 2).slice(0, COLUMNS);
    const kept = columns.length ? body.map((row) => columns.map((j) => row[j])).filter((row) => row.every(Number.isFinite)) : [];
    if (!kept.length || kept.every((row) => row.every((entry) => entry === 0))) throw new Error("there are no numbers in it");
    return { matrix: kept.slice(0, ROWS), columns: columns.length, left: body.length - kept.length };
  }

  // The three channels side by side, or one where there is no colour.
  function unfolded({ data, width, height }) {
    const at = (i, j, c) => data[4 * (i * width + j) + c], ways = Array.from({ length: width }, (_, j) => j);
    let grey = true;
    for (let k = 0; k < data.length && grey; k += 4) grey = data[k] === data[k + 1] && data[k] === data[k + 2];
    return Array.from({ length: height }, (_, i) => (grey ? [0] : [0, 1, 2]).flatMap((c) => ways.map((j) => at(i, j, c))));
  }

  let known = {}; // the decomposition of the last matrix
  const decomposed = (matrix) => {
    if (known.matrix !== matrix) known = { matrix, ...moving.svd(matrix) };
    return known;
  };
  function best(matrix, rank) {
    const { U, s, V } = decomposed(matrix), B = matrix.map((row) => new Float64Array(row.length));
    for (let k = 0; k < rank; k++) {
      for (let i = 0; i < B.length; i++) {
        const share = s[k] * U[k][i];
        for (let j = 0; j < B[i].length; j++) B[i][j] += share * V[k][j];
      }
    }
    return B.map((row) => Array.from(row));
  }

  // Shades of grey, or colours where the columns are three channels.
  function paint(canvas, matrix, { channels, low, high }) {
    const width = matrix[0].length / channels, image = new ImageData(width, matrix.length);
    matrix.forEach((row, i) => {
      for (let j = 0; j < width; j++) {
        for (let c = 0; c < 3; c++) image.data[4 * (i * width + j) + c] = 255 * (row[j + (channels === 3 ? c * width : 0)] - low) / (high - low || 1);
        image.data[4 * (i * width + j) + 3] = 255;
      }
    });
    Object.assign(canvas, { width, height: matrix.length });
    canvas.getContext("2d").putImageData(image, 0, 0);
  }

  let page = null;
  moving("bring", {
    table, unfolded, best,
    start: { matrix: example, rank: 4, error: 10, channels: 1, low: 0, high: 255, name: "Until you bring one, a planet" },
    compute({ matrix, rank, error }) {
      const { s } = decomposed(matrix), [m, n] = [matrix.length, matrix[0].length], p = Math.min(m, n);
      const tails = new Array(p + 1).fill(0); // the sums of squares from k on, smallest first
      for (let k = p - 1; k >= 0; k--) tails[k] = tails[k + 1] + s[k] * s[k];
      const errors = tails.map((tail) => Math.sqrt(tail / tails[0]));
      return {
        m, n, p, s, errors, energy: 1 - tails[rank] / tails[0],
        needed: errors.findIndex((value) => value <= error / 100),
        even: m * n / (m + n), // from this rank on the factors have more numbers
        numbers: rank * (m + n),
      };
    },
    panels: [
      { x: [0, 1], y: [-4.2, 0.2], margin: [26, 12, 40, 44] },
      { x: [0, 1], y: [0, 1.05], margin: [26, 12, 40, 44] },
    ],
    spoken: {
      rank: ({ rank }, { errors, p }) => `rank ${rank} of ${p}, relative error ${moving.number(100 * errors[rank], 1)} per cent`,
      error: ({ error }, { needed }) => `${error} per cent, reached at rank ${needed}`,
    },
    draw([left, right], state, { p, s, errors, even, needed }) {
      const at = (k) => k / p, ticks = [...new Set([0, 0.25, 0.5, 0.75, 1].map((share) => Math.round(share * p)))].map((k) => [at(k), String(k)]);
      left.axes({ xTicks: ticks, yTicks: [[0, "1"], [-1, "0.1"], [-2, "0.01"], [-3, "0.001"], [-4, "1e−4"]], xLabel: "singular value", yLabel: "of the first" });
      s.forEach((value, k) => {
        const height = Math.log10(value / s[0]);
        if (height >= -4.2) left.dot([at(k + 1), height], k < state.rank ? "blue" : "grey", p > 80 ? 2 : 3);
      });
      right.axes({ xTicks: ticks, yTicks: [0, 0.25, 0.5, 0.75, 1].map((value) => [value, `${100 * value} %`]), xLabel: "rank", yLabel: "relative error" });
      right.line([[at(even), 0], [at(even), 1.05]], "grey dashed");
      right.label([at(even), 0.97], "break-even", "grey plain", at(even) > 0.5 ? [-6, 0] : [6, 0], at(even) > 0.5 ? "end" : "start");
      right.line([[0, state.error / 100], [at(needed), state.error / 100], [at(needed), 0]], "orange thin dashed");
      right.line(errors.map((value, k) => [at(k), value]), "blue");
      right.dot([at(needed), errors[needed]], "orange", 4.5);
      right.dot([at(state.rank), errors[state.rank]], "blue", 5);
      if (page) page.paint(state);
    },
    say({ rank, error, name }, { m, n, p, errors, energy, needed, even, numbers }) {
      const { number } = moving, dear = numbers > m * n;
      return [
        `${name}: ${m} × ${n}, uncentred, at most rank ${p}.`,
        `Rank ${rank}: relative error ${number(100 * errors[rank], 1)} %, ${number(100 * energy, 2)} % of the energy; ${numbers} numbers, ${dear ? "more than" : "instead of"} ${m * n}.`,
        `An error of ${error} % needs rank ${needed}. Break-even: up to rank ${Math.ceil(even) - 1} the factors have fewer numbers than the matrix.`,
      ];
    },
    begin(root, { state, show }) {
      const [before, after] = root.querySelectorAll("canvas"), told = root.querySelector(".told"), input = root.querySelector("[type=file]");
      page = {
        paint(now) {
          paint(before, now.matrix, now);
          paint(after, best(now.matrix, now.rank), now);
          after.setAttribute("aria-label", `${now.name}, the best matrix of rank ${now.rank}`);
        },
      };
      const slider = root.querySelector("[name=rank]");
      const take = (matrix, look) => {
        slider.max = Math.min(matrix.length, matrix[0].length);
        Object.assign(state, look, { matrix, rank: Math.min(state.rank, Number(slider.max)) });
        show();
      };
      async function bring(file) {
        told.textContent = "Computing …";
        await new Promise((soon) => { setTimeout(soon, 30); }); // for the words to be there
        try {
          if (file.type.startsWith("image/")) {
            const picture = await createImageBitmap(file), scale = Math.min(1, SIDE / Math.max(picture.width, picture.height));
            const [width, height] = [picture.width, picture.height].map((side) => Math.max(1, Math.round(side * scale)));
            const context = Object.assign(document.createElement("canvas"), { width, height }).getContext("2d");
            context.imageSmoothingQuality = "high";
            context.drawImage(picture, 0, 0, width, height);
            const matrix = unfolded(context.getImageData(0, 0, width, height));
            take(matrix, { channels: matrix[0].length === width ? 1 : 3, low: 0, high: 255, name: file.name });
            told.textContent = scale < 1 ? `Taken at ${width} × ${height} pixels.` : "";
          } else {
            const { matrix, left } = table(await file.text()), all = matrix.flat();
            const bound = (pick) => all.reduce((a, b) => pick(a, b));
            take(matrix, { channels: 1, low: bound(Math.min), high: bound(Math.max), name: file.name });
            told.textContent = left ? `Rows left out, because a number is missing: ${left}.` : "";
          }
        } catch (error) {
          told.textContent = `${file.name} cannot be read: ${error.message}.`;
        }
      }
      input.addEventListener("change", () => { if (input.files[0]) bring(input.files[0]); });
      root.addEventListener("dragover", (event) => { event.preventDefault(); root.classList.add("over"); });
      root.addEventListener("dragleave", () => root.classList.remove("over"));
      root.addEventListener("drop", (event) => {
        event.preventDefault();
        root.classList.remove("over");
        if (event.dataTransfer.files[0]) bring(event.dataTransfer.files[0]);
      });
      slider.max = Math.min(state.matrix.length, state.matrix[0].length);
    },
  });
}
