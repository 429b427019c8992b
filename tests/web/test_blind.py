"""Second opinions are blind on every page: what the first person said shows to leads, and after one's own."""

from dataclasses import dataclass

import pytest
import sqlalchemy as sa
from fastapi import FastAPI

from app.actor import LOCAL, Actor, Role
from app.db import Database
from app.models import Example, Label
from app.models.review import Verdict
from app.services import datasets
from app.services.reviewing import decisions
from app.services.together import second_opinions
from app.services.versioning import versions
from tests import factories
from tests.conftest import QueryRecorder
from tests.web.signing_in import signed_in

NOTE = "only Ann knows"


@dataclass(frozen=True)
class Decided:
    """A row that Ann has given another label, with a note."""

    dataset_id: int
    example_id: int
    version_id: int
    ann: Actor


@pytest.fixture
def decided(database: Database, dataset_id: int) -> Decided:
    ann = factories.make_user(database, "Ann", Role.ANNOTATOR)
    with database.write() as session:
        second_opinions.plan(session, dataset_id, share=1, seed=7, actor=LOCAL)
        before = versions.create(session, datasets.get(session, dataset_id), name="before", actor=LOCAL)
        row = session.scalars(sa.select(Example).where(Example.external_id == "r1")).one()
        fault = session.scalars(sa.select(Label.id).where(Label.name == "fault")).one()
        decisions.decide(
            session, dataset_id, row.id, Verdict.OVERRIDE, version=1, label_id=fault, note=NOTE, actor=ann
        )
        return Decided(dataset_id, row.id, before.id, ann)


def give(database: Database, decided: Decided, name: str) -> None:
    with database.write() as session:
        user_id = session.execute(sa.text("SELECT id FROM users WHERE name = :name"), {"name": name}).scalar()
        actor = Actor(user_id=int(user_id or 0), name=name, role=Role.ANNOTATOR)
        second_opinions.give(session, decided.dataset_id, decided.example_id, Verdict.KEEP, actor=actor)


PLACES = {
    "table": ("review?preset=all&split=both", '<span class="mark overridden"'),
    "row": ("review/{row}", NOTE),
    "head of the row": ("review/{row}", "by Ann"),
    "by its state": ("review?preset=all&state=overridden", 'id="row-{row}"'),
    "by its person": ("review?preset=all&person={person}", 'id="row-{row}"'),
    "history of the row": ("history/rows/{row}", NOTE),
    "history": ("history?noun=review", "refund → fault"),
    "history of one row": ("history?subject={row}", "refund → fault"),
    "compare": ("history/versions/compare?old={version}", "history/rows/{row}"),
    "compare as a file": ("history/versions/compare.csv?old={version}", "overridden"),
    "the first lines of a file": ("export?format=csv&split=all", "overridden"),
    "file": ("export/file?format=csv&split=all", "overridden"),
}
"""Where a first opinion would show, and by what."""


@pytest.mark.parametrize("place", PLACES)
def test_a_first_opinion_is_kept_from_who_gives_the_second(
    web: FastAPI, database: Database, decided: Decided, place: str
) -> None:
    numbers = {"row": decided.example_id, "person": decided.ann.user_id, "version": decided.version_id}
    path, said = (text.format(**numbers) for text in PLACES[place])
    path = f"/datasets/{decided.dataset_id}/{path}"
    bob = signed_in(web, database, Role.ANNOTATOR, name="Bob")
    assert said not in bob.open(path).html
    assert said in signed_in(web, database, Role.LEAD, name="Lea").open(path).html
    give(database, decided, "Bob")
    assert said in bob.open(path).html


def test_a_row_that_waits_says_so_and_is_decided_elsewhere(
    web: FastAPI, database: Database, decided: Decided
) -> None:
    bob = signed_in(web, database, Role.ANNOTATOR, name="Bob")
    row = bob.open(f"/datasets/{decided.dataset_id}/review/{decided.example_id}?preset=all")
    assert "what the first person said is kept from you" in row.text
    assert "second opinion" in row.text
    with pytest.raises(AssertionError, match="is disabled"):
        row.form(f"/review/{decided.example_id}").button("keep")
    assert bob.open(row.links["Second opinions"]).status == 200
    own = bob.open(f"/datasets/{decided.dataset_id}/history/rows/{decided.example_id}")
    assert "what the first person said is kept from you" in own.text


def test_who_comes_too_late_is_not_told_what_the_first_one_chose(
    web: FastAPI, database: Database, decided: Decided
) -> None:
    bob = signed_in(web, database, Role.ANNOTATOR, name="Bob")
    late = bob.client.post(
        f"/datasets/{decided.dataset_id}/review/{decided.example_id}",
        data={"verdict": "keep", "version": "1"},
        headers={"Sec-Fetch-Site": "same-origin"},
    )
    assert late.status_code == 409
    assert "Somebody changed this row in the meantime" in late.text
    assert "Ann" not in late.text


def test_where_nobody_ever_asked_for_a_second_opinion_nothing_is_asked(
    web: FastAPI, database: Database, dataset_id: int, queries: QueryRecorder
) -> None:
    bob = signed_in(web, database, Role.ANNOTATOR, name="Bob")
    counts = []
    for share in (0.0, 1.0):
        with database.write() as session:
            second_opinions.plan(session, dataset_id, share=share, seed=1, actor=LOCAL)
        with queries(database) as asked:
            bob.open(f"/datasets/{dataset_id}/review/1?preset=all")
        counts.append(len(asked))
    assert 1 <= counts[1] - counts[0] <= 2
    with database.read() as session:
        assert datasets.get(session, dataset_id).has_second_opinions
