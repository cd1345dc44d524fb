// A link to a claim, definition, exercise, figure, equation or source shows it beside the text: when pointed at for a
// moment, when it has the focus, and at the first tap. The second tap, a click or Enter follows the link. What another
// page holds comes from a script file that book/previews.py wrote, so that this works from a folder and without a network.
document.addEventListener("DOMContentLoaded", () => {
  const PREVIEWED = /^(thm|lem|cor|prop|def|obs|rem|exa|alg|ex|fig|equation|source)-/;
  const DELAY = 250;
  const root = new URL(document.documentElement.dataset.content_root ?? "./", location.href);
  const box = document.createElement("div");
  box.id = "preview";
  box.hidden = true;
  document.body.append(box);
  let shownFor = null, timer = 0, touched = false;

  const loading = {};
  const load = (page) => loading[page] ??= new Promise((done) => {
    const script = document.createElement("script");
    script.src = new URL(`_static/previews/${page.replace(/html$/, "js")}`, root);
    script.onload = script.onerror = done;
    document.head.append(script);
  });

  function targetOf(link) {
    const url = new URL(link.href), id = decodeURIComponent(url.hash.slice(1));
    if (!PREVIEWED.test(id) || !url.pathname.startsWith(root.pathname)) return null;
    return { url, id, page: url.pathname.slice(root.pathname.length), here: url.pathname === location.pathname };
  }

  async function content({ url, id, page, here }) {
    const part = document.createElement("template");
    if (here) part.innerHTML = document.getElementById(id)?.outerHTML ?? "";
    else {
      await load(page);
      part.innerHTML = window.previews?.[page]?.[id] ?? "";
    }
    for (const element of part.content.querySelectorAll(".claim-links, .headerlink, .backrefs, script")) element.remove();
    for (const element of part.content.querySelectorAll("*")) {
      element.removeAttribute("id");
      for (const name of ["href", "src"]) {
        if (element.hasAttribute(name)) element.setAttribute(name, new URL(element.getAttribute(name), url));
      }
    }
    return part.content;
  }

  function place(link) {
    const at = link.getClientRects()[0], { offsetWidth: width, offsetHeight: height } = box, edge = 8;
    const below = at.bottom + edge + height < innerHeight || at.top < height + edge;
    const left = Math.max(edge, Math.min(at.left, document.documentElement.clientWidth - width - edge));
    box.style.left = `${left + scrollX}px`;
    box.style.top = `${(below ? at.bottom + edge : at.top - height - edge) + scrollY}px`;
  }

  async function show(link, asDialog) {
    const target = targetOf(link);
    shownFor = link;
    const inside = await content(target);
    if (shownFor !== link || !inside.childElementCount) return;
    box.replaceChildren(inside);
    box.setAttribute("role", asDialog ? "dialog" : "tooltip");
    if (asDialog) {
      const go = document.createElement("a");
      go.href = link.href;
      go.className = "preview-go";
      go.textContent = `Go to ${link.textContent.trim()}`;
      box.append(go);
      box.setAttribute("aria-label", link.textContent.trim());
    } else box.removeAttribute("aria-label");
    link.setAttribute("aria-describedby", box.id);
    box.hidden = false;
    if (box.querySelector(".math:not(:has(mjx-container))")) await window.MathJax?.typesetPromise?.([box]);
    place(link);
  }

  function hide() {
    clearTimeout(timer);
    shownFor?.removeAttribute("aria-describedby");
    shownFor = null;
    box.hidden = true;
    box.replaceChildren();
  }

  function later(action) {
    clearTimeout(timer);
    timer = setTimeout(action, DELAY);
  }

  const linkAt = (node) => {
    const link = node.closest?.("article a[href]:not(.headerlink, .ledger-graph a)");
    return link && targetOf(link) ? link : null;
  };
  document.addEventListener("pointerover", ({ target, pointerType }) => {
    if (pointerType === "touch") return;
    const link = linkAt(target);
    if (link && link !== shownFor) later(() => show(link, false));
    else if (link || box.contains(target)) clearTimeout(timer);
    else if (shownFor && document.activeElement !== shownFor) later(hide);
    else if (!shownFor) clearTimeout(timer);
  });
  document.addEventListener("focusin", ({ target }) => {
    const link = linkAt(target);
    if (link && link !== shownFor && target.matches(":focus-visible") && !touched) later(() => show(link, false));
    else if (shownFor && target !== shownFor && !box.contains(target)) hide();
  });
  document.addEventListener("keydown", ({ key }) => { if (key === "Escape" && shownFor) hide(); });
  document.addEventListener("pointerdown", ({ target, pointerType }) => {
    touched = pointerType === "touch";
    if (shownFor && target !== shownFor && !shownFor.contains(target) && !box.contains(target)) hide();
  });
  document.addEventListener("click", (event) => {
    const link = linkAt(event.target);
    if (!link || !touched || link === shownFor) return;
    event.preventDefault();
    hide();
    show(link, true);
  });
});
