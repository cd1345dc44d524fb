"""What a link shows before it is followed: the boxes, equations, figures and sources of each page, cut out of it.

``write`` is called at the end of a build. It puts a script file for each page beside it, because a page that is opened
from a folder may load scripts and nothing else; ``_static/preview.js`` loads one when it is first asked for.
"""

import json
import pathlib
import re

from sphinx.application import Sphinx

# The ids that links lead to: labels of boxes and figures, equations, entries of the bibliography.
LABELS = r"(?:thm|lem|cor|prop|def|obs|rem|exa|alg|ex|fig|equation|source)-"
PREVIEWED = re.compile(rf'<(?P<tag>\w+)\b[^>]*\bid="(?P<id>{LABELS}[^"]+)"[^>]*>')


def element(html: str, start: re.Match[str]) -> str:
    """The whole element that a tag begins."""
    depth = 0
    for tag in re.compile(rf"<(/?){start['tag']}\b[^>]*>").finditer(html, start.start()):
        depth += -1 if tag[1] else 1
        if not depth:
            return html[start.start() : tag.end()]
    raise ValueError(f"{start[0]} has no end: the page is not well formed.")


def previews(html: str) -> dict[str, str]:
    """The elements of a page that links lead to, by their ids."""
    return {start["id"]: element(html, start) for start in PREVIEWED.finditer(html)}


def write(app: Sphinx, error: Exception | None) -> None:
    """Put the previews of every page into the built book."""
    if error is not None or app.builder.format != "html":
        return
    built = pathlib.Path(app.outdir)
    for docname in app.env.found_docs:
        address = app.builder.get_target_uri(docname)
        cut = previews((built / address).read_text(encoding="utf-8"))
        script = f"(window.previews ??= {{}})[{json.dumps(address)}] = {json.dumps(cut, ensure_ascii=False)};\n"
        file = built / "_static" / "previews" / f"{docname}.js"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(script, encoding="utf-8")


def setup(app: Sphinx) -> None:
    """Register the above."""
    app.connect("build-finished", write)
