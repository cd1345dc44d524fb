"""What the pages show of two kinds of fonts, and no more: the signs of formulas, and the icons.

At the end of a build the pages say which characters they show. Each font is cut to these (fontTools) and packed
(woff2); of MathJax's style sheet and of Font Awesome's the rules for all other characters go. The pages are read from
the disk, so a build that renews a few of them still counts all.
"""

import io
import logging
import pathlib
import re
from collections.abc import Callable, Iterable
from typing import Any

import pydata_sphinx_theme
from fontTools import subset
from sphinx.application import Sphinx

from book import typeset

THEME = pathlib.Path(pydata_sphinx_theme.__file__).parent / "theme" / "pydata_sphinx_theme" / "static"
ICONS = pathlib.Path("vendor", "fontawesome", "6.5.2")  # in the folder of the theme, and in _static
RULE = re.compile(r"([^{}]+)\{([^{}]*)\}\s*")
ICON_RULE = re.compile(r"((?:\.fa-[\w-]+::?before,?)+)\{content:\"([^\"]+)\"\}")
ESCAPED = re.compile(r"\\([0-9a-fA-F]{1,6})\s?")
CONTENT = re.compile(r'content:\s*"((?:[^"\\]|\\.)*)"')
PRIVATE = re.compile(r"[\ue000-\uf8ff]")  # where icons have their codes

NO_WIDTH = " \ueffc"  # what MathJax_Zero has, which keeps a line's height from depending on the font
FIRST = [  # every chapter needs these, and at once
    "formulas/MathJax_Main-Regular",
    "formulas/MathJax_Math-Italic",
    "fonts/inter-latin-400-normal",
    "fonts/inter-latin-600-normal",
    "vendor/fontawesome/6.5.2/webfonts/fa-solid-900",
]


def cut(source: pathlib.Path, characters: Iterable[str]) -> bytes:
    """A font with these characters alone, as woff2."""
    logging.getLogger("fontTools.subset").setLevel(logging.ERROR)  # it tells of each table that no browser needs
    options = subset.Options(flavor="woff2", layout_features=["*"], notdef_outline=True, with_zopfli=False)
    font = subset.load_font(str(source), options)
    cutter = subset.Subsetter(options)
    cutter.populate(unicodes=[ord(character) for character in characters])
    cutter.subset(font)
    packed = io.BytesIO()
    subset.save_font(font, packed, options)
    font.close()
    return packed.getvalue()


def unescaped(content: str) -> str:
    r"""The characters that a style sheet's ``content`` shows: ``"\\2211"`` is ∑."""
    return ESCAPED.sub(lambda found: chr(int(found[1], 16)), content)


def sheet_for(sheet: str, used: set[str]) -> str:
    """MathJax's sheet without the rules for characters, ``mjx-c2211``, that no page shows."""

    def kept(rule: re.Match[str]) -> str:
        characters = re.findall(r"\.(mjx-c[0-9A-F]+)", rule[1])
        return rule[0] if not characters or used.intersection(characters) else ""

    small = RULE.sub(kept, sheet)
    small = re.sub(r'\.woff"\) format\("woff"\);', '.woff2") format("woff2"); font-display: block;', small)
    return re.sub(r"\s*([{};,])\s*", r"\1", small).strip()


def icons_for(sheet: str, used: set[str]) -> str:
    """Font Awesome's sheet without the icons, ``fa-download``, that no page shows."""

    def kept(rule: re.Match[str]) -> str:
        return rule[0] if used.intersection(re.findall(r"fa-[\w-]+", rule[1])) else ""

    return ICON_RULE.sub(kept, sheet)


def all_of(folder: pathlib.Path, *endings: str) -> str:
    """The text of all files in a folder with these endings, one after the other."""
    paths = (path for path in sorted(folder.rglob("*")) if path.suffix in endings)
    return "\n".join(path.read_text(encoding="utf-8") for path in paths)


def write_formulas(static: pathlib.Path, pages: str) -> None:
    """The style sheet of the formulas, and its fonts."""
    sheet = sheet_for(typeset.sheet(), set(re.findall(r"mjx-c[0-9A-F]+", pages)))
    (static / "formulas.css").write_text(sheet, encoding="utf-8")
    shown = "".join(map(unescaped, CONTENT.findall(sheet))) + NO_WIDTH
    folder = static / "formulas"
    folder.mkdir(exist_ok=True)
    for source in (typeset.mathjax_folder() / "output" / "chtml" / "fonts" / "woff-v2").iterdir():
        (folder / source.with_suffix(".woff2").name).write_bytes(cut(source, shown))


def write_icons(static: pathlib.Path, pages: str) -> None:
    """The style sheet of the icons and their fonts: those on pages, in scripts, and in other style sheets."""
    source = THEME / ICONS
    used = set(re.findall(r"\bfa-[\w-]+", pages + all_of(static / "scripts", ".js")))
    sheet = icons_for((source / "css" / "all.min.css").read_text(encoding="utf-8"), used)
    (static / ICONS / "css" / "all.min.css").write_text(sheet, encoding="utf-8")
    elsewhere = all_of(static / "styles", ".css") + "".join(
        path.read_text(encoding="utf-8") for path in sorted(static.glob("*.css"))
    )
    shown = {unescaped(content) for content in CONTENT.findall(sheet)} | set(PRIVATE.findall(unescaped(elsewhere)))
    characters = "".join(sorted(shown))
    for font in (source / "webfonts").glob("*.woff2"):
        (static / ICONS / "webfonts" / font.name).write_bytes(cut(font, characters))
    (static / ICONS / "js" / "all.min.js").unlink(missing_ok=True)  # the same icons once more, as 1.5 MB of script
    for older in (static / ICONS / "webfonts").glob("*.ttf"):
        older.unlink()


def write(app: Sphinx, error: Exception | None) -> None:
    """Cut all fonts to what the pages on the disk show."""
    if error is not None or app.builder.format != "html":
        return
    root = pathlib.Path(app.outdir)
    written = (path for path in root.rglob("*.html") if "_static" not in path.relative_to(root).parts)
    pages = "\n".join(path.read_text(encoding="utf-8") for path in written)
    for part in (write_formulas, write_icons):
        part(root / "_static", pages)


def ask_at_once(app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: Any) -> None:
    """Have the browser fetch what the first screen needs while it still reads the page."""
    pathto: Callable[[str, int], str] = context["pathto"]
    addresses = [pathto(f"_static/{font}.woff2", 1) for font in FIRST]
    links = [f'<link rel="preload" as="font" type="font/woff2" crossorigin href="{it}" />\n' for it in addresses]
    context["metatags"] = context.get("metatags", "") + "".join(links)


def run_later(app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: Any) -> None:
    """Let scripts wait until the page is read: none is needed for the first screen, but what other scripts ask for."""
    for script in context["script_files"]:
        name = str(getattr(script, "filename", None) or "")
        if name and "documentation_options" not in name:
            script.attributes.setdefault("defer", "defer")


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the above."""
    app.add_css_file("formulas.css")
    app.connect("html-page-context", ask_at_once)
    app.connect("html-page-context", run_later, priority=950)  # after the theme has added its own
    app.connect("build-finished", write)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
