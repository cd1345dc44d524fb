/* Slides: in the colours that the reader has chosen in the book, else in the system's; keys lead from slide to slide. */
(() => {
  const chosen = localStorage.getItem("theme"), page = document.documentElement;
  const dark = () => (["light", "dark"].includes(chosen) ? chosen === "dark" : matchMedia("(prefers-color-scheme: dark)").matches);
  const colour = () => { page.dataset.theme = dark() ? "dark" : "light"; };
  colour();
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", colour);
  addEventListener("beforeprint", () => { page.dataset.theme = "light"; });
  addEventListener("afterprint", colour);

  const steps = { ArrowRight: 1, ArrowLeft: -1, PageDown: 1, PageUp: -1, Home: -Infinity, End: Infinity };
  addEventListener("keydown", event => {
    if (!(event.key in steps) || event.altKey || event.ctrlKey || event.metaKey || event.shiftKey) return;
    const slides = [...document.querySelectorAll(".slide")];
    const far = slides.map(slide => Math.abs(slide.getBoundingClientRect().top));
    const next = far.indexOf(Math.min(...far)) + steps[event.key];
    slides[Math.max(0, Math.min(slides.length - 1, next))].scrollIntoView({ behavior: "instant" });
    event.preventDefault();
  });
})();
