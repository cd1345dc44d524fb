// A table of rank 2 with holes, filled by sweeps of alternating least squares. A place is a hole by a click.
{
  const LEFT = [[1, 1], [2, 1], [1, 2], [3, 0], [0, 2], [2, 2], [1, 3]];
  const TOP = [[1, 2, 0, 1, 2, 1, 0, 2, 1, 2], [1, 0, 2, 1, 1, 2, 1, 0, 0, 2]];
  const SEEN = ["0101110101", "0110010011", "0001000000", "1101101011", "0000000000", "0111011001", "1011101000"]; // as in the chapter
  const SWEEPS = 40, PENALTY = 0.01;
  const words = (error) => (error === null ? "nothing, as there are none" : moving.number(error));
  const table = LEFT.map(([a, b]) => TOP[0].map((_, j) => a * TOP[0][j] + b * TOP[1][j]));
  const first = () => SEEN.map((row) => [...row].map((digit) => digit === "1"));

  // The two numbers of a row that fit its seen entries best, with the penalty on their size.
  function fit(entries) {
    let [a, b, c, x, y] = [PENALTY, 0, PENALTY, 0, 0];
    for (const [value, [p, q]] of entries) { a += p * p; b += p * q; c += q * q; x += p * value; y += q * value; }
    const det = a * c - b * b;
    return [(c * x - b * y) / det, (a * y - b * x) / det];
  }

  moving("holes", {
    start: { seen: first(), sweeps: 0 },
    compute({ seen, sweeps }) {
      const { dot } = moving, inRow = seen.map((row) => row.filter(Boolean).length);
      const inColumn = TOP[0].map((_, j) => seen.filter((row) => row[j]).length);
      const lost = seen.map((row, i) => row.map((is, j) => !is && (inRow[i] < 2 || inColumn[j] < 2)));
      const kind = seen.map((row, i) => row.map((is, j) => (is ? "seen" : lost[i][j] ? "lost" : "open")));
      const counts = { seen: 0, open: 0, lost: 0 };
      kind.flat().forEach((name) => { counts[name] += 1; });
      function errors(X) { // the root mean square over the places of each kind, null where there are none
        const sums = { seen: 0, open: 0, lost: 0 };
        X.forEach((row, i) => row.forEach((value, j) => { sums[kind[i][j]] += (value - table[i][j]) ** 2; }));
        return Object.fromEntries(Object.entries(sums).map(([name, sum]) => [name, counts[name] ? Math.sqrt(sum / counts[name]) : null]));
      }
      let W = LEFT.map(() => [0, 0]), H = TOP[0].map((_, j) => [1, (j % 3) - 1]), filled = null;
      const course = [];
      for (let sweep = 0; sweep <= SWEEPS; sweep++) {
        const X = W.map((w) => H.map((h) => dot(w, h)));
        course.push(errors(X));
        if (sweep === sweeps) filled = X;
        W = table.map((row, i) => fit(row.flatMap((value, j) => (seen[i][j] ? [[value, H[j]]] : []))));
        H = TOP[0].map((_, j) => fit(table.flatMap((row, i) => (seen[i][j] ? [[row[j], W[i]]] : []))));
      }
      return { table, filled, kind, counts, course };
    },
    panels: [{ x: [0, SWEEPS], y: [-2, 1], margin: [28, 14, 40, 44] }],
    handles: [{
      panel: 0, name: "Sweeps", only: "x", step: 1,
      at: ({ sweeps }) => [sweeps, 0], spot: ({ sweeps }) => [sweeps, 0.85],
      to(state, [sweeps]) { state.sweeps = sweeps; },
      says: ({ sweeps }, { course }) => `${sweeps}; the open holes are off by ${words(course[sweeps].open)}, the lost ones by ${words(course[sweeps].lost)}`,
    }],
    actions: {
      more(state) { state.sweeps = Math.min(SWEEPS, state.sweeps + 1); },
      all(state) { state.seen = state.seen.map((row) => row.map(() => true)); },
      again(state) { Object.assign(state, { seen: first(), sweeps: 0 }); },
    },
    begin(root, { state, show }) {
      const grid = root.querySelector(".table");
      table.forEach((row, i) => {
        const line = grid.appendChild(document.createElement("div"));
        line.setAttribute("role", "row");
        row.forEach((_, j) => {
          const cell = line.appendChild(document.createElement("div")), button = document.createElement("button");
          cell.setAttribute("role", "gridcell");
          button.type = "button";
          button.tabIndex = i + j === 0 ? 0 : -1;
          button.addEventListener("click", () => {
            go(i, j);
            state.seen[i][j] = !state.seen[i][j];
            show();
          });
          button.addEventListener("keydown", (event) => {
            const step = { ArrowRight: [0, 1], ArrowLeft: [0, -1], ArrowDown: [1, 0], ArrowUp: [-1, 0], Home: [0, -j], End: [0, 9 - j] }[event.key];
            if (!step || event.altKey || event.ctrlKey || event.metaKey) return;
            event.preventDefault();
            go(i + step[0], j + step[1]);
          });
          cell.append(button);
        });
      });
      function go(i, j) { // one place can be reached by the tabulator: the last that was
        const next = grid.children[i]?.children[j]?.firstChild;
        if (!next) return;
        grid.querySelector("[tabindex='0']").tabIndex = -1;
        next.tabIndex = 0;
        next.focus();
      }
    },
    draw([plot], { sweeps }, { filled, kind, course }) {
      plot.svg.closest(".moving").querySelectorAll(".table [role='row']").forEach((row, i) => {
        row.querySelectorAll("button").forEach((button, j) => {
          const name = kind[i][j], value = moving.number(name === "seen" ? table[i][j] : filled[i][j], name === "seen" ? 0 : 1);
          button.className = name;
          button.textContent = value;
          button.setAttribute("aria-pressed", String(name !== "seen"));
          button.setAttribute("aria-label", `Row ${i + 1}, column ${j + 1}: ${name === "seen" ? `${value} is seen`
            : `${name === "lost" ? "a hole that nothing determines" : "a hole"}, filled with ${value}; the entry is ${table[i][j]}`}`);
        });
      });
      plot.axes({
        xTicks: [0, 10, 20, 30, 40].map((k) => [k, String(k)]), yTicks: [-2, -1, 0, 1].map((k) => [k, String(10 ** k)]),
        xLabel: "sweeps", yLabel: "error",
      });
      plot.line([[sweeps, -2], [sweeps, 1]], "ink thin dashed");
      for (const [name, look] of [["open", "green"], ["lost", "orange"]]) {
        if (course[0][name] === null) continue;
        const places = course.map((errors, k) => [k, Math.log10(Math.max(1e-3, errors[name]))]);
        plot.line(places.slice(sweeps), `${look} thin faded`);
        plot.line(places.slice(0, sweeps + 1), `${look} thick`);
        plot.dot(places[sweeps], look, 5);
        plot.label(places[SWEEPS], name, `${look} plain`, [-2, -8], "end");
      }
    },
    say(state, { counts, course }) {
      const now = course[state.sweeps];
      return [
        `${counts.seen} entries seen (blue), ${counts.open} open holes (green), ${counts.lost} lost ones (orange): fewer than two entries are seen in their row or column.`,
        `After ${state.sweeps} ${state.sweeps === 1 ? "sweep" : "sweeps"} the open holes are off by ${words(now.open)}, the lost ones by ${words(now.lost)}.`,
      ];
    },
  });
}
