"""The overview: what it counts, where its charts lead, its files, and the states that people meet."""

import struct
import xml.etree.ElementTree as ET
from collections.abc import Callable
from contextlib import AbstractContextManager

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from app.actor import LOCAL, Role
from app.db import Database, now
from app.models import Example, Label, SampleRow, ScoringRun
from app.models.columns import RunState
from app.models.review import Verdict
from app.services.reviewing import decisions
from tests import factories
from tests.services.checking import example_of
from tests.web.browsing import Browser
from tests.web.signing_in import signed_in

Queries = Callable[[Database], AbstractContextManager[list[str]]]
CHARTS = ("self-confidence", "given-suggested", "kinds", "classes")
SVG = "{http://www.w3.org/2000/svg}"
HOSTILE = '</text><script>alert("1")</script>&\x00\u202e=1+1'


def decide(database: Database, dataset_id: int, *names: str, verdict: Verdict = Verdict.KEEP) -> None:
    for name in names:
        with database.write() as session:
            row = example_of(session, dataset_id, name)
            decisions.decide(session, dataset_id, row.id, verdict, version=row.version, actor=LOCAL)


def test_every_cell_leads_to_its_rows(browser: Browser, dataset_id: int) -> None:
    page = browser.open(f"/datasets/{dataset_id}")
    assert "Review 5 open issues" in page.text
    assert "Auto-fix can change 3 open rows for you, about 80" in page.text
    cells = [link["href"] for link in page.elements("a") if "suggested=" in link.get("href", "")]
    assert len(cells) == 5
    for cell in cells:
        assert "1 row" in browser.open(cell).text


def test_what_is_decided_is_open_no_more(browser: Browser, database: Database, dataset_id: int) -> None:
    decide(database, dataset_id, "r1", "r2")
    page = browser.open(f"/datasets/{dataset_id}")
    assert "Review 3 open issues" in page.text
    assert "Auto-fix can change 1 open row for you" in page.text
    assert len([one for one in page.elements("a") if "suggested=" in one.get("href", "")]) == 3
    assert "Rows resolved since the review began" in page.html
    assert "local 2 0" in page.text


def test_nothing_is_left_open(browser: Browser, database: Database, dataset_id: int) -> None:
    decide(database, dataset_id, "r1", "r2", "r3", "r4", "r5")
    page = browser.open(f"/datasets/{dataset_id}")
    assert "Nothing is open above the cut" in page.text
    for name in ("Look lower", "Export", "Run an experiment"):
        assert browser.open(page.links[name]).status == 200
    assert "Auto-fix can change" not in page.text
    assert "What is mistaken for what" not in page.text


def test_many_classes_are_folded(browser: Browser, database: Database) -> None:
    rows = [factories.Row(f"t{n}", f"label {n}", f"label {n + 1}", 0.1) for n in range(90)]
    made = factories.make_dataset(database, rows=rows)
    page = browser.open(f"/datasets/{made}")
    assert "Most frequent confusions" in page.text
    assert "of 91 in all" in page.text
    assert len(page.elements("rect")) < 400
    whole = browser.open(page.links["Show all 91 classes"])
    assert len([one for one in whole.elements("a") if "suggested=" in one.get("href", "")]) == 90
    assert "Show the worst only" in whole.links


@pytest.mark.parametrize("name", CHARTS)
def test_a_chart_is_a_file_whatever_its_labels_are(client: TestClient, database: Database, name: str) -> None:
    rows = [factories.Row("a", HOSTILE, "b", 0.1), factories.Row("b", "b")]
    made = factories.make_dataset(database, rows=rows)
    drawn = client.get(f"/datasets/{made}/charts/{name}.svg")
    assert drawn.headers["content-type"] == "image/svg+xml"
    assert drawn.headers["content-disposition"] == f'attachment; filename="{name}.svg"'
    root = ET.fromstring(drawn.text)  # noqa: S314 — our own file
    assert root.tag == f"{SVG}svg"
    assert not list(root.iter(f"{SVG}script"))
    assert not list(root.iter(f"{SVG}a"))
    picture = client.get(f"/datasets/{made}/charts/{name}.png")
    assert picture.headers["content-type"] == "image/png"
    assert picture.headers["content-disposition"] == f'attachment; filename="{name}.png"'
    size = [2 * round(float(root.get(side) or 0)) for side in ("width", "height")]
    assert list(struct.unpack(">8xII8x", picture.content[8:32])) == pytest.approx(size, abs=2)
    table = client.get(f"/datasets/{made}/charts/{name}.csv")
    assert table.headers["content-type"].startswith("text/csv")
    assert len(table.text.splitlines()) > 1


def test_a_picture_is_a_link_that_needs_no_script(browser: Browser, dataset_id: int) -> None:
    page = browser.open(f"/datasets/{dataset_id}")
    pictures = [one for one in page.elements("a") if one.get("href", "").endswith(".png")]
    assert {one["href"].rsplit("/", 1)[1] for one in pictures} == {f"{name}.png" for name in CHARTS}
    assert not [one for one in pictures if "needs-script" in one.get("class", "")]
    assert all(browser.client.get(one["href"]).content.startswith(b"\x89PNG") for one in pictures)


def test_a_table_runs_no_formula(client: TestClient, database: Database) -> None:
    rows = [factories.Row("a", "=1+1", "b", 0.1), factories.Row("b", "b")]
    made = factories.make_dataset(database, rows=rows)
    table = client.get(f"/datasets/{made}/charts/given-suggested.csv").text
    assert table.splitlines() == ["given,suggested,rows", "'=1+1,b,1"]


@pytest.mark.parametrize("path", ["charts/none.svg", "charts/progress.svg", "charts/kinds.exe"])
def test_charts_that_are_not_there(client: TestClient, dataset_id: int, path: str) -> None:
    assert client.get(f"/datasets/{dataset_id}/{path}").status_code in {404, 422}


def test_an_unscored_dataset_has_no_charts(client: TestClient, database: Database) -> None:
    made = factories.make_dataset(database, scored=False)
    assert client.get(f"/datasets/{made}/charts/kinds.svg").status_code == 404


@pytest.mark.parametrize("scripts", [False, True])
def test_a_sample_tells_how_many_labels_are_right(
    browser: Browser, database: Database, *, scripts: bool
) -> None:
    rows = [factories.Row(f"text {at}", "a", "b" if at < 4 else "a", 0.1) for at in range(30)]
    made = factories.make_dataset(database, rows=rows)
    page = browser.open(f"/datasets/{made}")
    assert "Nobody can tell yet" in page.text
    browser.scripts = scripts
    after = browser.submit(page.form("/samples"), size="20")
    queue = after.headers["hx-redirect"] if scripts else after.url
    assert queue.endswith("/review?preset=all&state=open&sample=1")
    browser.scripts = False
    first, *others = drawn(database)
    decide(database, made, first)
    page = browser.open(f"/datasets/{made}")
    assert "1 of the 20 rows drawn at random are reviewed" in page.text
    assert page.links["Review the 19 open rows"].endswith("sample=1")
    decide(database, made, *others)
    done = browser.open(queue)
    assert "The sample is reviewed" in done.text
    page = browser.open(done.links["See the estimate"])
    assert page.url == f"/datasets/{made}"
    assert "It rests on 20 rows drawn at random" in page.text
    assert "Draw a new sample" in page.text
    decide(database, made, *(f"r{at}" for at in range(1, 31) if f"r{at}" not in {first, *others}))
    assert "People have decided all 30 labelled train rows" in browser.open(f"/datasets/{made}").text


def drawn(database: Database) -> list[str]:
    with database.read() as session:
        ids = [row.example_id for row in session.query(SampleRow)]
        return [session.get_one(Example, row_id).external_id for row_id in ids]


def test_who_may_draw_and_how_many(
    web: FastAPI, browser: Browser, database: Database, dataset_id: int
) -> None:
    form = browser.open(f"/datasets/{dataset_id}").form("/samples")
    assert browser.submit(form, size="7").status == 422
    assert browser.submit(form, size="many").status == 422
    viewer = signed_in(web, database, Role.VIEWER)
    assert viewer.submit(form).status == 403
    assert "Draw a random sample" not in viewer.open(f"/datasets/{dataset_id}").text


def test_stale_scores_say_why(browser: Browser, database: Database, dataset_id: int) -> None:
    with database.write() as session:
        session.add(Label(dataset_id=dataset_id, name="brand new", import_seq=1))
    page = browser.open(f"/datasets/{dataset_id}")
    assert "The model does not know these labels yet: brand new" in page.text
    assert page.form("/scoring")


def test_a_failed_run_keeps_the_scores_before_it(
    browser: Browser, database: Database, dataset_id: int
) -> None:
    with database.write() as session:
        session.add(
            ScoringRun(
                dataset_id=dataset_id, embedder="use", state=RunState.FAILED, error="The disk is full.",
                created_by_id=LOCAL.user_id, finished_at=now(),
            )
        )  # fmt: skip
    page = browser.open(f"/datasets/{dataset_id}")
    assert "The disk is full." in page.text
    assert "the scores from before it" in page.text
    assert "Review 5 open issues" in page.text


def test_a_run_on_its_way_shows_its_steps(browser: Browser, database: Database) -> None:
    made = factories.make_dataset(database, scored=False)
    factories.make_worker(database)
    browser.submit(browser.open(f"/datasets/{made}").form("/scoring"))
    with database.write() as session:
        run = session.query(ScoringRun).one()
        run.state, run.phase, run.done, run.total, run.eta_seconds = RunState.RUNNING, "predict", 5, 10, 90.0
    page = browser.open(f"/datasets/{made}")
    steps = {one["class"] for one in page.elements("li") if one.get("class") in {"done", "now", "next"}}
    assert steps == {"done", "now", "next"}
    assert "5 of 10" in page.text
    assert "left in this step" in page.text


def test_rows_without_a_label_are_offered(browser: Browser, database: Database) -> None:
    rows = [factories.Row("one", "a"), factories.Row("two", "b"), factories.Row("three", None, "b", 0.05)]
    made = factories.make_dataset(database, rows=rows)
    page = browser.open(f"/datasets/{made}")
    assert "1 train row without a label." in page.text
    queue = browser.open(page.links["Label one by one"])
    assert "three" in queue.text
    preview = browser.open(page.links["Label the sure ones"])
    assert "at least 0.95 probability" in preview.text
    assert "No row would change" in preview.text
    every = browser.open(f"/datasets/{made}/auto-fix?preset=unlabelled&rule=all")
    assert "1 row would change" in every.text


@pytest.mark.parametrize("scripts", [False, True])
def test_a_hint_closed_stays_closed(browser: Browser, dataset_id: int, *, scripts: bool) -> None:
    path = f"/datasets/{dataset_id}"
    page = browser.open(path)
    assert "Where to begin?" in page.text
    browser.scripts = scripts
    after = browser.submit(page.form("/hints/close"))
    assert (after.status, after.url) == (200, "/hints/close" if scripts else path)
    browser.scripts = False
    assert "Where to begin?" not in browser.open(path).text
    preview = browser.open(f"{path}/auto-fix")
    assert "Nothing happens until you press Change." in preview.text
    browser.submit(preview.form("/hints/close"))
    for where in (path, f"{path}/auto-fix"):
        assert "hint-" not in browser.open(where).html


@pytest.mark.parametrize(
    "back", ["//evil.example", "/\\evil.example", "https://evil.example", "/é", "/a\nb", ""]
)
def test_closing_a_hint_leads_nowhere_else(browser: Browser, dataset_id: int, back: str) -> None:
    form = browser.open(f"/datasets/{dataset_id}").form("/hints/close")
    assert browser.submit(form, back=back).url == "/"


def test_the_overview_asks_little(
    browser: Browser, database: Database, dataset_id: int, queries: Queries
) -> None:
    decide(database, dataset_id, "r1")
    with queries(database) as asked:
        assert browser.open(f"/datasets/{dataset_id}").status == 200
    assert len(asked) <= 30
