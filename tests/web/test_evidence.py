"""Why a row is suspect, the tabs of the other kinds of issue, and why there are so many."""

import pytest

from app.actor import LOCAL
from app.db import Database
from app.models.columns import Split
from app.models.evidence import IssueKind
from app.models.examples import ExampleState
from app.models.review import Verdict
from app.services.reviewing import decisions
from tests import factories
from tests.conftest import QueryRecorder
from tests.factories import Found, Row
from tests.web.browsing import Browser, Page
from tests.web.test_review import example, opened_row, press

HOSTILE = '<img src=x onerror="alert(1)">\u202eevil\x00 مرحبا'
ROWS = (
    Row("Where is my parcel?", "refund", "order", 0.02),
    Row("where is my parcel", "order"),
    Row(HOSTILE, "<i>order</i>"),
    Row("Where is it?", "order"),
    Row("My money", "refund"),
    Row("Is my parcel lost?", "order"),
    Row("...", "refund"),
    Row("Where is my parcel?", "order", split=Split.TEST),
)
FOUND = (
    Found("r1", IssueKind.CONFLICT, 0.5, ("r2",)),
    Found("r2", IssueKind.CONFLICT, 0.5, ("r1",)),
    Found("r7", IssueKind.BROKEN, 0.0),
    Found("r4", IssueKind.CONFLICT, 0.6, ("r1", "r2")),
    Found("r1", IssueKind.LEAK, 0.0, ("r8",)),
)
NEAR = {"r1": [("r2", 0.99), ("r6", 0.9), ("r4", 0.81), ("r3", 0.75), ("r5", 0.3), ("r7", 0.1)]}


@pytest.fixture
def dataset_id(database: Database) -> int:
    made = factories.make_dataset(database, rows=ROWS)
    factories.add_evidence(database, made, neighbours=NEAR, found=FOUND)
    return made


def shown(page: Page) -> str:
    """Return what a page says, without the gaps that markup leaves before punctuation."""
    return page.text.replace(" ,", ",").replace(" :", ":").replace(" .", ".")


def similar(page: Page) -> list[str]:
    links = page.elements("a")
    return [link["title"] for link in links if "similar" in link.get("class", "").split()]


@pytest.mark.parametrize("scripts", [False, True])
def test_the_five_nearest_rows_stand_beside_the_row(
    browser: Browser, dataset_id: int, *, scripts: bool
) -> None:
    browser.scripts = scripts
    page = browser.open(f"/datasets/{dataset_id}/review", into="review" if scripts else "")
    assert similar(page)[-5:] == ["r2, train", "r6, train", "r4, train", "r3, train", "r5, train"]
    assert "Most similar rows: 3 × order, 1 × <i>order</i>, 1 × refund" in shown(page)
    assert "0.99 order" in page.text
    assert "Rows labelled refund get 50" in shown(page)
    assert "The same text has other labels too: order." in page.text
    assert "One row of the test split says the same." in page.text


def test_a_similar_row_is_a_link_that_keeps_the_queue(
    browser: Browser, dataset_id: int, database: Database
) -> None:
    page = browser.open(f"/datasets/{dataset_id}/review?preset=conflict")
    there = [link["href"] for link in page.elements("a") if link.get("title") == "r6, train"]
    assert there == [f"/datasets/{dataset_id}/review/{example(database, 'r6').id}?preset=conflict"]
    opened = browser.open(there[0])
    assert opened_row(opened) == f"row-{example(database, 'r6').id}"
    assert "Conflicts 3" in opened.text


def test_hostile_texts_of_others_are_text(browser: Browser, dataset_id: int) -> None:
    page = browser.open(f"/datasets/{dataset_id}/review")
    assert "<img src=x" not in page.html
    assert "<i>order" not in page.html
    assert "\x00" not in page.html
    assert '<img src=x onerror="alert(1)">' in page.text


def test_what_people_made_of_similar_rows(browser: Browser, dataset_id: int, database: Database) -> None:
    for name, verdict in (("r6", Verdict.KEEP), ("r5", Verdict.KEEP), ("r4", Verdict.EXCLUDE)):
        row = example(database, name)
        with database.write() as session:
            decisions.decide(session, dataset_id, row.id, verdict, version=row.version, actor=LOCAL)
    page = browser.open(f"/datasets/{dataset_id}/review")
    assert "What people decided on the most similar rows: 1 × order, 1 × refund." in shown(page)


@pytest.mark.parametrize("scripts", [False, True])
def test_a_tab_of_a_kind_has_its_own_order(
    browser: Browser, dataset_id: int, database: Database, *, scripts: bool
) -> None:
    browser.scripts = scripts
    page = browser.open(f"/datasets/{dataset_id}/review?preset=conflict", into="review" if scripts else "")
    assert "Conflicts 3" in page.text
    assert "Outliers" not in page.text
    for name, left in (("r1", 3), ("r2", 2), ("r4", 1)):
        row = example(database, name)
        assert opened_row(page) == f"row-{row.id}"
        assert f"Conflicts {left}" in page.text
        page = press(browser, page, "Keep")
        assert page.status == 200
        assert example(database, name).state is ExampleState.KEPT
    assert "No rows here" in page.text
    page = browser.open(f"/datasets/{dataset_id}/review?preset=broken")
    assert "only punctuation" in page.text


def test_chips_tell_what_else_is_the_matter(browser: Browser, dataset_id: int) -> None:
    page = browser.open(f"/datasets/{dataset_id}/review?preset=all")
    rows = [row.partition("</tr>")[0] for row in page.html.split("<tr ")[1:]]
    chips = [[kind for kind in ("conflict", "leak", "broken") if f">{kind}<" in row] for row in rows]
    assert ["conflict", "leak"] in chips
    assert ["broken"] in chips


def test_the_overview_says_why_there_are_so_many(browser: Browser, dataset_id: int) -> None:
    page = browser.open(f"/datasets/{dataset_id}")
    assert "Class by class" in page.text
    assert "The interval is Wilson's" in page.text
    assert "the same text has different labels" in page.text
    there = f"/datasets/{dataset_id}/review?preset=conflict"
    assert there in [link["href"] for link in page.elements("a")]
    assert opened_row(browser.open(there))


def test_evidence_costs_a_fixed_number_of_queries(
    browser: Browser, database: Database, queries: QueryRecorder
) -> None:
    counted: list[tuple[int, int]] = []
    for size in (12, 60):
        rows = [Row(f"text {n}", "a", "b", n / 1000) for n in range(size)]
        made = factories.make_dataset(database, name=f"Of {size}", rows=rows)
        names = [f"r{at + 1}" for at in range(size)]
        factories.add_evidence(
            database,
            made,
            neighbours={name: [(other, 0.5) for other in names[:11] if other != name] for name in names},
            found=[Found(name, IssueKind.CONFLICT, 0.5, tuple(names[:3])) for name in names],
        )
        with queries(database) as opening:
            page = browser.open(f"/datasets/{made}/review?preset=conflict")
        browser.scripts = True
        with queries(database) as deciding:
            press(browser, page, "Keep")
        browser.scripts = False
        counted.append((len(opening), len(deciding)))
    assert counted[0] == counted[1]
    # Beside what the page and a verdict cost without evidence (15 and 30): three reads, and one write that
    # keeps the findings in step.
    assert counted[0][0] <= 18
    assert counted[0][1] <= 35
