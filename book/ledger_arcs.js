// A claim that is pointed at or has the focus: its arcs are lit, to what its proof uses and from what uses it.
(() => {
  const graph = document.currentScript.previousElementSibling;
  const light = (claim) => {
    graph.classList.toggle("lit", Boolean(claim));
    const near = new Set([claim]);
    for (const arc of graph.querySelectorAll("path")) {
      const { from, to } = arc.dataset;
      arc.classList.toggle("uses", from === claim);
      arc.classList.toggle("used", to === claim);
      if (from === claim) near.add(to);
      if (to === claim) near.add(from);
    }
    for (const link of graph.querySelectorAll("a")) link.classList.toggle("near", near.has(link.dataset.claim));
  };
  for (const kind of ["mouseover", "focusin"]) {
    graph.addEventListener(kind, (event) => light(event.target.closest("a")?.dataset.claim));
  }
  for (const kind of ["mouseleave", "focusout"]) graph.addEventListener(kind, () => light());
})();
