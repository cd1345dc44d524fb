"""The whole book as one PDF, printed from the built pages by the browser that tests them.

    python -m tools.pdf [PAGE …]     (or `make pdf`; pages such as chapters/05_svd: those alone)

Every page is printed once by itself, then what the pages keep folded, the hints, solutions and answers of each chapter,
as a part at the end. Then the contents are known with their numbers of pages, and all is put together: numbers at the
foot, bookmarks, and links of one page to another that lead into the same file. It takes some minutes.
"""

import html
import io
import pathlib
import re
import sys
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple
from urllib.parse import unquote, urldefrag

import yaml
from playwright.sync_api import Page, sync_playwright
from pypdf import PageObject, PdfReader, PdfWriter
from pypdf.annotations import Link
from pypdf.generic import Fit

from tools import browser

ROOT = pathlib.Path(__file__).resolve().parent.parent
HTML = ROOT / "_build" / "html"
OUT = ROOT / "_build" / "low-rank.pdf"
TITLE = "Low Rank: from norms to LoRA"

# Numbers of pages are put in at the end, when it is known how many came before.
PLAIN_FEET = "@page { @bottom-center { content: none; } }"
# A place gets a name in the PDF if a link to it is printed: an invisible one at the end for each that others refer to.
NAMED = """names => { const box = document.createElement('div');
  for (const name of names) {
    const link = document.createElement('a'); link.href = '#' + name; link.textContent = '.';
    link.style = 'color: transparent; text-decoration: none'; box.append(link);
  }
  box.style = 'font-size: 1px; color: transparent; line-height: 1px; overflow: hidden; height: 2px';
  document.querySelector('article').append(box); }"""
# What is folded on the page, and hidden on paper, becomes all that is printed.
ONLY_FOLDED = """title => {
  const article = document.querySelector('article'), out = document.createElement('section');
  const add = (tag, text) => { const e = document.createElement(tag); e.textContent = text; out.append(e); };
  const folds = [...article.querySelectorAll('details.sd-dropdown')].filter(fold => !fold.closest('div.solution'));
  const named = (fold, name) => {
    const body = fold.querySelector('.sd-summary-content'), strong = document.createElement('strong');
    strong.textContent = name + ': '; (body.querySelector('p') ?? body).prepend(strong); out.append(body); };
  const exercise = fold => {
    let above = fold; while (above && !above.matches('div.exercise')) above = above.previousElementSibling;
    return above ? above.querySelector('.admonition-title').innerText.trim() : 'Hint'; };
  const of = name => folds.filter(fold => fold.querySelector('summary').textContent.trim() === name);
  const hints = of('Hint'), answers = of('Answer'), solutions = article.querySelectorAll('div.solution');
  add('h1', title);
  if (hints.length) add('h2', 'Hints');
  hints.forEach(fold => named(fold, exercise(fold)));
  if (solutions.length) add('h2', 'Solutions');
  for (const solution of solutions) {
    for (const fold of solution.querySelectorAll('details.toggle-details')) fold.replaceWith(...fold.childNodes);
    for (const rest of solution.querySelectorAll('summary')) rest.remove();
    solution.classList.remove('dropdown', 'toggle', 'toggle-hidden'); out.append(solution);
  }
  if (answers.length) add('h2', 'Quiz');
  answers.forEach((fold, k) => named(fold, k + 1));
  // The browser drops a link to a place that is gone: with a query it leads to another page, which is the chapter.
  for (const link of out.querySelectorAll('a[href^="#"]')) {
    const place = link.getAttribute('href');
    if (!out.querySelector('#' + CSS.escape(place.slice(1)))) link.href = location.href + '?chapter' + place;
  }
  article.replaceChildren(out); return hints.length + solutions.length + answers.length; }"""
SOLUTIONS = "#solutions"  # behind the name of a page: what is folded on it
# A character that no font has is drawn as a box, and two of them as the same box.
HAS_CHINESE = """() => {
  const [one, other] = ['中', '文'].map(character => {
    const canvas = document.createElement('canvas'), pen = canvas.getContext('2d');
    pen.font = '40px sans-serif'; pen.fillText(character, 20, 60); return canvas.toDataURL(); });
  return one !== other; }"""
NO_CHINESE = "No font here has Chinese characters: they are printed as boxes. Debian has them in fonts-noto-cjk."


class Piece(NamedTuple):
    """One printed piece of the book: what it is called, the part it opens if any, its page of the book, and its PDF.

    What is folded on a page has the page's name with SOLUTIONS behind it.
    """

    title: str
    part: str
    page: str
    pdf: bytes


def order(toc: str) -> Iterator[tuple[str, str]]:
    """The pages in their order, each with the part that it opens ("" where it opens none)."""
    read = yaml.safe_load(toc)
    yield read["root"], ""
    for part in read["parts"]:
        opens = part.get("caption", "")
        for entry in part["chapters"]:
            for found in [entry, *entry.get("sections", [])]:
                yield found["file"], opens
                opens = ""


def referred(pages: Iterable[str]) -> dict[str, set[str]]:
    """For each page the names of its places that pages link to."""
    found: dict[str, set[str]] = {}
    for page in pages:
        path = HTML / f"{page}.html"
        for address in re.findall(r'href="([^"#:]*#[^"]+)"', path.read_text(encoding="utf-8")):
            file, name = urldefrag(html.unescape(address))
            target = (path.parent / file).resolve() if file else path
            if target.is_relative_to(HTML):
                found.setdefault(target.relative_to(HTML).with_suffix("").as_posix(), set()).add(unquote(name))
    return found


def printed(window: Page) -> bytes:
    """What the window shows, on A4."""
    window.add_style_tag(content=PLAIN_FEET)
    window.evaluate("document.fonts.ready")
    window.evaluate("document.querySelectorAll('img').forEach(i => { i.loading = 'eager'; })")
    window.wait_for_function("[...document.images].every(i => i.complete)")
    return window.pdf(format="A4", prefer_css_page_size=True, print_background=True)  # boxes have their colours


def title_of(window: Page) -> str:
    """A page's heading, with its number."""
    return window.evaluate("document.querySelector('article h1').innerText.replace(/\\\\s*#$/, '')").strip()


def print_pages(window: Page, wanted: list[tuple[str, str]]) -> Iterator[Piece]:
    """The pages one by one, then hints, solutions and answers of those that have some."""
    names = referred(page for page, _ in wanted)
    folded: list[tuple[str, str, bytes]] = []
    for page, part in wanted:
        window.goto((HTML / f"{page}.html").as_uri(), wait_until="load")
        title = title_of(window)
        window.evaluate(NAMED, sorted(names.get(page, ())))
        yield Piece(title, part, page, printed(window))
        if page.startswith("chapters/") and window.evaluate(ONLY_FOLDED, title):
            folded.append((title, page + SOLUTIONS, printed(window)))
    for place, (title, page, pdf) in enumerate(folded):
        yield Piece(title, "" if place else "Solutions", page, pdf)


def contents(window: Page, pieces: list[Piece], first: list[int]) -> bytes:
    """The title and the contents, with the pages' numbers."""
    rows = []
    for piece, number in zip(pieces, first, strict=True):
        if piece.part:
            rows.append(f"<h2>{html.escape(piece.part)}</h2>")
        rows.append(f"<p><span>{html.escape(piece.title)}</span><i></i><span>{number}</span></p>")
    style = """body { font: 10pt/1.4 Inter, sans-serif; margin: 0; } h1 { font-size: 26pt; margin: 2cm 0 1cm; }
      h2 { font-size: 12pt; margin: 0.8em 0 0.2em; break-after: avoid; } p { display: flex; margin: 0; gap: 0.5em; }
      i { flex: 1; border-bottom: 1px dotted #888; margin-bottom: 0.4em; } @page { margin: 20mm 18mm; }"""
    window.set_content(f"<html lang='en'><title>{TITLE}</title><style>{style}</style><h1>{TITLE}</h1>{''.join(rows)}")
    return printed(window)


def feet(window: Page, count: int) -> PdfReader:
    """As many empty pages as the book has, each with its number at the foot."""
    style = "body { margin: 0; } @page { size: A4; margin: 0; }"
    style += " div { height: 296mm; position: relative; break-after: page; }"
    style += " b { position: absolute; bottom: 9mm; width: 100%; text-align: center; font: 9pt Inter, sans-serif; }"
    pages = "".join(f"<div><b>{number}</b></div>" for number in range(1, count + 1))
    window.set_content(f"<html><style>{style}</style>{pages}")
    return PdfReader(io.BytesIO(window.pdf(format="A4", prefer_css_page_size=True)))


class Place(NamedTuple):
    """Where a link leads: a page of the book, counted from 0, and how high on it, None for its top."""

    page: int
    top: float | None


def places(pieces: list[Piece], readers: list[PdfReader], starts: list[int]) -> dict[str, dict[str, Place]]:
    """The named places of each page of the book; "" is its beginning."""
    found: dict[str, dict[str, Place]] = {}
    for piece, reader, start in zip(pieces, readers, starts, strict=True):
        named = {"": Place(start, None)}
        for name, target in reader.named_destinations.items():
            number = reader.get_destination_page_number(target)
            if number is not None:
                named[unquote(name.lstrip("/"))] = Place(start + number, float(target.top) if target.top else None)
        found[piece.page] = named
    return found


def target_of(link: Any, page: str, known: dict[str, dict[str, Place]]) -> Place | None:
    """Where a link in a page of the book leads inside it; None for one that leads out, or nowhere."""
    if "/Dest" in link:
        return known[page].get(unquote(str(link["/Dest"]).lstrip("/")))
    address = str(link.get("/A", {}).get("/URI", ""))
    file, name = urldefrag(address)
    base = HTML.as_uri() + "/"
    if not file.startswith(base):
        return None
    other = known.get(unquote(file.removeprefix(base).partition("?")[0]).removesuffix(".html"), {})
    return other.get(unquote(name), other.get(""))


def lead_inside(writer: PdfWriter, page: PageObject, name: str, known: dict[str, dict[str, Place]]) -> None:
    """Let the links of one page of the PDF lead into the PDF, and drop those that would open a file on a disk."""
    links = [reference.get_object() for reference in page.pop("/Annots", [])]
    for link in links:
        place, address = target_of(link, name, known), str(link.get("/A", {}).get("/URI", ""))
        box = tuple(link["/Rect"])
        if place is not None:
            fit = Fit.fit() if place.top is None else Fit.xyz(left=0, top=place.top)
            new = Link(rect=box, target_page_index=place.page, fit=fit, border=[0, 0, 0])
        elif address.startswith("http"):
            new = Link(rect=box, url=address, border=[0, 0, 0])
        else:
            continue
        writer.add_annotation(page_number=page.page_number, annotation=new)


def put_together(window: Page, pieces: list[Piece]) -> PdfWriter:
    """The book: contents, pieces, numbers, bookmarks, links."""
    readers = [PdfReader(io.BytesIO(piece.pdf)) for piece in pieces]
    front = PdfReader(io.BytesIO(contents(window, pieces, [0] * len(pieces))))  # its length hangs on no number
    starts = [len(front.pages) + sum(len(r.pages) for r in readers[:k]) for k in range(len(readers))]
    front = PdfReader(io.BytesIO(contents(window, pieces, [start + 1 for start in starts])))
    known = places(pieces, readers, starts)
    writer = PdfWriter()
    for reader in (front, *readers):
        for page in reader.pages:
            writer.add_page(page)
    numbers = feet(window, len(writer.pages))
    for page, foot in zip(writer.pages, numbers.pages, strict=True):
        page.merge_page(foot)
        page.compress_content_streams()  # merging has unpacked them
    parent = None
    for piece, reader, start in zip(pieces, readers, starts, strict=True):
        if piece.part:
            parent = writer.add_outline_item(title=piece.part, page_number=start)
        writer.add_outline_item(title=piece.title, page_number=start, parent=parent)
        for page in writer.pages[start : start + len(reader.pages)]:
            lead_inside(writer, page, piece.page, known)
    writer.add_metadata({"/Title": TITLE})
    writer.compress_identical_objects()
    return writer


def main() -> None:
    """Print the book, or the pages that are asked for."""
    asked = sys.argv[1:]
    wanted = [
        entry for entry in order((ROOT / "_toc.yml").read_text(encoding="utf-8")) if not asked or entry[0] in asked
    ]
    with sync_playwright() as playwright:
        chromium, _ = browser.start(playwright)
        window = chromium.new_page(reduced_motion="reduce")  # no film begins
        if not window.evaluate(HAS_CHINESE):
            print(NO_CHINESE, file=sys.stderr)
        pieces = []
        for piece in print_pages(window, wanted):
            pieces.append(piece)
            print(f"{piece.page:42s} {piece.title}", file=sys.stderr)
        writer = put_together(window, pieces)
    writer.write(OUT)
    print(f"{OUT.relative_to(ROOT)}: {len(writer.pages)} pages, {OUT.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
