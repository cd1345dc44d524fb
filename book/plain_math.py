"""A formula of TeX as a line of plain text, for places that cannot typeset one: ``\\sigma_{r+1}^2`` as ``σ_(r+1)²``.

It knows what the book's formulas use, and leaves out what it does not know: a search looks for words and letters.
"""

import re

SYMBOLS = {
    **dict(
        zip("alpha beta gamma delta epsilon zeta eta theta iota kappa mu nu xi".split(), "αβγδεζηθικμνξ", strict=True)
    ),
    **dict(zip("lambda pi rho sigma tau upsilon phi chi psi omega".split(), "λπρστυφχψω", strict=True)),
    **dict(zip("Gamma Delta Theta Lambda Xi Pi Sigma Phi Psi Omega".split(), "ΓΔΘΛΞΠΣΦΨΩ", strict=True)),
    **dict(zip("varepsilon varphi ell nabla partial infty emptyset".split(), "εφℓ∇∂∞∅", strict=True)),
    **dict(zip("lVert rVert Vert lvert rvert vert mid langle rangle".split(), "‖‖‖||||⟨⟩", strict=True)),
    **dict(zip("lfloor rfloor lceil rceil perp cdot dots cdots vdots ddots".split(), "⌊⌋⌈⌉⊥·…………", strict=True)),
    **{"top": "ᵀ", "circ": "∘", "sum": "∑", "prod": "∏", "int": "∫", "ldots": "…", "dagger": "†", "prime": "′"},
}
RELATIONS = dict(
    zip(
        "le leq ge geq ne neq approx sim propto in notin subseteq times otimes pm cap cup".split()
        + "to mapsto leftarrow iff ll gg".split(),
        "≤≤≥≥≠≠≈∼∝∈∉⊆×⊗±∩∪→↦←⇔≪≫",
        strict=True,
    )
)
ACCENTS = {
    "hat": "\u0302",
    "widehat": "\u0302",
    "tilde": "\u0303",
    "widetilde": "\u0303",
    "bar": "\u0304",
    "dot": "\u0307",
}
RAISED = str.maketrans("0123456789+-=()niᵀ⊥", "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁼⁽⁾ⁿⁱᵀ⊥")
LOWERED = str.maketrans("0123456789+-=()ijkrn", "₀₁₂₃₄₅₆₇₈₉₊₋₌₍₎ᵢⱼₖᵣₙ")
BLACKBOARD = str.maketrans("RNCEPZ", "ℝℕℂ𝔼ℙℤ")
GROUP = r"\{((?:[^{}]|\{[^{}]*\})*)\}"  # what stands in braces, with one level of braces inside
ARGUMENT = rf"\s*(?:{GROUP}|(\\[a-zA-Z]+|[^\s{{}}]))"  # or a command, or one sign


def script(found: re.Match[str]) -> str:
    """What is raised or lowered, by the signs that Unicode has for it, or in brackets behind ^ or _."""
    signs = RAISED if found[1] == "^" else LOWERED
    text = plain_math(found[2] or found[3]).replace(" ", "").replace("−", "-")
    if text and all(ord(sign) in signs for sign in text):
        return text.translate(signs)
    text = text.replace("-", "−")
    return found[1] + (text if len(text) == 1 else f"({text})")


def fraction(found: re.Match[str]) -> str:
    """A fraction on one line, in brackets what is more than a word; the braces end a command that stands before it."""
    parts = [plain_math(found[1] or found[2]), plain_math(found[3] or found[4])]
    return "{}" + "/".join(part if re.fullmatch(r"\w+", part) else f"({part})" for part in parts)


def word(found: re.Match[str]) -> str:
    """A command without an argument as its sign; one that only sets sizes or spaces as nothing."""
    name = found[1]
    if name in RELATIONS:
        return f" {RELATIONS[name]} "
    if name in SYMBOLS:
        return SYMBOLS[name]
    return f" {name} " if name in "min max log ln exp det dim ker sin cos tan cosh arctan lim".split() else " "


def plain_math(tex: str) -> str:
    """One formula as text."""
    text = re.sub(r"\\(?:begin|end)\{\w+\*?\}(?:\{[lcr|]*\})?|\\label\{[^}]*\}", " ", tex)
    text = re.sub(r"\\\\(?:\[[^\]]*\])?|(?<!\\)&", " ", text)
    text = re.sub(r"\\[,;:!> ]|~", " ", text)
    text = re.sub(rf"\\[dt]?frac{ARGUMENT}{ARGUMENT}", fraction, text)
    text = re.sub(rf"\\binom{ARGUMENT}{ARGUMENT}", r" binom(\1\2, \3\4) ", text)
    text = re.sub(rf"\\sqrt\s*(?:{GROUP}|(\w))", lambda m: "√" + (m[2] or f"({plain_math(m[1])})"), text)
    text = re.sub(r"\\mathbb\s*(?:\{(\w)\}|(\w))", lambda m: (m[1] or m[2]).translate(BLACKBOARD), text)
    text = re.sub(
        rf"\\({'|'.join(ACCENTS)})(?![a-z]){ARGUMENT}", lambda m: "{}" + plain_math(m[2] or m[3]) + ACCENTS[m[1]], text
    )
    text = re.sub(rf"\\(?:operatorname\*?|text|texttt|mathrm|mathcal|mathbf|underbrace)\s*{GROUP}", r" \1 ", text)
    text = re.sub(rf"([_^]){ARGUMENT}", script, text)
    text = re.sub(r"\\([a-zA-Z]+)\s*", word, text)
    text = re.sub(r"(?<!\\)[{}]", "", text)
    text = re.sub(r"\\([{}|&%#_$])", lambda m: "‖" if m[1] == "|" else m[1], text)
    text = " ".join(re.sub(r"([=<>])", r" \1 ", text.replace("-", "−")).split())
    return re.sub(r"(\b[a-z]{2,}) (?=\()|(?<=\() | (?=[).,])", r"\1", text)
