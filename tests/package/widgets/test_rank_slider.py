"""The rank slider: its figures against numpy, and its page in a browser, by keyboard, mouse and touch."""

import base64
import gzip
import io
import re

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import expect

from book.margins import close
from lowrank_helpers import datasets
from lowrank_helpers.widgets import rank_slider

PHOTO = datasets.load("china")


@pytest.fixture(scope="module")
def slider():
    return rank_slider(PHOTO)


def matrix_of(picture):
    return np.hstack([picture[:, :, c] for c in range(3)]).astype(float)


def test_the_figures_are_those_of_numpy(slider):
    M = matrix_of(slider.image)
    assert M.shape == (213, 960)
    U, s, Vt = np.linalg.svd(M, full_matrices=False)
    for rank, share in ((1, 1), (7, 8), (87, 100), (88, 101)):
        best = (U[:, :rank] * s[:rank]) @ Vt[:rank]
        relative = np.linalg.norm(M - best) / np.linalg.norm(M)
        assert close(slider.relative_error(rank), relative, rtol=1e-10)
        assert slider.numbers(rank) == rank * (213 + 960) and slider.bytes(rank) == 2 * slider.numbers(rank)
        shown = matrix_of(slider.picture(rank))
        psnr = 10 * np.log10(255**2 / np.mean((M - shown) ** 2))
        assert close(slider.psnr[rank], psnr, rtol=1e-6)
        energy = 1 - np.sum(s[rank:] ** 2) / np.sum(s**2)
        numbers = f"{rank * 1173:,}".replace(",", "\u00a0")
        assert slider.figures(rank) == (
            f"rank {rank} of 213",
            f"{numbers} numbers, {rank * 2.346:.1f} kB: {share} % of the pixels' 204.5 kB",
            f"{100 * energy:.2f} % of the energy, relative error {100 * relative:.1f} %",
            f"PSNR {psnr:.1f} dB",
        )


def test_the_slider_ends_at_the_picture_itself(slider):
    assert slider.max_rank == 213
    assert np.array_equal(slider.picture(213), slider.image)
    assert slider.figures(213)[-1] == "exact in 8 bits"


def test_averaging_is_over_whole_blocks():
    picture = np.arange(5 * 7, dtype=np.uint8).reshape(5, 7)
    small = rank_slider(picture, width=4, max_rank=1, start=1).image
    assert np.array_equal(small, [[4, 6, 8], [18, 20, 22]])
    assert np.array_equal(rank_slider(picture, width=7, max_rank=1, start=1).image, picture)


@pytest.mark.parametrize("picture", [np.zeros((4, 6), np.uint8), np.full((4, 6, 3), 255, np.uint8)])
def test_flat_pictures_are_exact_at_rank_one(picture):
    flat = rank_slider(picture, max_rank=3, start=1)
    assert np.array_equal(flat.picture(1), picture)
    assert np.isinf(flat.psnr[1:]).all()
    assert "exact in 8 bits" in flat._repr_html_()
    assert "nan" not in flat._repr_html_()


@pytest.mark.parametrize(
    ("picture", "options", "error", "words"),
    [
        (np.zeros((4, 4)), {}, TypeError, "image must be uint8.*; got float64"),
        (np.zeros((4, 4, 4), np.uint8), {}, ValueError, r"got \(4, 4, 4\)"),
        (np.zeros((0, 4), np.uint8), {}, ValueError, r"got \(0, 4\)"),
        (np.zeros((4, 6), np.uint8), {"max_rank": 5}, ValueError, "its smaller side = 4; got 5 for the 4×6 matrix"),
        (np.zeros((4, 6), np.uint8), {"max_rank": 0}, ValueError, "got 0"),
        (np.zeros((4, 6), np.uint8), {"max_rank": True}, TypeError, "max_rank must be an integer; got True"),
        (np.zeros((4, 6), np.uint8), {"max_rank": 3, "start": 1.5}, TypeError, "start must be an integer; got 1.5"),
        (np.zeros((4, 6), np.uint8), {"max_rank": 3, "start": 4}, ValueError, "max_rank = 3; got 4"),
        (np.zeros((4, 6), np.uint8), {"max_rank": 3, "width": 0}, ValueError, "width must be at least 1; got 0"),
        (np.zeros((4, 6), np.uint8), {"start": 1, "play": 1}, TypeError, "play must be True or False; got 1"),
    ],
)
def test_misuse_is_refused(picture, options, error, words):
    with pytest.raises(error, match=words):
        rank_slider(picture, **options)


def test_a_rank_off_the_slider_is_refused(slider):
    for ask in (slider.picture, slider.relative_error, slider.numbers, slider.bytes, slider.figures):
        with pytest.raises(ValueError, match=rf"^RankSlider\.{ask.__name__}: rank must be between 0 and 213; got 214"):
            ask(214)
        with pytest.raises(TypeError, match=r"rank must be an integer; got 1\.5"):
            ask(1.5)


def test_page_is_small_the_same_each_time_and_has_no_ids(slider):
    page = slider._repr_html_()
    assert len(gzip.compress(page.encode())) < 135_000
    assert page == rank_slider(PHOTO)._repr_html_()
    assert not re.search(r"\sid=", page)
    assert "http" not in page
    assert repr(slider) == "RankSlider(213 × 320 pixels, ranks 1 to 213)"
    assert "A temple &lt;b&gt;" in rank_slider(PHOTO, alt="A temple <b>")._repr_html_()


# In a browser


def pixels(page, which=0):
    """The canvas as an array (rows, columns, 3)."""
    url = page.evaluate("which => document.querySelectorAll('canvas')[which].toDataURL('image/png')", which)
    return np.array(Image.open(io.BytesIO(base64.b64decode(url.split(",")[1]))).convert("RGB"))


def assert_shows(page, slider, rank, which=0):
    control = page.get_by_role("slider", name="Rank").nth(which)
    expect(control).to_be_enabled()
    assert control.input_value() == str(rank)
    assert control.get_attribute("aria-valuetext") == ", ".join(slider.figures(rank))
    assert page.locator("output").nth(which).locator("span").all_text_contents() == list(slider.figures(rank))
    dropped = page.locator(".rank-slider").nth(which).locator("rect.dropped").count()
    assert dropped == slider.max_rank - rank
    picture = slider.picture(rank)
    if picture.ndim == 2:
        picture = np.repeat(picture[:, :, None], 3, axis=2)
    assert np.array_equal(pixels(page, which), picture)


def test_keyboard_moves_the_rank_and_every_pixel_is_numpys(show, slider):
    page = show(slider._repr_html_())
    assert_shows(page, slider, slider.start)
    page.keyboard.press("Tab")
    page.keyboard.press("ArrowRight")
    assert_shows(page, slider, slider.start + 1)
    page.keyboard.press("End")
    assert_shows(page, slider, 213)
    page.keyboard.press("Home")
    assert_shows(page, slider, 1)
    outline = page.get_by_role("slider").evaluate("input => getComputedStyle(input).outlineWidth")
    assert outline == "3px"


def test_mouse_drags_the_rank(show, slider):
    page = show(slider._repr_html_())
    expect(page.get_by_role("slider")).to_be_enabled()
    box = page.get_by_role("slider").bounding_box()
    middle = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + 0.2 * box["width"], middle)
    page.mouse.down()
    page.mouse.move(box["x"] + 0.5 * box["width"], middle, steps=8)
    page.mouse.up()
    rank = int(page.get_by_role("slider").input_value())
    assert abs(rank - 107) <= 4
    assert_shows(page, slider, rank)


def test_touch_on_a_phone(show, slider):
    page = show(slider._repr_html_(), viewport={"width": 390, "height": 800}, has_touch=True, is_mobile=True)
    expect(page.get_by_role("slider")).to_be_enabled()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    box = page.get_by_role("slider").bounding_box()
    assert box["height"] >= 44
    page.touchscreen.tap(box["x"] + 0.75 * box["width"], box["y"] + 5)  # near the edge of the target
    rank = int(page.get_by_role("slider").input_value())
    assert abs(rank - 166) <= 4
    assert_shows(page, slider, rank)


def test_two_on_one_page_keep_apart(show, slider):
    grey = rank_slider(PHOTO[:, :, 0], max_rank=20, width=160, start=5)
    page = show(slider._repr_html_() + grey._repr_html_())
    page.get_by_role("slider").nth(1).press("ArrowRight")
    assert_shows(page, slider, slider.start, which=0)
    assert_shows(page, grey, 6, which=1)


def test_inserted_later_as_a_notebook_does(show, slider):
    page = show("<div id=output></div>")
    insert = """html => { const output = document.querySelector("#output"); output.innerHTML = html;
        for (const old of output.querySelectorAll("script")) {
            const script = document.createElement("script");
            script.textContent = old.textContent; old.replaceWith(script); } }"""
    page.evaluate(insert, slider._repr_html_())
    assert_shows(page, slider, slider.start)


def test_in_an_iframe_as_in_colab(show, slider):
    page = show("<iframe width=700 height=800></iframe>")
    page.evaluate("html => { document.querySelector('iframe').srcdoc = html; }", slider._repr_html_())
    control = page.frame_locator("iframe").get_by_role("slider", name="Rank")
    expect(control).to_be_enabled()
    control.press("ArrowLeft")
    assert control.get_attribute("aria-valuetext") == ", ".join(slider.figures(slider.start - 1))


@pytest.mark.parametrize("picture", [PHOTO[:2, :1], PHOTO[:400, :9], np.zeros((6, 9), np.uint8), PHOTO[:5, :7, 0]])
def test_small_tall_and_black_pictures(show, picture):
    small = rank_slider(picture, start=1)
    page = show(small._repr_html_())
    assert_shows(page, small, 1)
    page.get_by_role("slider").press("End")
    assert_shows(page, small, small.max_rank)


FILM = """() => { window.film = []; const output = document.querySelector("output");
    new MutationObserver(() => film.push(parseInt(output.textContent.split(" ")[1])))
      .observe(output, {childList: true, subtree: true}); }"""


def test_it_plays_once_and_is_stopped_by_a_button_or_by_a_hand(show):
    film = rank_slider(PHOTO, width=64, start=30, play=True)
    page = show(film._repr_html_())
    page.evaluate(FILM)
    expect(page.get_by_role("button")).to_have_text("Pause")
    expect(page.get_by_role("button")).to_have_text("Play")
    assert_shows(page, film, 30)
    ranks = page.evaluate("film")
    ranks = ranks[ranks.index(2) :]  # before it, the rank shown first
    assert ranks == sorted(ranks) and len(set(ranks)) > 10
    page.get_by_role("button").click()
    page.get_by_role("button", name="Pause").click()
    assert int(page.get_by_role("slider").input_value()) < 30
    page.get_by_role("button", name="Play").click()
    page.get_by_role("slider").press("End")
    expect(page.get_by_role("button")).to_have_text("Play")
    assert_shows(page, film, film.max_rank)
    page.get_by_role("slider").press("Home")
    page.get_by_role("button", name="Play").click()
    page.get_by_role("slider").press("Home")  # where the film begins: the rank stays, and the film stops all the same
    expect(page.get_by_role("button")).to_have_text("Play")
    assert_shows(page, film, 1)


def test_it_keeps_still_for_readers_who_want_less_motion(show):
    page = show(rank_slider(PHOTO, width=64, start=9, play=True)._repr_html_(), reduced_motion="reduce")
    expect(page.get_by_role("slider")).to_be_enabled()
    expect(page.get_by_role("button")).to_have_text("Play")


def test_it_has_no_button_where_nobody_asked_for_a_film(show, slider):
    page = show(slider._repr_html_())
    expect(page.get_by_role("slider")).to_be_enabled()
    assert page.get_by_role("button").count() == 0


def test_without_scripts_a_picture_and_its_figures_remain(show, slider):
    page = show(slider._repr_html_(), java_script_enabled=False)
    still = page.get_by_role("img")
    assert still.count() == 1
    assert still.get_attribute("alt") == "The picture, recomposed from 12 matrices of rank one"
    assert page.locator("output span").all_text_contents() == list(slider.figures(12))
    assert page.get_by_text("With scripts enabled").is_visible() and not page.locator("input").is_visible()


@pytest.mark.parametrize(("paper", "ink"), [("#ffffff", "#222222"), ("#14181e", "#ced6dd")])
def test_takes_the_colour_of_its_page(show, slider, paper, ink):
    page = show(f"<div style='background:{paper};color:{ink}'>{slider._repr_html_()}</div>")
    colours = page.evaluate(
        """() => ["input", "output", "rect"].map(part => { const style = getComputedStyle(document.querySelector(part));
            return part === "rect" ? style.fill : style.color; })"""
    )
    expected = f"rgb({', '.join(str(int(ink[i : i + 2], 16)) for i in (1, 3, 5))})"
    assert colours == [expected] * 3


def test_a_step_is_quick(show, slider):
    page = show(slider._repr_html_())
    expect(page.get_by_role("slider")).to_be_enabled()
    milliseconds = page.evaluate(
        """() => { const input = document.querySelector("input"), times = [];
            for (let rank = 1; rank <= 213; rank++) { const start = performance.now(); input.value = rank;
                input.dispatchEvent(new Event("input")); times.push(performance.now() - start); }
            return times.sort((a, b) => a - b)[106]; }"""
    )
    assert milliseconds < 30
