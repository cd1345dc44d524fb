// 1. A formula in a line of text that is wider than the column gets a scroll bar of its own, and what scrolls sideways
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
document.addEventListener("DOMContentLoaded", reachable);
window.addEventListener("resize", reachable);

// 2. Names that the theme gives wrongly to a screen reader.
document.addEventListener("DOMContentLoaded", () => {
  const misnamed = ".search-button-field, details.hide > summary";
  for (const element of document.querySelectorAll(misnamed)) element.removeAttribute("aria-label");
  for (const list of document.querySelectorAll('.citation-list[role="list"]')) list.removeAttribute("role");
});

// 3. The quiz on the front page: the first question that is not answered right names the chapter to begin with.
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
