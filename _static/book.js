// 1. Typeset the formulas on the screen first, then the rest in small portions, so that a long page is readable at once.
window.MathJax = window.MathJax || {};
window.MathJax.startup = {
  async pageReady() {
    let moved = false;
    const note = () => { moved = true; };
    for (const kind of ["wheel", "touchmove", "keydown", "pointerdown"]) {
      window.addEventListener(kind, note, { once: true, passive: true });
    }
    const target = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)));
    const distance = (formula) => {
      const top = formula.getBoundingClientRect().top;
      return top < -200 ? 1e6 - top : top; // above the screen: after all that is below
    };
    const formulas = [...document.querySelectorAll(".math")]
      .map((formula) => [distance(formula), formula]).sort((a, b) => a[0] - b[0]);
    const first = formulas.filter(([d]) => d < window.innerHeight + 200).length;
    for (let at = 0, size = first || 100; at < formulas.length; at += size, size = 100) {
      await MathJax.typesetPromise(formulas.slice(at, at + size).map((pair) => pair[1]));
      await Promise.race([new Promise(requestAnimationFrame), new Promise((done) => setTimeout(done, 100))]); // paint
    }
    if (target && !moved) target.scrollIntoView();
    reachable();
  },
};

// 2. A formula in a line of text that is wider than the column gets a scroll bar of its own, and what scrolls sideways
//    can be scrolled with the keyboard.
function reachable() {
  const inline = [...document.querySelectorAll('article mjx-container:not([display="true"])')];
  const wide = inline.map((box) => box.scrollWidth > box.parentElement.closest("p, li, td, dd, div").clientWidth);
  inline.forEach((box, i) => box.classList.toggle("wide", wide[i]));
  const boxes = 'mjx-container[display="true"], mjx-container.wide, .pst-scrollable-table-container, div.highlight pre, .output pre';
  for (const box of document.querySelectorAll(boxes)) {
    if (box.scrollWidth > box.clientWidth) box.tabIndex = 0;
  }
}
window.addEventListener("load", reachable);
window.addEventListener("resize", reachable);

// 3. Names that the theme gives wrongly to a screen reader.
document.addEventListener("DOMContentLoaded", () => {
  const misnamed = ".search-button-field, details.hide > summary";
  for (const element of document.querySelectorAll(misnamed)) element.removeAttribute("aria-label");
  for (const list of document.querySelectorAll('.citation-list[role="list"]')) list.removeAttribute("role");
});
