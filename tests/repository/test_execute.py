"""What tools/execute.py makes of the pictures in a notebook's outputs."""

import base64
import io

from PIL import Image

from tools.execute import lean, lean_svg


def test_a_drawing_keeps_the_scale_of_its_letters():
    letter = '<path d="M 1.23456 2.5" transform="translate(98.426 3) scale(0.015625)"/>'
    assert lean_svg(letter) == '<path d="M 1.23 2.5" transform="translate(98.42 3) scale(0.015625)"/>'


def packed(mode, color):
    """What becomes of a picture of one colour."""
    png = io.BytesIO()
    Image.new(mode, (4, 4), color).save(png, "PNG", dpi=(96, 96))
    again = lean(base64.b64encode(png.getvalue()).decode())
    return Image.open(io.BytesIO(base64.b64decode(again)))


def test_a_bitmap_keeps_the_channels_that_it_uses():
    assert packed("RGBA", (9, 9, 9, 255)).mode == "L"
    assert packed("RGBA", (9, 9, 9, 0)).getpixel((0, 0)) == (9, 0), "grey, transparent"
    assert packed("RGB", (9, 8, 7)).mode == "RGB"
    assert packed("RGBA", (9, 8, 7, 0)).getpixel((0, 0)) == (9, 8, 7, 0)
