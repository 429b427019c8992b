"""Bringing a file, waiting for jobs, and how the pages look."""

from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from app.config import Settings
from app.db import Database
from app.models import Dataset, Export, Import, ScoringRun
from app.models.columns import RunState
from tests import factories

pytestmark = pytest.mark.browser

CSV = "id,text,label\n1,Where is it?,order\n2,Money back,refund\n3,Broken,fault\n"
PAGES = ["", "/review", "/auto-fix?rule=all", "/export", "/experiments", "/history", "/labels"]

# Texts and the colour behind them, nearest painted ancestor first; large text may have less contrast.
CONTRASTS = """() => {
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = 1;
  const paint = canvas.getContext("2d", { willReadFrequently: true });
  const rgb = (color) => {
    paint.clearRect(0, 0, 1, 1);
    paint.fillStyle = color;
    paint.fillRect(0, 0, 1, 1);
    return [...paint.getImageData(0, 0, 1, 1).data];
  };
  const light = ([r, g, b]) => [r, g, b]
    .map((part) => part / 255)
    .map((part) => (part <= 0.03928 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4))
    .reduce((sum, part, at) => sum + part * [0.2126, 0.7152, 0.0722][at], 0);
  const behind = (element) => {
    for (let one = element; one; one = one.parentElement) {
      const color = rgb(getComputedStyle(one).backgroundColor);
      if (color[3] === 255) return color;
    }
    return [255, 255, 255];
  };
  const found = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement;
    if (!walker.currentNode.data.trim() || !element.checkVisibility()) continue;
    if (element.closest(":disabled, script")) continue;
    const [one, two] = [light(rgb(getComputedStyle(element).color)), light(behind(element))];
    const ratio = (Math.max(one, two) + 0.05) / (Math.min(one, two) + 0.05);
    if (ratio < 4.5) found.push(`${ratio.toFixed(2)} ${element.className} ${walker.currentNode.data.trim()}`);
  }
  return found;
}"""


def change(database: Database, kind: type[Import | ScoringRun | Export], **values: object) -> None:
    with database.write() as session:
        run = session.query(kind).order_by(kind.id.desc()).first()
        for name, value in values.items():
            setattr(run, name, value)


def test_a_file_becomes_a_job_whose_end_shows_by_itself(
    page: Page, site: str, database: Database, tmp_path: Path
) -> None:
    file = tmp_path / "requests.csv"
    file.write_text(CSV)
    page.goto(f"{site}/datasets/new")
    page.set_input_files("input[type=file]", file)
    expect(page.locator("#chosen")).to_have_text("requests.csv")
    page.get_by_role("button", name="Look at the file").click()
    page.get_by_label("Delimiter").select_option(";")
    expect(page.locator(".preview-table th")).to_have_count(1)
    page.get_by_label("Delimiter").select_option(",")
    expect(page.locator(".preview-table th")).to_have_count(3)
    page.get_by_label("Dataset", exact=True).fill("Mine")
    page.get_by_role("button", name="Import").click()
    expect(page.get_by_text("setright worker")).to_be_visible()
    factories.make_worker(database)
    change(database, Import, state=RunState.RUNNING, phase="reading", done=1, total=4)
    expect(page.locator("progress")).to_have_js_property("value", 1)
    change(database, Import, done=3)
    expect(page.locator("progress")).to_have_js_property("value", 3)
    with database.write() as session:
        session.query(Dataset).one().import_seq = 1
    change(database, Import, state=RunState.DONE, rows_read=3, rows_new=3)
    expect(page.get_by_text("rows read")).to_be_visible()
    assert page.locator("[hx-trigger]").count() == 0


def test_a_dropped_file_is_looked_at_at_once(page: Page, site: str) -> None:
    page.goto(f"{site}/datasets/new")
    transfer = page.evaluate_handle(
        """(text) => {
          const all = new DataTransfer();
          all.items.add(new File([text], "dropped.csv"));
          return all;
        }""",
        CSV,
    )
    page.dispatch_event(".drop", "drop", {"dataTransfer": transfer})
    expect(page.get_by_role("heading", name="dropped.csv")).to_be_visible()


def test_pasted_rows(page: Page, site: str) -> None:
    page.goto(f"{site}/datasets/new")
    page.get_by_text("Or paste rows").click()
    page.get_by_label("CSV with a header line").fill(CSV)
    page.get_by_role("button", name="Look at the file").click()
    expect(page.get_by_role("heading", name="pasted text")).to_be_visible()


def test_an_empty_upload_says_so_and_stays(page: Page, site: str, browser_problems: list[str]) -> None:
    page.goto(f"{site}/datasets/new")
    page.get_by_role("button", name="Look at the file").click()
    expect(page.get_by_role("alert")).to_contain_text("nothing was sent")
    page.get_by_role("button", name="Close").click()
    expect(page.get_by_role("alert")).to_have_count(0)
    page.set_input_files(
        "input[type=file]", {"name": "bad.csv", "mimeType": "text/csv", "buffer": b"\x00\xff" * 99}
    )
    page.get_by_role("button", name="Look at the file").click()
    expect(page.get_by_role("alert")).to_be_visible()
    expect(page.locator("progress")).to_be_hidden()
    page.set_input_files(
        "input[type=file]", {"name": "good.csv", "mimeType": "text/csv", "buffer": CSV.encode()}
    )
    expect(page.get_by_role("alert")).to_have_count(0)
    expect(page.locator(".drop span").first).to_have_text("good.csv or choose another")
    assert all("422" in problem for problem in browser_problems)
    browser_problems.clear()


def watch_job(page: Page, site: str, database: Database) -> None:
    """Look at a dataset that is being scored."""
    made = factories.make_dataset(database, scored=False)
    factories.make_worker(database)
    page.goto(f"{site}/datasets/{made}/review")
    page.get_by_role("button", name="Find label issues").click()
    expect(page.get_by_text("Waiting for a worker")).to_be_visible()
    change(database, ScoringRun, state=RunState.RUNNING, phase="embed", done=1, total=4)
    expect(page.locator("progress")).to_have_js_property("value", 1)


def test_a_job_can_be_cancelled_while_one_watches(page: Page, site: str, database: Database) -> None:
    watch_job(page, site, database)
    page.get_by_role("button", name="Cancel").click()
    expect(page.get_by_text("stopping")).to_be_visible()
    change(database, ScoringRun, state=RunState.CANCELLED)
    expect(page.get_by_role("button", name="Find label issues")).to_be_visible()


def test_a_job_that_is_gone_is_asked_for_no_more(
    page: Page, site: str, database: Database, browser_problems: list[str]
) -> None:
    """Its dataset was deleted while one watched: one sentence says so, instead of one a second."""
    watch_job(page, site, database)
    with database.write() as session:
        session.query(Dataset).one().import_seq = 0
    expect(page.get_by_role("alert")).to_contain_text("There is no")
    expect(page.locator("progress")).to_have_count(0)
    assert page.locator("[hx-trigger^=every]").count() == 0
    assert all("404" in problem for problem in browser_problems)
    browser_problems.clear()


def test_auto_fix_follows_the_rule_that_is_chosen(page: Page, site: str, dataset_id: int) -> None:
    page.goto(f"{site}/datasets/{dataset_id}/auto-fix")
    expect(page.get_by_role("heading", name="3 rows would change")).to_be_visible()
    page.get_by_role("radio", name="Every flagged row").check()
    expect(page.get_by_role("heading", name="5 rows would change")).to_be_visible()
    page.get_by_label("How many rows").fill("2")
    page.get_by_role("radio", name="The worst rows").check()
    page.get_by_role("button", name="Change 2 rows").click()
    expect(page.get_by_role("heading", name="Auto-fix 1")).to_be_visible()


def test_an_export_shows_its_lines_as_one_chooses(page: Page, site: str, dataset_id: int) -> None:
    page.goto(f"{site}/datasets/{dataset_id}/export")
    page.get_by_label("Format").select_option("csv")
    expect(page.locator("#sample")).to_contain_text("id,text,label")
    page.get_by_role("radio", name="Original").check()
    page.get_by_role("button", name="Write the file").click()
    expect(page.get_by_text("csv, original labels, train rows, version v1")).to_be_visible()


def test_a_server_that_is_gone_is_said(
    page: Page, site: str, dataset_id: int, browser_problems: list[str]
) -> None:
    # Before the page: Chromium lets what is asked right after it pass by.
    page.route("**/review/**", lambda route: route.abort())
    page.goto(f"{site}/datasets/{dataset_id}/review")
    page.keyboard.press("j")
    expect(page.get_by_role("alert")).to_contain_text("No connection to the server")
    browser_problems.clear()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_can_be_read(
    page: Page, site: str, dataset_id: int, settings: Settings, scheme: str
) -> None:
    page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
    page.goto(f"{site}/datasets/{dataset_id}/review")
    for key in "qwen":
        before = page.locator("#resolver").get_attribute("aria-label") or ""
        page.keyboard.press(key)
        expect(page.locator("#resolver")).not_to_have_attribute("aria-label", before)
    for path in [
        "/",
        "/datasets/new",
        "/sign-in",
        "/nowhere",
        *(f"/datasets/{dataset_id}{one}" for one in PAGES),
    ]:
        if path != "/nowhere":
            page.goto(site + path)
            assert page.evaluate(CONTRASTS) == [], path


@pytest.mark.parametrize("width", [1280, 820])
def test_nothing_sticks_out_sideways(page: Page, site: str, dataset_id: int, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 800})
    for path in ["/", "/datasets/new", *(f"/datasets/{dataset_id}{one}" for one in PAGES)]:
        page.goto(site + path)
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), path


def test_the_whole_way_without_scripts(
    chromium: Browser, site: str, database: Database, tmp_path: Path
) -> None:
    file = tmp_path / "requests.csv"
    file.write_text(CSV)
    context = chromium.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(f"{site}/datasets/new")
    page.set_input_files("input[type=file]", file)
    page.get_by_role("button", name="Look at the file").click()
    page.get_by_label("Encoding").select_option("latin-1")
    page.get_by_role("button", name="Refresh preview").click()
    expect(page.get_by_label("Encoding")).to_have_value("latin-1")
    page.get_by_role("button", name="Import").click()
    expect(page.get_by_text("No worker is running")).to_be_visible()
    page.get_by_role("button", name="Cancel").click()
    expect(page.get_by_text("Nothing of this file was kept.")).to_be_visible()
    assert page.locator("button:has-text('✕'):visible, button kbd:visible").count() == 0
    made = factories.make_dataset(database)
    page.goto(f"{site}/datasets/{made}/auto-fix")
    page.get_by_role("radio", name="Every flagged row").check()
    page.get_by_role("button", name="Show what would change").click()
    page.get_by_role("button", name="Change 5 rows").click()
    expect(page.get_by_role("heading", name="Auto-fix 1")).to_be_visible()
    context.close()
