// Runs in the engine of book/typeset.py after the files of MathJax, whose parts it puts together by hand: there is no page
// here, so nothing is loaded on demand and no formula is looked for.
const parts = MathJax._;
const adaptor = parts.adaptors.liteAdaptor.liteAdaptor();
parts.a11y["assistive-mml"].AssistiveMmlHandler(parts.handlers.html_ts.RegisterHTMLHandler(adaptor));
const output = new parts.output.chtml_ts.CHTML({
  font: new parts.output.chtml.fonts.tex_ts.TeXFont({ fontURL: "formulas" }),
  adaptiveCSS: false, // the sheet knows every character: which ones the pages need is seen on the pages
});
const pages = parts.mathjax.mathjax.document("", {
  InputJax: new parts.input.tex_ts.TeX({
    packages: ["base", "ams", "newcommand", "boldsymbol"],
    formatError(_, error) { throw error; }, // not a red box on the page
  }),
  OutputJax: output,
});

// What every formula says again, and no page needs.
const NOISE = / (style="position: relative;"|xmlns="[^"]*"|unselectable="on"|data-mjx-texclass="[^"]*"|display="inline")/g;

// The markup of one formula, or {rejected: why}.
function typeset(tex, display) {
  try {
    return adaptor.outerHTML(pages.convert(tex, { display })).replace(NOISE, "");
  } catch (error) {
    return { rejected: error.message };
  }
}

function sheet() {
  return adaptor.textContent(output.styleSheet(pages));
}
