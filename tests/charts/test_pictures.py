"""Charts as PNG: size, letters of any script, labels that try to be more than text."""

import struct

import pytest

from app.charts import Bar, bar_chart
from app.charts.parts import has_wide_letters
from app.charts.pictures import MOST_DOTS, families, png

FRAME = '<svg xmlns="http://www.w3.org/2000/svg" width="{0}" height="{1}">{2}</svg>'
WORDS = '<text x="5" y="30" font-size="20" font-family="sans-serif">{}</text>'


def drawn(inner: str, *, width: int = 200, height: int = 50) -> bytes:
    return png(FRAME.format(width, height, inner), width=width, height=height)


def size(picture: bytes) -> tuple[int, int]:
    assert picture.startswith(b"\x89PNG\r\n\x1a\n")
    width, height = struct.unpack(">II", picture[16:24])
    return width, height


def test_a_picture_has_two_dots_for_each_pixel() -> None:
    assert size(drawn('<rect width="10" height="10" />')) == (400, 100)


@pytest.mark.parametrize(("width", "height"), [(700, 60_000), (60_000, 300)])
def test_a_very_large_chart_is_a_picture_of_bounded_size(width: int, height: int) -> None:
    wide, high = size(drawn("", width=width, height=height))
    assert 0.9 * MOST_DOTS < wide * high < 1.1 * MOST_DOTS
    assert wide / high == pytest.approx(width / height, rel=0.02)


@pytest.mark.parametrize("text", ["refund", "退款", "&lt;script&gt;alert(1)&lt;/script&gt;"])
def test_words_are_drawn(text: str) -> None:
    assert drawn(WORDS.format(text)) != drawn(WORDS.format(""))


def test_a_label_is_drawn_as_the_text_it_is() -> None:
    marked = drawn(WORDS.format("&lt;tspan&gt;a&lt;/tspan&gt;"))
    assert marked != drawn(WORDS.format("<tspan>a</tspan>"))


def test_chinese_words_ask_for_a_font_that_has_them() -> None:
    heads = ("kind", "rows")
    of = {name: bar_chart("kinds", "Kinds", [Bar(name, 1)], heads=heads) for name in ("refund", "退款")}
    assert [has_wide_letters(chart) for chart in of.values()] == [False, True]
    assert families(of["refund"]).startswith("system-ui")
    assert "CJK SC" in families(of["退款"]).split(",")[0]
