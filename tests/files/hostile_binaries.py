"""Hostile binary files: images, gzip, Parquet and Excel."""

import gzip
import random
import sqlite3
import zipfile
from collections.abc import Iterator
from pathlib import Path

import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq

from tests.files.hostile_texts import HEADER, MEGABYTE, PLAIN, Made

Saved = tuple[str, Path, str]  # name, where it is, what is wrong


def binaries() -> Iterator[Made]:
    noise = random.Random(7).randbytes(100_000)
    yield "image.csv", b"\x89PNG\r\n\x1a\n" + noise, "a PNG image"
    yield "program.csv", b"\x7fELF" + noise, "a program"
    yield "document.csv", b"%PDF-1.7\n" + noise, "a PDF document"
    yield "noise.csv", noise, "random bytes"
    yield "noise.jsonl", noise, "random bytes"
    yield "noise.parquet", noise, "random bytes"
    yield "noise.xlsx", noise, "random bytes"
    yield "old.xls", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + noise, "an old Excel file"
    yield "encrypted.xlsx", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + noise, "an encrypted Excel file"
    yield "page.xlsx", b"<html><table><tr><td>text</td></tr></table></html>", "a web page named .xlsx"
    yield "text.xlsx", PLAIN.encode(), "CSV named .xlsx"
    yield "text.parquet", PLAIN.encode(), "CSV named .parquet"
    yield "stub.parquet", b"PAR1PAR1", "nothing but the magic of Parquet"
    yield "magic.parquet", b"PAR1" + noise + b"PAR1", "noise between the magic of Parquet"
    yield "stub.zip", b"PK\x05\x06" + b"\0" * 18, "an empty zip"
    yield "database.csv", _database(), "an SQLite database"


def _database() -> bytes:
    connection = sqlite3.connect(":memory:")
    connection.execute("create table examples (text)")
    data = connection.serialize()
    connection.close()
    return data


def gzips() -> Iterator[Made]:
    packed = gzip.compress(PLAIN.encode(), mtime=0)
    yield "fine.csv.gz", packed, "gzip"
    yield "hidden gzip.csv", packed, "gzip under the name .csv"
    yield "cut.csv.gz", gzip.compress(PLAIN.encode() * 1000, mtime=0)[:-200], "gzip that is cut off"
    yield "broken.csv.gz", packed[:20] + b"\xff" * 20 + packed[40:], "gzip with broken bytes"
    yield "twice.csv.gz", gzip.compress(packed, mtime=0), "gzip within gzip"
    yield "bomb.csv.gz", gzip.compress(HEADER.encode() + b"a" * 40 * MEGABYTE, mtime=0), "a gzip bomb"
    yield "empty.csv.gz", gzip.compress(b"", mtime=0), "gzip of nothing"
    yield "table.parquet.gz", gzip.compress(b"PAR1" + b"x" * 100, mtime=0), "Parquet within gzip"


def parquets(folder: Path) -> Iterator[Saved]:
    tables = {
        "nested": pa.table({"text": [["a"], ["b"]], "label": [{"x": 1}, {"x": 2}]}),
        "numbers": pa.table({"text": [1, 2], "label": [1.0, float("nan")]}),
        "nulls": pa.table({"text": pa.nulls(10), "label": pa.nulls(10)}),
        "no rows": pa.table({"text": pa.array([], pa.string()), "label": pa.array([], pa.string())}),
        "no columns": pa.table({}),
        "same names": pa.table([["a"], ["b"]], names=["text", "text"]),
        "binary": pa.table({"text": [b"\xff\xfe", b"ok"], "label": ["a", "b"]}),
        "repeated": pa.table({"text": pa.DictionaryArray.from_arrays([0] * 2000, ["x" * MEGABYTE])}),
        "long value": pa.table({"text": ["x" * 9 * MEGABYTE], "label": ["a"]}),
        "wide": pa.table({f"c{n}": [n] for n in range(2000)}),
    }
    for name, table in tables.items():
        path = folder / f"{name}.parquet"
        pq.write_table(table, path, store_schema=False)
        yield (path.name, path, f"Parquet: {name}")
    whole = (folder / "repeated.parquet").read_bytes()
    for name, data in (("cut", whole[:-50]), ("headless", whole[:4] + b"\0" * 200 + whole[204:])):
        path = folder / f"{name}.parquet"
        path.write_bytes(data)
        yield (path.name, path, f"Parquet: {name}")


def _workbook(path: Path, rows: list[list[object]]) -> bytes:
    book = openpyxl.Workbook(write_only=True)
    sheet = book.create_sheet("first")
    for row in rows:
        sheet.append(row)
    book.save(path)
    book.close()
    return path.read_bytes()


def workbooks(folder: Path) -> Iterator[Saved]:
    rows: list[list[object]] = [["text", "label"], ["hello", "yes"], ["=1+1", "no"], [10, True]]
    base = folder / "base.xlsx"
    whole = _workbook(base, rows)
    yield ("formulas.xlsx", base, "formula cells without values")
    cut = folder / "cut.xlsx"
    cut.write_bytes(whole[: len(whole) // 2])
    yield ("cut.xlsx", cut, "an Excel file that is cut off")
    sheet = "xl/worksheets/sheet1.xml"
    start = '<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main">'
    entity = '<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]>'
    laughs = '<!DOCTYPE x [<!ENTITY a "ha">' + "".join(
        f'<!ENTITY {new} "{f"&{old};" * 10}">' for old, new in zip("abcdefgh", "bcdefghi", strict=True)
    )
    cell = (
        '<sheetData><row r="1"><c r="A1" t="inlineStr"><is><t>{}</t></is></c></row></sheetData></worksheet>'
    )
    parts = {
        "xxe": {sheet: entity + start + cell.format("&e;")},
        "billion laughs": {sheet: laughs + "]>" + start + cell.format("&i;")},
        "xxe in styles": {"xl/styles.xml": entity + "<styleSheet>&e;</styleSheet>"},
        "xxe in workbook": {"xl/workbook.xml": entity + "<workbook>&e;</workbook>"},
        "zip bomb": {sheet: start + "<sheetData>" + " " * 60 * MEGABYTE},
        "string bomb": {"xl/sharedStrings.xml": "<sst>" + "<si/>" * 9 * MEGABYTE + "</sst>"},
        "style bomb": {"xl/styles.xml": "<styleSheet>" + " " * 30 * MEGABYTE + "</styleSheet>"},
        "nested zip": {"xl/embeddings/a.zip": "PK" + "\0" * 40 * MEGABYTE},
        "path": {"../../evil.txt": "x"},
        "absolute path": {"/etc/cron.d/x": "x"},
        "not xml": {sheet: "hello"},
        "cut xml": {sheet: start + "<sheetData><row"},
        "far cell": {
            sheet: start + '<sheetData><row r="1"><c r="ZZZZZZZ1"><v>1</v></c></row></sheetData></worksheet>'
        },
        "huge dimension": {
            sheet: start
            + '<dimension ref="A1:XFD1048576"/><sheetData><row r="1"><c r="A1" t="str"><v>text</v></c>'
            '</row><row r="1048576"><c r="A1048576" t="str"><v>far</v></c></row></sheetData></worksheet>'
        },
        "bad numbers": {
            sheet: start + '<sheetData><row r="x"><c r="A1"><v>1e</v></c></row></sheetData></worksheet>'
        },
        "bad string": {
            sheet: start + '<sheetData><row r="1"><c r="A1" t="s"><v>99</v></c></row></sheetData></worksheet>'
        },
        "negative row": {
            sheet: start + '<sheetData><row r="-5"><c><v>1</v></c></row></sheetData></worksheet>'
        },
        "many parts": {f"xl/media/{n}.png": "" for n in range(6000)},
        "no cells": {sheet: start + "<sheetData/></worksheet>"},
    }
    for name, changed in parts.items():
        path = folder / f"{name}.xlsx"
        _rewritten(base, path, changed)
        yield (path.name, path, f"Excel: {name}")
    zipped = folder / "archive.zip"
    with zipfile.ZipFile(zipped, "w") as archive:
        archive.writestr("data.csv", PLAIN)
    yield ("archive.zip", zipped, "a zip with a CSV in it")


def _rewritten(base: Path, path: Path, changed: dict[str, str]) -> None:
    with zipfile.ZipFile(base) as old, zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            if name not in changed:
                new.writestr(name, old.read(name))
        for name, text in changed.items():
            new.writestr(name, text)
