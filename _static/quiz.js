// The quiz on the front page: the first question that is not answered right names the chapter to begin with.
document.addEventListener("DOMContentLoaded", () => {
  const quiz = document.getElementById("quiz");
  if (!quiz) return;
  const link = (question) => `<a href="${question.dataset.href}">${question.dataset.chapter}</a>`;
  quiz.addEventListener("submit", (event) => {
    event.preventDefault();
    const questions = [...quiz.querySelectorAll("fieldset")];
    const right = (q) => q.querySelector("input:checked")?.value === "right";
    for (const question of questions) {
      const mark = question.querySelector(".mark");
      mark.textContent = right(question) ? "Right." : question.querySelector("input:checked") ? "Not so." : "Not answered.";
      question.querySelector(".why").hidden = false;
    }
    const missed = questions.filter((q) => !right(q));
    const [first, ...later] = new Map(missed.map((q) => [q.dataset.href, link(q)])).values();
    const advice = quiz.querySelector("output");
    advice.innerHTML = `${questions.length - missed.length} of ${questions.length} right. ` + (first
      ? `Start at ${first}.` + (later.length ? ` Further on, have a look at ${later.join("; ")}.` : "")
      : 'You know this ground. What is measured rather than proved may still be new to you: '
        + '<a href="chapters/17_lora_training.html">chapter 17</a>, <a href="chapters/18_lora_updates.html">chapter 18</a>, '
        + 'and <a href="chapters/project_real_model.html">a model of your own</a>; or <a href="folklore.html">the misstatements</a>.');
    advice.focus();
  });
});
