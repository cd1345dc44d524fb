"""What the pages add to the boxes of claims: where each is shown, tested and used, and where a proof ends.

``_static/boxes.css`` says how they look.
"""

from docutils import nodes
from sphinx.application import Sphinx

from book import ledger
from book.references import inline, link, raw, to_claim, to_figure

ENTRIES = ledger.read_book()
FINDINGS = ledger.read_findings()
QED = '<span class="qed" role="img" aria-label="end of the proof">∎</span>'


def name_cells(doctree: nodes.document) -> dict[str, nodes.container]:
    """Give each cell that shows something an anchor for it; the cells by these anchors."""
    named = {}
    for container in doctree.findall(nodes.container):
        metadata = container.get("cell_metadata") or {}
        for key, prefix in (("claim", "shows-"), ("observation", "shows-"), ("folklore", "folklore-")):
            anchors = [f"{prefix}{value}" for value in ledger.marked({"metadata": metadata}, key)]
            container["ids"] += anchors
            named |= dict.fromkeys(anchors, container)
        if "prompt_show" in container and "import google.colab" in container.astext():
            container["prompt_show"] = "Set-up for Colab: nothing to do elsewhere"
    return named


def shown(label: str, cell: nodes.container, box: nodes.Element, docname: str) -> list[nodes.Node]:
    """Where a claim is shown: a figure by its number, else the cell above or below."""
    if name := ledger.figure({"metadata": cell["cell_metadata"]}):
        return [nodes.Text("shown in "), to_figure(name, docname)]
    order = {id(node): place for place, node in enumerate(box.document.findall()) if node is box or node is cell}
    return [link(f"#shows-{label}", "shown below" if order[id(cell)] > order[id(box)] else "shown above")]


def users(label: str, docname: str) -> list[nodes.Node]:
    """The claims whose proofs use this one, folded away."""
    using = [entry for entry in ENTRIES if label in (entry.uses or ())]
    if not using:
        return []
    items = [
        nodes.list_item("", nodes.paragraph("", "", to_claim(e.label, docname), nodes.Text(" "), *inline(e.title)))
        for e in using
    ]
    fold = [raw(f'<details class="used-by"><summary>used by {len(using)}</summary>'), nodes.bullet_list("", *items)]
    return [*fold, raw("</details>")]


def below_claims(doctree: nodes.document, docname: str, cells: dict[str, nodes.container]) -> None:
    """Say below each claim and observation where it is shown and tested, and which proofs use it."""
    chapter = docname.removeprefix("chapters/")
    boxes = {id: node for node in doctree.findall(nodes.Admonition) for id in node["ids"]}
    stated = [(entry.label, "tested") for entry in ENTRIES if entry.chapter == chapter]
    stated += [(finding.label, "held to its verdict") for finding in FINDINGS if finding.chapter == chapter]
    for label, guarded in stated:
        box = boxes[label]
        links = [
            *shown(label, cells[f"shows-{label}"], box, docname),
            nodes.Text(" · "),
            link(f"../ledger.html#ledger-{label}", guarded),
        ]
        box += nodes.container("", nodes.paragraph("", "", *links), *users(label, docname), classes=["claim-links"])


def end_proofs(doctree: nodes.document) -> None:
    """Set the sign of its end behind the last sentence of each proof, or before what the proof uses."""
    for proof in (node for node in doctree.findall(nodes.admonition) if node["ids"] == ["proof"]):
        last = proof.children[-1]
        if isinstance(last, nodes.paragraph) and last.astext().startswith("Uses:"):
            last["classes"].append("uses")
            before = proof.children[-2]
            last = before if isinstance(before, nodes.paragraph) else last
        if isinstance(last, nodes.paragraph):
            last.insert(0 if "uses" in last["classes"] else len(last), raw(QED))


def finish(app: Sphinx, doctree: nodes.document) -> None:
    """All of the above, for a page that has just been read."""
    cells = name_cells(doctree)
    if app.env.docname.startswith("chapters/"):
        below_claims(doctree, app.env.docname, cells)
        end_proofs(doctree)


def setup(app: Sphinx) -> None:
    """Register the above."""
    app.connect("doctree-read", finish)
