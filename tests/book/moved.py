"""The figures that readers move, for tests: their numbers in the engine V8, and a page with one of them."""

import functools
import json

from py_mini_racer import MiniRacer

from book import moving

BASE = (moving.FOLDER / "base.js").read_text(encoding="utf-8")
STYLE = (moving.FOLDER / "base.css").read_text(encoding="utf-8")


def script(name):
    return (moving.FOLDER / f"{name}.js").read_text(encoding="utf-8")


@functools.cache
def engine():
    """V8 without a page, with all figures in it."""
    started = MiniRacer()
    for text in (BASE, *map(script, moving.names())):
        started.eval(text + "\n0")
    return started


def call(expression, *values):
    """The value of a function of the scripts, such as ``moving.svd``."""
    return json.loads(engine().eval(f"JSON.stringify(({expression})(...{json.dumps(values)}))"))


def start(name):
    """The state that a figure begins with."""
    return call(f"() => moving.figures.{name}.start")


def numbers(name, **state):
    """What a figure computes, where some of its state is set."""
    return call(f"moving.figures.{name}.compute", start(name) | state)


def body(name):
    """What a page has of a figure."""
    scripts = "".join(f"<script>{text}</script>" for text in (BASE, script(name)))
    style = f"<style>body {{ margin: 16px; font-family: sans-serif }} {STYLE}</style>"
    return f"{style}<main><h1>A page</h1>{moving.figure(name)}</main>{scripts}"
