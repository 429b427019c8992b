"""Charts as PNG: a drawing made of dots, with the letters that this machine has."""

import math
from functools import cache

import resvg_py

from app.charts.parts import Chart, has_wide_letters
from app.errors import Unavailable
from app.languages import _

SHARP = 2.0
"""Dots of a picture for each pixel of a page."""
MOST_DOTS = 4_000_000
"""A very large drawing gets fewer: while it is made, a quarter of a second, no other request is answered."""
FAMILIES = "system-ui, 'Segoe UI', Roboto, 'Noto Sans', 'DejaVu Sans', sans-serif"
CHINESE_FAMILIES = (
    "'Noto Sans CJK SC', 'Source Han Sans SC', 'Microsoft YaHei', 'PingFang SC', 'WenQuanYi Micro Hei'"
)
"""Here one font draws a whole text: one that has Chinese letters comes first where there are any."""
_COMMON = (
    "sans-serif", "Noto Sans", "DejaVu Sans", "Liberation Sans", "Segoe UI", "Arial", "Helvetica", "Roboto",
    "Ubuntu", "Cantarell", "Open Sans", "FreeSans", "Verdana", "Noto Sans CJK SC",
)  # fmt: skip
"""What may stand for `sans-serif`: a machine's own answer can be the name of a font that it does not have."""
_FRAME = '<svg xmlns="http://www.w3.org/2000/svg" width="20" height="20">{}</svg>'


def families(chart: Chart) -> str:
    """Return the fonts for a picture of a chart, the best first."""
    return f"{CHINESE_FAMILIES}, {FAMILIES}" if has_wide_letters(chart) else FAMILIES


def png(drawing: str, *, width: float, height: float) -> bytes:
    """Make a picture of a drawing.

    Parameters
    ----------
    drawing : str
        An SVG file without references to others; none would be followed.
    width, height : float
        Its size in pixels of a page, above 0.

    Returns
    -------
    bytes
        A PNG of twice as many dots in each direction, or fewer where that would be above `MOST_DOTS`.

    Raises
    ------
    Unavailable
        This machine has no font, so that the picture would be without its words.
    """
    if (family := _plain_family()) is None:
        raise Unavailable(
            _(
                "This server has no fonts, so it cannot write on a picture. "
                "Install some, for example DejaVu, or take the SVG."
            )
        )
    zoom = min(SHARP, math.sqrt(MOST_DOTS / (width * height)))
    return resvg_py.svg_to_bytes(svg_string=drawing, zoom=zoom, sans_serif_family=family)


@cache
def _plain_family() -> str | None:
    """Return the first family that leaves a letter behind; none where there are no fonts."""
    empty = resvg_py.svg_to_bytes(svg_string=_FRAME.format(""))
    for family in _COMMON:
        letter = _FRAME.format(f'<text x="2" y="15" font-family="{family}">A</text>')
        if resvg_py.svg_to_bytes(svg_string=letter) != empty:
            return family
    return None
