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

// 4. The quiz on the front page: the first question that is not answered right names the chapter to begin with.
document.addEventListener("DOMContentLoaded", () => {
  const quiz = document.getElementById("quiz");
  if (!quiz) return;
  quiz.addEventListener("submit", (event) => {
    event.preventDefault();
    const questions = [...quiz.querySelectorAll("fieldset")];
    const right = (q) => q.querySelector("input:checked")?.value === "right";
    for (const question of questions) {
      const mark = question.querySelector(".mark");
      mark.textContent = right(question) ? "Right." : question.querySelector("input:checked") ? "Not so." : "Not answered.";
      question.querySelector(".why").hidden = false;
    }
    const missed = questions.find((q) => !right(q));
    const score = questions.filter(right).length;
    const advice = quiz.querySelector("output");
    advice.innerHTML = `${score} of ${questions.length} right. ` + (missed
      ? `Start at <a href="${missed.dataset.href}">${missed.dataset.chapter}</a>.`
      : 'You know this ground: read <a href="folklore.html">the misstatements</a>, then try the exercises of '
        + '<a href="chapters/06_eckart_young.html">chapter 6</a>.');
    advice.focus();
  });
});
