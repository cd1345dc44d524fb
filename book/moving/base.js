// What all figures have in common that readers move. moving(name, figure) registers one; figure has
//
//   start              the numbers that the reader moves, a plain object
//   compute(state)     all other numbers, as a plain object. It touches no page: the tests call it without one
//   panels             the drawings, one for each svg in the figure's HTML: {x: [from, to], y: [from, to]}, and in
//                      units of the svg {margin: [top, right, bottom, left]} where there are axes
//   handles            what can be taken hold of: {panel, name, at(state, numbers), to(state, place), step}. With
//                      {only: "x"} one number alone moves; says(state, numbers) are its words, range its limits where
//                      they are not the panel's; one that is drawn elsewhere than at its value has spot(state, numbers),
//                      and pull(place, state, numbers), the value for a place in the panel
//   draw(panels, state, numbers)
//   say(state, numbers)    the readings below the drawings, a list of sentences; x_1 has an index, 10^{−6} a power
//   actions, spoken    what buttons do, and what ranges say, by their names; press: the handle that a click in its panel moves
//
// Inputs whose name is a key of the state set it. Every number is spoken: handles and ranges have a value in words, and
// the readings are a live region.
const moving = (() => {
  const figures = {};

  // 1. Mathematics. A matrix is a list of rows.
  const dot = (x, y) => x.reduce((sum, value, i) => sum + value * y[i], 0);
  const norm = (x) => Math.sqrt(dot(x, x));
  const times = (A, x) => A.map((row) => dot(row, x));
  const transposed = (A) => A[0].map((_, j) => A.map((row) => row[j]));

  // The singular value decomposition by one-sided Jacobi rotations: {U, s, V}, of U and V lists of columns.
  function svd(A) {
    if (A.length < A[0].length) {
      const { U, s, V } = svd(transposed(A));
      return { U: V, s, V: U };
    }
    const columns = transposed(A).map((column) => Float64Array.from(column));
    const n = columns.length;
    const V = columns.map((_, i) => { const unit = new Float64Array(n); unit[i] = 1; return unit; });
    const turn = (x, y, c, s) => {
      for (let i = 0; i < x.length; i++) { const a = x[i], b = y[i]; x[i] = c * a - s * b; y[i] = s * a + c * b; }
    };
    for (let sweep = 0, turned = true; turned && sweep < 60; sweep++) {
      turned = false;
      for (let p = 0; p < n; p++) {
        for (let q = p + 1; q < n; q++) {
          let pp = 0, qq = 0, pq = 0;
          for (let i = 0, x = columns[p], y = columns[q]; i < x.length; i++) {
            pp += x[i] * x[i]; qq += y[i] * y[i]; pq += x[i] * y[i];
          }
          if (Math.abs(pq) <= 1e-15 * Math.sqrt(pp * qq)) continue;
          turned = true;
          const zeta = (qq - pp) / (2 * pq);
          const t = (zeta < 0 ? -1 : 1) / (Math.abs(zeta) + Math.hypot(1, zeta)), c = 1 / Math.hypot(1, t);
          turn(columns[p], columns[q], c, c * t);
          turn(V[p], V[q], c, c * t);
        }
      }
    }
    const lengths = columns.map(norm);
    const order = lengths.map((_, k) => k).sort((i, j) => lengths[j] - lengths[i]);
    const unit = (k) => Array.from(columns[k], (value) => (lengths[k] ? value / lengths[k] : 0));
    return { U: order.map(unit), s: order.map((k) => lengths[k]), V: order.map((k) => Array.from(V[k])) };
  }

  // The vectors made orthonormal, to each other and to those before them; what depends on these is left out.
  function orthonormal(vectors, before = []) {
    const basis = [];
    for (const given of vectors) {
      const v = Float64Array.from(given), length = norm(v);
      for (let twice = 0; twice < 2; twice++) { // the first time is done with the rounding of what it takes away
        for (const q of [...before, ...basis]) {
          const along = dot(q, v);
          for (let i = 0; i < v.length; i++) v[i] -= along * q[i];
        }
      }
      const left = norm(v);
      if (left > 1e-13 * length) basis.push(Array.from(v, (value) => value / left));
    }
    return basis;
  }

  // Normal random numbers, the same on every machine: mulberry32, in pairs by Box and Muller.
  function normals(count, seed) {
    let state = seed;
    const uniform = () => {
      state = (state + 0x6d2b79f5) | 0;
      let t = Math.imul(state ^ (state >>> 15), 1 | state);
      t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
      return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
    };
    const drawn = [];
    while (drawn.length < count) {
      const r = Math.sqrt(-2 * Math.log(1 - uniform())), angle = 2 * Math.PI * uniform();
      drawn.push(r * Math.cos(angle), r * Math.sin(angle));
    }
    return drawn.slice(0, count);
  }

  // 2. Words. A number has a true minus, and none before a zero.
  function number(value, digits = 2) {
    const text = value.toFixed(digits);
    return Number(text) === 0 ? text.replace("-", "") : text.replace("-", "−");
  }
  const point = (p, digits = 1) => `(${p.map((value) => number(value, digits)).join(", ")})`;

  const whole = (value) => (value < 1e4 ? value.toFixed(0) : value.toFixed(0).replace(/\B(?=(\d{3})+$)/g, "\u202f")); // 4096, 16 384
  const raised = (power) => [...String(power)].map((sign) => "⁰¹²³⁴⁵⁶⁷⁸⁹"[sign] ?? { ".": "·", "−": "⁻", "-": "⁻" }[sign]).join("");
  function scientific(value) { // 3·10⁻⁵
    if (value === 0 || (value >= 0.01 && value < 1000)) return String(Number(value.toPrecision(2)));
    const [digits, power] = value.toExponential(1).split("e");
    return `${digits}·10${raised(Number(power))}`;
  }
  function bytes(value) { // 3.93 MB
    const step = Math.min(4, Math.max(0, Math.floor(Math.log10(Math.max(1, value)) / 3))), scaled = value / 1000 ** step;
    return `${scaled.toFixed(step === 0 || scaled >= 100 ? 0 : scaled >= 10 ? 1 : 2)} ${["bytes", "kB", "MB", "GB", "TB"][step]}`;
  }

  // The pieces of "σ_1 = 10^{−2}": [text, "" or "sub" or "sup"].
  const pieces = (text) => text.split(/([_^]\{[^}]*\}|[_^][\p{L}\d∞])/u).filter(Boolean)
    .map((piece) => ("_^".includes(piece[0]) ? [piece.slice(1).replace(/[{}]/g, ""), piece[0] === "_" ? "sub" : "sup"] : [piece, ""]));

  // 3. Drawing. A panel draws in units of its own; looks are the names of classes in base.css.
  const SVG = "http://www.w3.org/2000/svg";
  function element(parent, name, attributes = {}, text) {
    const made = parent.appendChild(document.createElementNS(SVG, name));
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    if (text !== undefined) made.textContent = text;
    return made;
  }

  function panel(svg, { x, y, margin = [0, 0, 0, 0] }) {
    const { width, height } = svg.viewBox.baseVal, [top, right, bottom, left] = margin;
    const [w, h] = [width - left - right, height - top - bottom];
    const X = (value) => left + (value - x[0]) / (x[1] - x[0]) * w;
    const Y = (value) => top + (y[1] - value) / (y[1] - y[0]) * h;
    const outside = element(svg, "g");
    const inside = element(svg, "svg", { x: left, y: top, width: w, height: h, viewBox: `${left} ${top} ${w} ${h}` }); // cuts
    const handles = element(svg, "g");
    const at = (points) => points.map(([a, b]) => `${X(a).toFixed(2)},${Y(b).toFixed(2)}`).join(" ");
    const drawn = {
      svg, x, y, X, Y, handles,
      clear() { outside.replaceChildren(); inside.replaceChildren(); },
      line: (points, look) => element(inside, "polyline", { points: at(points), class: `line ${look}` }),
      area: (points, look) => element(inside, "polygon", { points: at(points), class: `area ${look}` }),
      dot: ([a, b], look, r = 4) => element(inside, "circle", { cx: X(a), cy: Y(b), r, class: `dot ${look}` }),
      arrow(from, to, look) {
        const [x1, y1, x2, y2] = [X(from[0]), Y(from[1]), X(to[0]), Y(to[1])], length = Math.hypot(x2 - x1, y2 - y1);
        if (length < 1) return;
        const [c, s] = [(x2 - x1) / length, (y2 - y1) / length], head = Math.min(9, length);
        const back = (side) => `${x2 - head * c - side * s * head * 0.42},${y2 - head * s + side * c * head * 0.42}`;
        const neck = [x2 - head * 0.8 * c, y2 - head * 0.8 * s];
        element(inside, "line", { x1, y1, x2: neck[0], y2: neck[1], class: `line ${look}` });
        element(inside, "polygon", { points: `${x2},${y2} ${back(1)} ${back(-1)}`, class: `dot ${look}` });
      },
      // A label stands beside its place, by so many units of the svg; anchor is start, middle or end.
      label([a, b], text, look = "ink", [dx, dy] = [0, 0], anchor = "middle") {
        const made = element(inside, "text", { x: X(a) + dx, y: Y(b) + dy, "text-anchor": anchor, class: `label ${look}` });
        let down = 0;
        for (const [piece, level] of pieces(text)) {
          const deep = { sub: 4, sup: -5, "": 0 }[level];
          element(made, "tspan", { dy: deep - down, class: level ? "index" : "" }, piece);
          down = deep;
        }
        return made;
      },
      // The label of an arrow, beyond its tip.
      tip(from, to, text, look) {
        const [dx, dy] = [X(to[0]) - X(from[0]), Y(to[1]) - Y(from[1])], length = Math.hypot(dx, dy) || 1;
        return drawn.label(to, text, look, [20 * dx / length, 20 * dy / length + 5]);
      },
      // Axes at the left and at the bottom: ticks are [value, text]; grid draws a line for each.
      axes({ xTicks = [], yTicks = [], xLabel = "", yLabel = "", grid = true }) {
        for (const [value, text] of xTicks) {
          if (grid) element(inside, "line", { x1: X(value), x2: X(value), y1: top, y2: top + h, class: "grid" });
          element(outside, "text", { x: X(value), y: top + h + 16, "text-anchor": "middle", class: "tick" }, text);
        }
        for (const [value, text] of yTicks) {
          if (grid) element(inside, "line", { x1: left, x2: left + w, y1: Y(value), y2: Y(value), class: "grid" });
          element(outside, "text", { x: left - 6, y: Y(value) + 4, "text-anchor": "end", class: "tick" }, text);
        }
        element(outside, "polyline", { points: `${left},${top} ${left},${top + h} ${left + w},${top + h}`, class: "axis" });
        element(outside, "text", { x: left + w, y: top + h + 33, "text-anchor": "end", class: "tick" }, xLabel);
        element(outside, "text", { x: left, y: top - 8, "text-anchor": "start", class: "tick" }, yLabel);
      },
      // A plane: its two axes, and a faint line for each whole number.
      plane() {
        for (let k = Math.ceil(x[0]); k <= x[1]; k++) {
          element(inside, "line", { x1: X(k), x2: X(k), y1: top, y2: top + h, class: k ? "grid" : "axis" });
        }
        for (let k = Math.ceil(y[0]); k <= y[1]; k++) {
          element(inside, "line", { x1: left, x2: left + w, y1: Y(k), y2: Y(k), class: k ? "grid" : "axis" });
        }
      },
      where({ clientX, clientY }) {
        const { x: u, y: v } = new DOMPoint(clientX, clientY).matrixTransform(svg.getScreenCTM().inverse());
        return [x[0] + (u - left) / w * (x[1] - x[0]), y[1] - (v - top) / h * (y[1] - y[0])];
      },
    };
    return drawn;
  }

  // 4. What can be taken hold of: by mouse, finger or keyboard. A place is kept on a grid of steps.
  const ARROWS = { ArrowRight: [1, 0], ArrowLeft: [-1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };
  const ENDS = { Home: [0, 0], End: [0, 1], PageDown: [1, 0], PageUp: [1, 1] }; // [x or y, lower or upper end]
  function handle(place, { name, at, to, step = 0.1, only, says, range, spot = at, pull = (p) => p }, read, moved) {
    const ranges = range ?? [place.x, place.y];
    const g = element(place.handles, "g", { class: "handle", role: "slider", tabindex: 0, "aria-label": name });
    const main = only === "y" ? 1 : 0;
    g.setAttribute("aria-valuemin", ranges[main][0]);
    g.setAttribute("aria-valuemax", ranges[main][1]);
    element(g, "circle", { r: 20, class: "reach" });
    element(g, "circle", { r: 7, class: "knob" });
    const here = () => at(...read());
    const go = (target, old = here()) => {
      const kept = target.map((value, i) => {
        if (only && i !== main) return old[i];
        const [low, high] = ranges[i];
        return Math.min(high, Math.max(low, Number((Math.round(value / step) * step).toFixed(9))));
      });
      moved(() => to(read()[0], kept));
    };
    const drag = (p) => go(pull(p, ...read()));
    let grip = null; // from the finger to the place it holds
    g.addEventListener("pointerdown", (event) => {
      if (event.button) return;
      const finger = place.where(event);
      grip = spot(...read()).map((value, i) => value - finger[i]);
      g.setPointerCapture(event.pointerId);
      g.focus({ preventScroll: true });
      event.preventDefault();
    });
    g.addEventListener("pointermove", (event) => {
      if (grip) drag(place.where(event).map((value, i) => value + grip[i]));
    });
    g.addEventListener("touchstart", (event) => event.preventDefault(), { passive: false }); // else the page scrolls
    for (const end of ["pointerup", "pointercancel"]) g.addEventListener(end, () => { grip = null; });
    g.addEventListener("keydown", (event) => {
      if (event.altKey || event.ctrlKey || event.metaKey) return;
      const old = here(), target = [...old], size = (event.shiftKey ? 10 : 1) * step;
      if (event.key in ARROWS) {
        const [right, up] = ARROWS[event.key];
        if (only) target[main] += (right + up) * size;
        else { target[0] += right * size; target[1] += up * size; }
      } else if (event.key in ENDS) {
        const [axis, end] = ENDS[event.key];
        if (!only) target[axis] = ranges[axis][end];
        else if (axis === 0) target[main] = ranges[main][end];
        else target[main] += (end ? 10 : -10) * step;
      } else return;
      event.preventDefault();
      go(target, old);
    });
    return {
      drag,
      show(state, numbers) {
        const value = at(state, numbers), [x, y] = spot(state, numbers);
        g.setAttribute("transform", `translate(${place.X(x)},${place.Y(y)})`);
        g.setAttribute("aria-valuenow", Number(value[main].toFixed(3)));
        g.setAttribute("aria-valuetext", says ? says(state, numbers) : only ? number(value[main]) : point(value));
      },
    };
  }

  // 5. A figure on the page. It begins when it comes near the screen.
  const valueOf = (input) => (input.type === "checkbox" ? input.checked : input.type === "range" ? Number(input.value) : input.value);
  function start(root, figure) {
    const state = JSON.parse(JSON.stringify(figure.start)), output = root.querySelector("output");
    const panels = [...root.querySelectorAll(".panels > svg")].map((svg, i) => panel(svg, figure.panels[i]));
    let numbers = figure.compute(state);
    const read = () => [state, numbers];
    const change = (edit) => { edit(); show(); };
    const handles = (figure.handles ?? []).map((hold) => handle(panels[hold.panel ?? 0], hold, read, change));
    const inputs = [...root.querySelectorAll("input[name], select[name]")].filter((input) => input.name in state);
    function show() {
      numbers = figure.compute(state);
      for (const drawn of panels) drawn.clear();
      figure.draw(panels, state, numbers);
      handles.forEach((hold) => hold.show(state, numbers));
      for (const input of inputs) {
        if (input.type === "checkbox") input.checked = state[input.name];
        else input.value = state[input.name];
        const spoken = figure.spoken?.[input.name]?.(state, numbers);
        if (!spoken) continue;
        input.setAttribute("aria-valuetext", spoken);
        const beside = input.closest("label")?.querySelector("b");
        if (beside) beside.textContent = spoken;
      }
      output.replaceChildren(...figure.say(state, numbers).map((sentence) => {
        const span = document.createElement("span");
        for (const [piece, level] of pieces(sentence)) {
          if (level) span.appendChild(document.createElement(level)).textContent = piece;
          else span.append(piece);
        }
        return span;
      }));
    }
    for (const input of inputs) input.addEventListener("input", () => change(() => { state[input.name] = valueOf(input); }));
    for (const button of root.querySelectorAll("button[name]")) {
      button.addEventListener("click", () => change(() => figure.actions[button.name](state, numbers)));
    }
    if (figure.press !== undefined) {
      const pressed = panels[figure.handles[figure.press].panel ?? 0];
      pressed.svg.classList.add("pressed");
      pressed.svg.addEventListener("click", (event) => {
        if (!event.target.closest(".handle")) handles[figure.press].drag(pressed.where(event));
      });
    }
    figure.begin?.(root, { state, panels, show });
    show();
    root.dataset.ready = "yes";
  }

  function register(name, figure) {
    figures[name] = figure;
    if (typeof document === "undefined") return;
    const near = new IntersectionObserver((entries) => {
      for (const { isIntersecting, target } of entries) {
        if (isIntersecting) { near.unobserve(target); start(target, figure); }
      }
    }, { rootMargin: "600px" });
    document.querySelectorAll(`.moving[data-moving="${name}"]`).forEach((root) => near.observe(root));
  }
  return Object.assign(register, { figures, dot, norm, times, transposed, svd, orthonormal, normals, number, whole, raised, scientific, bytes, point, element });
})();
