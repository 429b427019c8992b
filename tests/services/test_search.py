"""Search by words: any script, quotes, hostile text, and the index that follows every change."""

from dataclasses import replace

import pytest
import sqlalchemy as sa

from app.actor import LOCAL
from app.db import Database
from app.errors import InvalidInput
from app.models.columns import Split
from app.models.review import Verdict
from app.services import datasets
from app.services.finding import issues
from app.services.ranking import fence, narrowing
from app.services.ranking.queue_filter import Preset, QueueFilter
from app.services.ranking.queue_rows import rows
from app.services.ranking.search_words import marked, prepared, terms_of, tsvector, words_of
from app.services.reviewing import decisions, review
from tests import factories
from tests.factories import Row

TEXTS = (
    "Where is my parcel, and the re-fund?",
    "我想退货，因为灯坏了",
    "退款什么时候到",
    "أين طَلَبِي؟ لم يصل",
    "Café crème, bitte: 3,50 €",
    "The lamp fell 😀 into the STRASSE",
    "Straße über Österreich",
    "ขอคืนเงิน",
    "मुझे हिन्दी में जवाब चाहिए",
    "c++ and c# are not \x00 c \ud800",
)


@pytest.fixture
def dataset_id(any_database: Database) -> int:
    rows = [Row(text, "a", "b", number / 100) for number, text in enumerate(TEXTS, start=1)]
    return factories.make_dataset(any_database, rows=rows)


def found(database: Database, dataset_id: int, search: str, **wanted: object) -> list[int]:
    chosen = QueueFilter.from_query(
        {"search": search, "preset": "all", **{k: str(v) for k, v in wanted.items()}}
    )
    with database.read() as session:
        dataset = datasets.get(session, dataset_id)
        page = review.list_queue(session, dataset, chosen)
        counted = review.count_matches(session, dataset, chosen)
    assert (counted.rows, counted.is_more) == (len(page.rows), False)
    return [TEXTS.index(row.example.text) for row in page.rows]


FOUND = [
    ("parcel", [0]),
    ("PAR where", [0]),
    ("fund", [0]),
    ('"is my"', [0]),
    ('"is parcel"', []),
    ('"par"', []),
    ("退货", [1]),
    ("退", [1, 2]),
    ("货退", []),
    ("طلبي", [3]),
    ("cafe CREME", [4]),
    ("3 €", [4]),
    ("😀", [5]),
    ("strasse", [5, 6]),
    ("osterreich", [6]),
    ("คืนเงิน", [7]),
    ("हिन्दी", [8]),
    ("c++", [9]),
    ("c#", [9]),
    ("lamp parcel", []),
]
HOSTILE = [
    'a" OR "b',
    "NEAR(a b)",
    "lamp AND",
    "lamp) OR 1=1 --",
    "a:b:*",
    "%",
    "'",
    "\\",
    "& | ! <->",
    "^a",
    "{a}",
    "-a",
]


def test_finds_words_of_any_script(any_database: Database, dataset_id: int) -> None:
    assert [(search, found(any_database, dataset_id, search)) for search, _ in FOUND] == FOUND


def test_a_hostile_search_is_a_search_or_a_sentence(any_database: Database, dataset_id: int) -> None:
    refused = []
    for search in HOSTILE:
        try:
            found(any_database, dataset_id, search)
        except InvalidInput as error:
            refused.append((search, str(error)))
    sentence = "There is no word in that search: write letters, digits or an emoji."
    assert refused == [(search, sentence) for search in ("'", "\\")]


def test_a_search_of_ten_thousand_letters_is_refused() -> None:
    with pytest.raises(InvalidInput, match="at most 200 characters; this one has 10,000"):
        QueueFilter.from_query({"search": "x" * 10_000})


def test_other_datasets_and_other_filters_are_left_out(any_database: Database, dataset_id: int) -> None:
    other = factories.make_dataset(any_database, name="Other", rows=[Row("退货 lamp", "a", "b", 0.5)])
    assert found(any_database, dataset_id, "退货") == [1]
    assert found(any_database, dataset_id, "退", max_confidence=0.02) == [1]
    assert found(any_database, dataset_id, "退", split="test") == []
    with any_database.read() as session:
        dataset = datasets.get(session, other)
        wanted = QueueFilter(preset=Preset.ISSUES, split=Split.TRAIN, search="lamp")
        assert len(review.list_queue(session, dataset, wanted).rows) == 1


def test_words_are_the_same_in_a_text_and_in_a_search() -> None:
    text = "Ｆull-width ＡＢＣ, naïve «Ünïcode» — ﬁne"
    assert words_of(text) == ["full", "width", "abc", "naive", "unicode", "fine"]
    assert prepared("x" * 250).split() == ["x" * 100, "x" * 100, "x" * 50]
    assert tsvector("a b a") == "'a':1,3 'b':2"
    assert [term.words for term in terms_of('one "two  three" “four five” one')] == [
        ("one",),
        ("two", "three"),
        ("four", "five"),
    ]


@pytest.mark.parametrize(
    ("text", "search", "parts"),
    [
        ("The lamp, the lamps", "lamp", ["lamp", "lamp"]),
        ("The lamp, the lamps", '"lamp"', ["lamp"]),
        ("我想退货", "退货", ["退货"]),
        ("Cafe\u0301 CRÈME", "café crem", ["Cafe\u0301", "CRÈM"]),
        ("Straße", "strasse", ["Straße"]),
        ("<b>bold</b>", "b", ["b", "bold"[:1], "b"]),
        ("نص طَلَبِي", "طلبي", ["طَلَبِي"]),
        ("nothing", "else", []),
        ("“Order” RETURNED – no Refund", "return order", ["Order", "RETURN"]),
        ("ΌΛΟΣ ΛΌΓΟΣ", "λογος", ["ΛΌΓΟΣ"]),
        ("a b a b c", '"a b c"', ["a b c"]),
    ],
)
def test_marks_what_was_found(text: str, search: str, parts: list[str]) -> None:
    shown = marked(text, search)
    assert "".join(part for part, _ in shown) == text
    assert [part for part, is_found in shown if is_found] == parts


def test_label_issues_are_listed_by_label_and_words(any_database: Database, dataset_id: int) -> None:
    with any_database.read() as session:
        dataset = datasets.get(session, dataset_id)
        labels = {label.name: label.id for label in datasets.labels(session, dataset)}
        listed = {
            name: [issue.rank for issue in issues.list_issues(session, dataset, wanted=wanted)]
            for name, wanted in {
                "given": replace(issues.EVERYTHING, given=labels["b"]),
                "suggested": replace(issues.EVERYTHING, suggested=labels["b"]),
                "search": replace(issues.EVERYTHING, search="退"),
            }.items()
        }
    assert listed == {"given": [], "suggested": list(range(1, 11)), "search": [2, 3]}


def test_a_walk_along_the_order_finds_what_the_index_finds(any_database: Database) -> None:
    made = factories.make_dataset(any_database)
    with any_database.write() as session:
        decisions.decide(session, made, 3, Verdict.KEEP, version=1, actor=LOCAL)
    found_by = {}
    with any_database.read() as session:
        dataset = datasets.get(session, made)
        for query in (
            {"search": "money back"}, {"search": '"money back"'}, {"search": "m"}, {"meta.channel": "chat"},
            {"person": "1"}, {"given": "1"}, {"given": "1", "suggested": "4"}, {"suggested": "3"},
            {"preset": "resolved"}, {"split": "both", "search": "refund"}, {"preset": "unlabelled"},
        ):  # fmt: skip
            wanted = QueueFilter.from_query({"preset": "all", **query})
            narrowed = narrowing.narrow(session, dataset, wanted)
            assert narrowed is not None
            both = [
                sorted(row[0].id for row in session.execute(rows(dataset, wanted, narrowed=one)))
                for one in (narrowed, replace(narrowed, is_few=False))
            ]
            assert both[0] == both[1], query
            found_by[str(query)] = len(both[0])
    assert found_by["{'search': 'money back'}"] == 2
    assert found_by["{'person': '1'}"] == found_by["{'preset': 'resolved'}"] == 1
    assert found_by["{'search': 'm'}"] == 3


def test_few_rows_are_paged_and_counted_like_many(
    any_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = factories.make_dataset(any_database)
    with any_database.write() as session:
        decisions.decide(session, made, 3, Verdict.KEEP, version=1, actor=LOCAL)
    for query in (
        {"search": "m"}, {"meta.channel": "chat"}, {"given": "1"}, {"person": "1"}, {"preset": "resolved"},
        {"given": "1", "sort": "sure"}, {"search": "refund", "split": "both"}, {"suggested": "3"},
        {"given": "2", "split": "both"}, {"given": "2", "split": "both", "sort": "sure"},
        {"given": "2", "preset": "issues", "split": "both"}, {"suggested": "4", "preset": "issues"},
        {"given": "4", "search": "m"}, {"given": "4", "meta.channel": "chat"},
        {"given": "2", "min_confidence": "0.05"}, {"preset": "resolved", "split": "both"},
    ):  # fmt: skip
        wanted = QueueFilter.from_query({"preset": "all", **query})
        monkeypatch.setattr(narrowing, "FEW", 20_000)
        few, counted = _paged(any_database, made, wanted)
        monkeypatch.setattr(narrowing, "FEW", 0)
        many, at_least = _paged(any_database, made, wanted)
        assert few == many, query
        assert counted == review.Matches(len(few), is_more=False)
        assert at_least.is_more
        assert at_least.rows <= len(few)


@pytest.mark.parametrize("query", [{"search": "m"}, {"meta.channel": "chat"}])
def test_postgres_walks_where_many_rows_fit(
    any_database: Database, monkeypatch: pytest.MonkeyPatch, query: dict[str, str]
) -> None:
    """What it guesses of beginnings of words would make it find all rows that fit, and sort them."""
    made = factories.make_dataset(any_database)
    asked: list[str] = []
    sa.event.listen(any_database.engine, "before_cursor_execute", lambda *given: asked.append(given[2]))
    for few in (20_000, 0):
        monkeypatch.setattr(narrowing, "FEW", few)
        asked.clear()
        with any_database.read() as session:
            review.list_queue(session, datasets.get(session, made), QueueFilter.from_query(query))
        is_fenced = [fence.FENCE in one for one in asked]
        assert any(is_fenced) == (few == 0 and not any_database.is_sqlite)


def _paged(
    database: Database, dataset_id: int, wanted: QueueFilter
) -> tuple[list[tuple[int, str]], review.Matches]:
    """Read all rows of a filter in pages of two, then but for the first one, then backwards; count them."""
    found: list[tuple[int, str]] = []
    with database.read() as session:
        dataset = datasets.get(session, dataset_id)
        cursor: str | None = None
        while True:
            page = review.list_queue(session, dataset, wanted, cursor=cursor, limit=2)
            found += [(row.example.id, row.cursor) for row in page.rows]
            cursor = page.after
            if cursor is None:
                break
        assert found
        but = {found[0][0]}
        rest = review.list_queue(session, dataset, wanted, but=but)
        assert [row.example.id for row in rest.rows] == [number for number, _ in found[1:]]
        before = review.list_queue(session, dataset, wanted, cursor=found[-1][1], backwards=True)
        assert [row.cursor for row in before.rows] == [place for _, place in found[:-1]]
        return found, review.count_matches(session, dataset, wanted)
