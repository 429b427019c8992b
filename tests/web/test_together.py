"""Several people at one queue: rows handed out, assigned, decided twice, settled."""

import datetime as dt
import json

import pytest
import sqlalchemy as sa
from fastapi import FastAPI

from app.actor import Role
from app.db import Database, now
from app.models import Dataset, Example, Lease, SecondOpinion
from app.models.review import Verdict
from app.models.together import OpinionState
from app.services.reviewing import decisions
from app.services.together import leases, second_opinions
from tests import factories
from tests.conftest import QueryRecorder
from tests.web.browsing import Browser, Page
from tests.web.signing_in import signed_in


def number_of(database: Database, name: str) -> int:
    with database.read() as session:
        return session.scalars(sa.select(Example.id).where(Example.external_id == name)).one()


def shown(page: Page) -> str:
    """Return the name of the row that is open."""
    return next(
        (one["aria-label"] for one in page.elements("section") if one.get("id") == "resolver"), "nothing"
    )


def start(browser: Browser, dataset_id: int, query: str = "") -> Page:
    page = browser.open(f"/datasets/{dataset_id}/review{query}")
    return browser.submit(page.form("/review/open"))


def expire(database: Database) -> None:
    with database.write() as session:
        session.execute(sa.update(Lease).values(expires_at=now() - dt.timedelta(seconds=1)))


@pytest.mark.parametrize("scripts", [False, True])
def test_each_person_is_handed_rows_of_their_own(
    web: FastAPI, dataset_id: int, database: Database, *, scripts: bool
) -> None:
    ann = signed_in(web, database, Role.ANNOTATOR, name="Ann", scripts=scripts)
    ben = signed_in(web, database, Role.ANNOTATOR, name="Ben", scripts=scripts)
    opened = ann.open(f"/datasets/{dataset_id}/review")
    assert shown(opened) == "Nothing to review"  # looking takes nothing
    first, other = start(ann, dataset_id), start(ben, dataset_id)
    assert (shown(first), shown(other)) == ("Row r1", "Row r2")
    following = ann.submit(first.form(f"/review/{number_of(database, 'r1')}"), "keep")
    assert shown(following) == "Row r3"
    table = ann.open(f"/datasets/{dataset_id}/review")
    assert "Ben has this row open" in table.html


def test_a_row_that_somebody_has_open_is_shown_and_not_decided(
    web: FastAPI, dataset_id: int, database: Database
) -> None:
    ann = signed_in(web, database, Role.ANNOTATOR, name="Ann")
    ben = signed_in(web, database, Role.LEAD, name="Ben")
    start(ann, dataset_id)
    number = number_of(database, "r1")
    page = ben.open(f"/datasets/{dataset_id}/review/{number}")
    assert "Ann has this row open: it is theirs until they decide or leave it." in page.text
    with pytest.raises(AssertionError, match="is disabled"):
        page.form(f"/review/{number}").button("keep")
    after = ben.submit(page.form(f"/{number}/lease/end"))
    assert "The row is free again." in after.text
    free = ben.open(f"/datasets/{dataset_id}/review/{number}")
    script = {"Origin": "http://localhost", "Sec-Fetch-Site": "same-origin"}
    taken = ben.client.post(free.form(f"/{number}/lease").action, headers=script | {"HX-Request": "true"})
    assert taken.status_code == 200
    assert 'id="flash"' not in taken.text, "what was said to the reader goes away"
    refused = ann.client.post(
        f"/datasets/{dataset_id}/review/{number}", data={"verdict": "keep", "version": "1"}
    )
    assert refused.status_code == 409
    assert "Ben has this row open" in refused.text


def test_the_row_that_is_loaded_ahead_is_taken_too(web: FastAPI, dataset_id: int, database: Database) -> None:
    ann = signed_in(web, database, Role.ANNOTATOR, name="Ann", scripts=True)
    ben = signed_in(web, database, Role.ANNOTATOR, name="Ben", scripts=True)
    first = start(ann, dataset_id)
    (resolver,) = [one for one in first.elements("section") if one.get("id") == "resolver"]
    ahead = ann.client.post(resolver["data-next"], headers={"HX-Request": "true"})
    assert 'aria-label="Row r2"' in ahead.text
    assert shown(start(ben, dataset_id)) == "Row r3"
    # A page that goes elsewhere gives back what it had ready.
    left = {"left": [str(number_of(database, "r2"))], "row": [str(number_of(database, "r1"))]}
    ann.client.post(f"/datasets/{dataset_id}/review/beat", data=left, headers={"HX-Request": "true"})
    with database.read() as session:
        assert {one.external_id for one in leases.list_held(session, dataset_id)} == {"r1", "r3"}


def test_a_page_says_who_is_here_and_what_it_has_lost(
    web: FastAPI, dataset_id: int, database: Database
) -> None:
    ann = signed_in(web, database, Role.ANNOTATOR, name="Ann")
    ben = signed_in(web, database, Role.ANNOTATOR, name="Ben")
    there, script = f"/datasets/{dataset_id}/review", {"HX-Request": "true"}
    ben.client.post(f"{there}/beat", headers=script)
    assert "Ben is here" in ann.open(there).text
    start(ann, dataset_id)
    row = str(number_of(database, "r1"))
    assert 'data-lost=""' in ann.client.post(f"{there}/beat", data={"row": [row]}, headers=script).text
    expire(database)
    assert shown(start(ben, dataset_id)) == "Row r1"
    assert f'data-lost="{row}"' in ann.client.post(f"{there}/beat", data={"row": [row]}, headers=script).text
    ben.client.post(f"{there}/leave", data={"left": [row]}, headers=script)
    assert "is here" not in ann.open(there).text
    assert shown(start(ann, dataset_id)) == "Row r1"


def test_who_finds_only_rows_of_others_is_told_so(web: FastAPI, dataset_id: int, database: Database) -> None:
    ann = signed_in(web, database, Role.ANNOTATOR, name="Ann")
    ben = signed_in(web, database, Role.ANNOTATOR, name="Ben")
    query = "?search=parcel"
    assert shown(start(ann, dataset_id, query)) == "Row r1"
    page = start(ben, dataset_id, query)
    # Without scripts the answer is the queue again, with its button.
    assert shown(page) == "Nothing to review"
    ben.scripts = True
    assert "Others have the last rows open" in start(ben, dataset_id, query).text


def test_a_verdict_asks_little_of_the_database_while_people_share(
    web: FastAPI, dataset_id: int, database: Database, queries: QueryRecorder
) -> None:
    ann = signed_in(web, database, Role.ANNOTATOR, name="Ann", scripts=True)
    signed_in(web, database, Role.ANNOTATOR, name="Ben")
    page = start(ann, dataset_id)
    form = page.form(f"/review/{number_of(database, 'r1')}")
    with queries(database) as asked:
        ann.submit(form, "keep")
    assert len(asked) < 60, asked


@pytest.mark.parametrize("scripts", [False, True])
def test_a_lead_assigns_rows_and_a_person_finds_theirs(
    web: FastAPI, dataset_id: int, database: Database, *, scripts: bool
) -> None:
    lea = signed_in(web, database, Role.LEAD, name="Lea", scripts=scripts)
    ann = signed_in(web, database, Role.ANNOTATOR, name="Ann", scripts=scripts)
    page = lea.open(f"/datasets/{dataset_id}/together")
    assert "5 rows fit the filter." in page.text
    lea.submit(page.form("/together/assignments"), share=["1", "0"])  # Ann and Lea, in the order of names
    page = lea.open(f"/datasets/{dataset_id}/together")
    assert "Ann 0 5" in page.text
    queue = ann.open(f"/datasets/{dataset_id}/review")
    assert "My rows 5" in queue.text
    (mine,) = [one["href"] for one in queue.elements("a") if "assigned=" in one.get("href", "")]
    assert shown(start(ann, dataset_id, mine.removeprefix(f"/datasets/{dataset_id}/review"))) == "Row r1"
    lea.submit(page.form("/take-back"))
    assert "No row is assigned to anybody" in lea.open(f"/datasets/{dataset_id}/together").text


@pytest.mark.parametrize("scripts", [False, True])
def test_a_second_opinion_is_given_blind_and_settled(
    web: FastAPI, dataset_id: int, database: Database, *, scripts: bool
) -> None:
    lea = signed_in(web, database, Role.LEAD, name="Lea", scripts=scripts)
    ann = factories.make_user(database, "Ann Firsting", Role.ANNOTATOR)
    ben = signed_in(web, database, Role.ANNOTATOR, name="Ben", scripts=scripts)
    page = lea.open(f"/datasets/{dataset_id}/together")
    lea.submit(page.form("/together/second-opinions"), percent="100")
    number = number_of(database, "r1")
    with database.write() as session:
        decisions.decide(
            session, dataset_id, number, Verdict.EXCLUDE, version=1, note="looks broken", actor=ann
        )
    assert "Second opinions 1" in ben.open(f"/datasets/{dataset_id}/review").text
    there = ben.open(f"/datasets/{dataset_id}/second-opinions")
    page = ben.submit(there.form("/second-opinions/open"))
    assert shown(page) == "Row r1"
    for told in ("Firsting", "looks broken", "xcluded"):
        assert told not in page.html
    page = ben.submit(page.form(f"/second-opinions/{number}"), "keep", note="a refund, surely")
    assert "There is no row here that waits for your opinion." in page.text
    with database.read() as session:
        assert session.get_one(SecondOpinion, number).state is OpinionState.DISAGREED
    there = lea.open(f"/datasets/{dataset_id}/disagreements")
    page = lea.submit(there.form("/disagreements/open"))
    assert "First opinion: Ann Firsting" in page.text
    assert "“looks broken”" in page.text
    assert "“a refund, surely”" in page.text
    lea.submit(page.form(f"/disagreements/{number}"), "Second opinion: Ben")
    with database.read() as session:
        example = session.get_one(Example, number)
        assert example.label_id == example.given_label_id
        assert session.get_one(SecondOpinion, number).state is OpinionState.SETTLED
    page = lea.open(f"/datasets/{dataset_id}/together")
    assert "From 1 row with two opinions." in page.text
    table = lea.client.get(f"/datasets/{dataset_id}/together/agreement.csv").text
    assert table.splitlines() == [
        "first,second,rows,share_agreed,cohen_kappa",
        "Ann Firsting,Ben,1,0.000000,0.000000",
    ]


def test_a_wrong_share_is_refused(web: FastAPI, dataset_id: int, database: Database) -> None:
    lea = signed_in(web, database, Role.LEAD, name="Lea")
    there = f"/datasets/{dataset_id}/together/second-opinions"
    assert lea.client.post(there, data={"percent": "101"}).status_code == 422
    assert lea.client.post(there, data={"percent": "nan"}).status_code == 422
    with database.read() as session:
        assert second_opinions.tally(session, session.get_one(Dataset, dataset_id)).waiting == 0


def test_counters_are_told_to_whoever_asks(web: FastAPI, dataset_id: int, database: Database) -> None:
    lea = signed_in(web, database, Role.LEAD, name="Lea")
    told = json.loads(lea.client.get(f"/datasets/{dataset_id}/live/now").text)
    assert told["counts"]["train"]["issues"] == "5"
    assert told["counts"]["both"]["issues"] == "6"
    assert told["here"] == []
    assert lea.client.get("/datasets/999/live/now").status_code == 404


def test_one_person_alone_sees_nothing_of_it(browser: Browser, dataset_id: int) -> None:
    page = browser.open(f"/datasets/{dataset_id}/review")
    assert shown(page) == "Row r1"
    for trace in ("together", 'id="lease"', "Second opinions", "My rows"):
        assert trace not in page.html
