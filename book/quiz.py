"""The quiz on the front page: questions in Markdown, one of whose answers is right.

    ::::{quiz}
    :::{question} chapters/01_norms
    The diagonal of $A^\\top A$ holds the squared lengths of …

    - the rows
    - the columns (right)

    Entry $(j, j)$ is column $j$ times itself.
    :::
    ::::

What happens when a reader answers is in ``_static/quiz.js``.
"""

import html
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from book.front import name_of
from book.references import raw

RIGHT = " (right)"


def chapter_name(page: str) -> str:
    """``chapter 1, Norms``."""
    number, _, name = name_of(page).partition(" ")
    return f"chapter {number}, {name}"


class Question(SphinxDirective):
    """``{question} PAGE``: the question, a list of answers, and why; PAGE is the chapter that answers it."""

    required_arguments = 1
    has_content = True

    def run(self) -> list[nodes.Node]:
        asked, answers, why = self._read("\n".join(self.content).split("\n\n"))
        page = self.arguments[0]
        chapter = html.escape(chapter_name(page))
        number = self.env.temp_data["question"] = self.env.temp_data.get("question", 0) + 1
        out = [raw(f'<fieldset data-href="{page}.html" data-chapter="{chapter}"><legend>{number}. ')]
        out += [*self._inline(asked), raw("</legend>")]
        for answer in answers:
            value = "right" if answer.endswith(RIGHT) else "wrong"
            out += [raw(f'<label><input type="radio" name="q{number}" value="{value}"> ')]
            out += [*self._inline(answer.removesuffix(RIGHT)), raw("</label>")]
        out += [raw('<p class="why" hidden><strong class="mark"></strong> '), *self._inline(why)]
        return [*out, raw(f' See <a href="{page}.html">{chapter}</a>.</p></fieldset>')]

    def _read(self, blocks: list[str]) -> tuple[str, list[str], str]:
        """The three parts, or an error that says what is missing."""
        answers = [line.removeprefix("- ") for line in blocks[1].splitlines()] if len(blocks) == 3 else []
        if sum(answer.endswith(RIGHT) for answer in answers) != 1:
            raise self.error(
                "question: write the question, a list of answers, one of which ends in '(right)', and why, with an "
                "empty line between them."
            )
        return blocks[0], answers, blocks[2]

    def _inline(self, text: str) -> list[nodes.Node]:
        """A line of Markdown."""
        found, messages = self.state.inline_text(text, self.lineno)
        return [*found, *messages]


class Quiz(SphinxDirective):
    """``{quiz}``: holds the questions; a button at their end says where to start."""

    has_content = True

    def run(self) -> list[nodes.Node]:
        self.env.temp_data["question"] = 0
        box = nodes.container()
        self.state.nested_parse(self.content, self.content_offset, box)
        return [
            raw('<form id="quiz">'),
            *box.children,
            raw(
                '<button type="submit">Where do I start?</button><output tabindex="-1"></output>'
                "<noscript><p>Without scripts: start at the chapter of the first question that you would have to look "
                "up.</p></noscript></form>"
            ),
        ]


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the directives."""
    app.add_directive("quiz", Quiz)
    app.add_directive("question", Question)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
