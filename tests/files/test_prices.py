"""The operator's price table."""

import datetime as dt
from pathlib import Path

import pytest

from app.errors import InvalidInput
from app.files.prices import Price, estimate, read_prices
from app.services.tuning import checks

HEADER = "model,usd_per_million_tokens,most_tokens_per_row,as_of,source\n"


def test_without_a_table_no_price_is_told(tmp_path: Path) -> None:
    table = checks.price_table(tmp_path / "none.csv")
    assert (table.prices, table.error) == ((), "")
    assert checks.estimates(table, tokens=1_000) == ()


def test_the_operators_own_table_counts(tmp_path: Path) -> None:
    own = tmp_path / "prices.csv"
    own.write_text(f"{HEADER}big,10,,2026-11-01,list\nsmall,2.5,4096,2026-11-02,list\n")
    table = checks.price_table(own)
    assert (table.path, table.error) == (own, "")
    assert table.prices[1] == Price("small", 2.5, 4096, dt.date(2026, 11, 2), "list")
    found = estimate(table.prices, tokens=2_000_000, epochs=3)
    assert [(one.price.model, one.usd) for one in found] == [("small", 15.0), ("big", 60.0)]
    with pytest.raises(InvalidInput, match="1 to 50 times"):
        checks.estimates(table, tokens=1, epochs=0)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("", "must begin with the line model,"),
        ("model,price\nbig,1\n", "must begin with the line model,"),
        (HEADER + "big,cheap,,2026-11-01,x\n", "Line 2 of the price table .* a date that is none"),
        (HEADER + "big,1,,yesterday,x\n", "a date that is none"),
        (HEADER + "big,-1,,2026-11-01,x\n", "a price below zero"),
        (HEADER + "big,nan,,2026-11-01,x\n", "a price, .* that is none"),
        (HEADER + "big,1e308,,2026-11-01,x\n", "a price, .* that is none"),
        (
            HEADER + "x" * 200_000 + ",1,,2026-11-01,x\n",
            "Line 2 .* is longer than 10,000 characters",
        ),
        (HEADER + "big,1,0,2026-11-01,x\n", "a limit below one token"),
        (HEADER + "big,1\n", "needs 5 cells"),
        (HEADER + ",1,,2026-11-01,x\n", "the first of them a model"),
        ("\xff\xfe".encode("latin-1") + b"\0", "cannot be read as UTF-8 text"),
        (HEADER + "x" * 1_100_000, "larger than 1,048,576 bytes"),
    ],
)
def test_a_broken_table_is_one_sentence_on_the_page(
    tmp_path: Path, content: str | bytes, sentence: str
) -> None:
    own = tmp_path / "prices.csv"
    own.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(InvalidInput, match=sentence):
        read_prices(own)
    assert checks.price_table(own).error
