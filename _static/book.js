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
  for (const fold of document.querySelectorAll("summary:has(> .toctree-toggle)")) fold.setAttribute("aria-label", "Its pages");
  for (const list of document.querySelectorAll('.citation-list[role="list"]')) list.removeAttribute("role");
});
