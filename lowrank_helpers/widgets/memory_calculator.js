// The arithmetic of lowrank_helpers.costs.training_memory, for the numbers in the form.
(() => {
  function start(root) {
    root.dataset.ready = "yes";
    const { presets, kept, cards, vocabulary } = JSON.parse(root.dataset.memory);
    const form = root.querySelector("form");
    const field = (name) => form.elements[name];
    const shape = ["layers", "width", "hidden"];

    function memory() {
      const [L, d, h, r, T] = [...shape, "rank", "tokens"].map((name) => Math.floor(Number(field(name).value)));
      if (!(Math.min(L, d, h, T) >= 1)) return null;
      const N = L * (4 * d * d + 3 * d * h + 2 * d) + (2 * vocabulary + 1) * d;
      let activations = 2 * kept * L * T * d;
      if (field("again").value) activations = activations / L + 2 * L * T * d;
      if (field("method").value === "full") return { N, n: N, state: 16 * N, activations };
      if (!(r >= 1)) return null;
      const n = L * r * (8 * d + 3 * (d + h));
      return { N, n, state: 16 * n + Number(field("frozen").value) * N, activations };
    }

    const GB = (bytes) => `${(bytes / 1e9).toFixed(bytes < 1e9 ? 2 : 1)} GB`;
    const readings = root.querySelectorAll("output span");
    const [state, activations] = root.querySelectorAll("rect");
    function show() {
      const full = field("method").value === "full";
      field("rank").disabled = field("frozen").disabled = full;
      const found = memory();
      if (!found) {
        readings.forEach((reading, i) => { reading.textContent = i ? "" : "Type whole numbers from 1 on."; });
        return;
      }
      const total = found.state + found.activations, scale = 100 / Math.max(total, 1e9 * Math.max(...cards));
      readings[0].textContent = `About ${GB(total)}: ${GB(found.state)} for weights and training state, `
        + `about ${GB(found.activations)} for activations`;
      readings[1].textContent = `${(found.N / 1e9).toFixed(2)} billion parameters, of which `
        + `${(found.n / 1e6).toFixed(1)} million are trained`
        + (full ? "" : ` (${(100 * found.n / found.N).toFixed(2)} %)`);
      readings[2].textContent = cards.map((card) => `${card} GB: ${total <= 1e9 * card ? "fits" : "too little"}`).join(" · ");
      state.setAttribute("width", found.state * scale);
      activations.setAttribute("x", found.state * scale);
      activations.setAttribute("width", found.activations * scale);
      root.querySelectorAll("line").forEach((line, i) => {
        line.setAttribute("x1", 1e9 * cards[i] * scale);
        line.setAttribute("x2", 1e9 * cards[i] * scale);
      });
    }

    form.addEventListener("input", (event) => {
      const chosen = presets[field("preset").value];
      if (event.target === field("preset") && chosen) shape.forEach((name, i) => { field(name).value = chosen[i]; });
      if (shape.includes(event.target.name)) field("preset").value = "your own";
      show();
    });
    form.addEventListener("submit", (event) => event.preventDefault());
    show();
    root.querySelector("p").hidden = true;
    form.closest("div").hidden = false;
  }

  document.querySelectorAll(".memory-calculator:not([data-ready])").forEach(start);
})();
