"""A file of ratings by several annotators, from the upload to what is told of each of them."""

import csv
import io
import random
from pathlib import Path

import pytest
import sqlalchemy as sa

from app.actor import LOCAL
from app.config import Settings
from app.db import Database
from app.files.rows import Columns, Layout
from app.models import Example, Import, Label
from app.services import datasets
from app.services.finding import annotators, scoring
from app.services.importing import imports
from app.services.importing.imports import ImportChoices
from app.services.labelling import labels
from tests import factories
from tests.api.asking import problem_of
from tests.api.conftest import client_of
from tests.jobs.working import at_work, done, failed
from tests.services.checking import check
from tests.services.importing import add_draft

WORDS = {"fault": "the lamp is broken again", "refund": "I want my money back"}
SKILLS = {"ann": 0.97, "ben": 0.9, "<i>cas": 0.25}
CHOICES = ImportChoices(
    dataset_name="rated",
    layout=Layout("csv"),
    columns=Columns(text="text", label="label", id="id", annotator="who"),
)


def ratings(rows: int = 60) -> bytes:
    """Return a CSV file with three ratings a text, the third annotator's mostly wrong."""
    rng = random.Random(0)
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(["id", "text", "who", "label"])
    for row in range(rows):
        right, wrong = ("fault", "refund") if row % 2 else ("refund", "fault")
        for who, skill in SKILLS.items():
            label = right if rng.random() < skill else wrong
            writer.writerow([f"t{row}", f"{WORDS[right]} {row}", who, label])
    return out.getvalue().encode()


def confirmed(database: Database, path: Path) -> Import:
    draft_id = add_draft(database, path, name="ratings.csv")
    with database.write() as session:
        return imports.confirm(session, draft_id, choices=CHOICES, actor=LOCAL)


@pytest.fixture
def scored(settings: Settings, any_database: Database, tmp_path: Path) -> int:
    path = tmp_path / "ratings.csv"
    path.write_bytes(ratings())
    with at_work(settings, any_database):
        import_ = done(any_database, confirmed(any_database, path))
        assert (import_.rows_new, import_.rows_rejected) == (60, 0)
        assert import_.dataset_id is not None
        with any_database.write() as session:
            run = scoring.request(session, import_.dataset_id, embedder="tfidf", actor=LOCAL)
        done(any_database, run)
    check(any_database, import_.dataset_id)
    return import_.dataset_id


def test_ratings_become_rows_and_tell_who_is_careless(
    settings: Settings, any_database: Database, scored: int
) -> None:
    with any_database.read() as session:
        found = annotators.get(session, datasets.get(session, scored), actor=LOCAL)
    assert found is not None
    assert (found.rows, found.ratings, found.annotators) == (60, 180, 3)
    assert found.people[0].name == "<i>cas"
    assert {person.rated for person in found.people} == {60}
    assert found.people[0].worst_label in WORDS
    with client_of(settings, any_database) as client:
        told = client.get(f"/api/v1/datasets/{scored}/annotators").json()
        assert told["people"][0]["name"] == "<i>cas"
        assert told["agreement"] == found.agreement
        assert f'href="/datasets/{scored}/annotators"' in client.get(f"/datasets/{scored}").text
        page = client.get(f"/datasets/{scored}/annotators").text
    assert "&lt;i&gt;cas" in page
    assert "<i>cas" not in page


def test_a_row_shows_who_rated_it_what_and_how_good_they_are(
    settings: Settings, any_database: Database, scored: int
) -> None:
    with any_database.write() as session:
        fault = session.scalars(sa.select(Label).where(Label.name == "fault")).one()
        labels.change(
            session,
            scored,
            fault.id,
            name="defect",
            was="fault",
            description="",
            colour=fault.colour,
            actor=LOCAL,
        )
    with any_database.read() as session:
        example = session.scalars(sa.select(Example).where(Example.external_id == "t1")).one()
        found = annotators.of_row(session, datasets.get(session, scored), example)
        given = example.details["ratings"]
    assert {rater.name: one.label for one in found for rater in one.raters} == {
        who: "defect" if label == "fault" else label for who, label in given.items()
    }
    assert len(found[0].raters) >= len(found[-1].raters)
    with client_of(settings, any_database) as client:
        page = client.get(f"/datasets/{scored}/review/{example.id}").text
    assert "Ratings of this row" in page
    assert "&lt;i&gt;cas" in page
    assert "<dt>ratings</dt>" not in page


def test_ratings_without_a_label_are_no_import(
    settings: Settings, database: Database, tmp_path: Path
) -> None:
    path = tmp_path / "ratings.csv"
    path.write_text("id,text,who,label\nt1,lamp,ann,\n", encoding="utf-8")
    with at_work(settings, database):
        assert failed(database, confirmed(database, path)) == "No rating of ratings.csv can be used."


def test_a_dataset_that_nobody_rated_twice_says_so(settings: Settings, database: Database) -> None:
    dataset_id = factories.make_dataset(database)
    with client_of(settings, database) as client:
        assert "Nothing is known of annotators" in client.get(f"/datasets/{dataset_id}/annotators").text
        problem_of(client.get(f"/api/v1/datasets/{dataset_id}/annotators"), 404)
