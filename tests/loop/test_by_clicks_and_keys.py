"""The whole loop in Chromium, against the real server with its worker: by clicks, and deciding by keys."""

import json
import os
import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from app.samples import sample_path
from tests.commands.terminal import ROOT, Terminal
from tests.loop.serving import serving

DATA = Path(os.environ.get("SETRIGHT_DATA", ROOT / "../shared/data"))
LONG = 300_000  # milliseconds: a job on a busy machine


@pytest.fixture
def terminal(tmp_path: Path) -> Terminal:
    return Terminal(home=tmp_path / "home", database_url="", folder=tmp_path)


@pytest.mark.slow
def test_sample_by_clicks_and_keys(page: Page, terminal: Terminal) -> None:
    with serving(terminal) as address:
        dataset = _import(page, f"{address}/datasets/new", sample_path(), column=("split", "split"))
        _score(page, dataset)
        _decide_by_keys(page)
        assert _auto_fix(page, dataset, at_least="0.5") > 0
        rows = _export(page, dataset, terminal.folder)
        assert len(rows) == 479  # 480 train rows, one of them excluded
        _experiment(page, dataset)


@pytest.mark.slow
def test_the_original_experiment_by_clicks(page: Page, terminal: Terminal) -> None:
    folder = DATA / "politeness"
    if not folder.is_dir():
        pytest.skip(f"no politeness data in {DATA}: set SETRIGHT_DATA")
    with serving(terminal) as address:
        dataset = _import(page, f"{address}/datasets/new", folder / "train.csv")
        new = f"{address}/datasets/new?dataset={dataset.rsplit('/', 1)[-1]}"
        assert _import(page, new, folder / "test.csv", split="test") == dataset
        _score(page, dataset)
        _auto_fix(page, dataset, at_least="0.8")
        rows = _export(page, dataset, terminal.folder)
        assert len(rows) == 1916
        _experiment(page, dataset)


def _import(
    page: Page, address: str, file: Path, *, split: str = "train", column: tuple[str, str] = ("", "")
) -> str:
    """Upload a file, confirm what is guessed, and wait for its rows; return the dataset's address."""
    page.goto(address)
    page.locator("input[type=file]").set_input_files(file)
    page.get_by_role("button", name="Look at the file").click()
    button = page.get_by_role("button", name="Import", exact=True)
    button.wait_for()
    if column[0]:
        expect(page.get_by_role("combobox", name=column[0], exact=True)).to_have_value(column[1])
    page.locator("#split").select_option(split)
    if not page.locator("#dataset-name").input_value():  # the file's name says nothing, as train.csv
        page.locator("#dataset-name").fill("requests")
    button.click()
    page.get_by_text("rows read").wait_for(timeout=LONG)
    link = page.get_by_role("link", name="Back to the dataset").get_attribute("href") or ""
    return link if link.startswith("http") else address.split("/datasets", maxsplit=1)[0] + link


def _score(page: Page, dataset: str) -> None:
    page.goto(f"{dataset}/review")
    page.get_by_role("button", name="Find label issues").click()
    page.get_by_role("link", name=re.compile(r"^Review \d+ open issues")).click(timeout=LONG)
    page.locator("#queue tbody tr").first.wait_for()


def _decide_by_keys(page: Page) -> None:
    """Give one verdict of each kind by keys alone, take the last one back and give it again."""
    for key, state in (
        ("q", "kept"),
        ("w", "accepted"),
        ("1", "overridden"),
        ("e", "excluded"),
        ("n", "needs_review"),
    ):
        before = page.locator("#resolver").get_attribute("aria-label")
        page.keyboard.press(key)
        expect(page.locator("#resolver")).not_to_have_attribute("aria-label", before or "")
        expect(page.locator(f"#queue .mark.{state}")).to_have_count(1)
    last = page.locator("#resolver").get_attribute("aria-label") or ""
    page.keyboard.press("z")
    expect(page.locator("#resolver")).not_to_have_attribute("aria-label", last)
    expect(page.locator("#queue .mark.needs_review")).to_have_count(0)
    page.keyboard.press("n")
    expect(page.locator("#queue .mark.needs_review")).to_have_count(1)


def _auto_fix(page: Page, dataset: str, *, at_least: str) -> int:
    """Apply a bound by clicks, take the batch back, and apply it again; return how many rows it changed."""
    changed = []
    for is_last in (False, True):
        page.goto(f"{dataset}/auto-fix?rule=min_confidence&at_least={at_least}")
        page.get_by_role("button", name=re.compile(r"^Change \d")).click()
        undo = page.get_by_role("button", name="Undo this batch")
        undo.wait_for(timeout=LONG)
        page.goto(f"{dataset}/review?preset=resolved&state=auto_fixed")
        changed.append(page.locator("#queue tbody tr").count())
        if not is_last:
            page.go_back()
            undo.click()
            page.get_by_text(re.compile("undone", re.IGNORECASE)).first.wait_for(timeout=LONG)
            page.goto(f"{dataset}/review?preset=resolved&state=auto_fixed")
            expect(page.locator("#queue tbody tr")).to_have_count(0)
    assert changed[0] == changed[1]
    return changed[1]


def _export(page: Page, dataset: str, folder: Path) -> list[dict[str, object]]:
    """Make the corrected chat JSONL by clicks, download it, and check each line."""
    page.goto(f"{dataset}/export")
    page.get_by_role("button", name=re.compile("^(Export|Write|Make)")).click()
    page.wait_for_url(re.compile(r"/exports/\d+$"))  # the page before it has a download of its own
    link = page.get_by_role("link", name=re.compile("^Download", re.IGNORECASE)).first
    link.wait_for(timeout=LONG)
    with page.expect_download() as download:
        link.click()
    file = folder / "downloaded.jsonl"
    download.value.save_as(file)
    rows: list[dict[str, object]] = [
        json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()
    ]
    for row in rows:
        assert set(row) == {"messages"}
    return rows


def _experiment(page: Page, dataset: str) -> None:
    page.goto(f"{dataset}/experiments")
    page.get_by_role("button", name="Run the experiment").click()
    page.get_by_role("cell", name=re.compile("corrected", re.IGNORECASE)).or_(
        page.get_by_role("rowheader", name=re.compile("corrected", re.IGNORECASE))
    ).first.wait_for(timeout=LONG)
