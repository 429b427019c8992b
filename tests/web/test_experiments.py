"""Pages of experiments and of the frozen test split."""

import json
from collections.abc import Callable
from contextlib import AbstractContextManager

import numpy as np
import pytest
from fastapi import FastAPI

from app.actor import LOCAL, Role
from app.db import Database, now
from app.models import Import
from app.models.columns import RunState, Split
from app.models.experiments import Trial
from app.services.proving import experiment_results, experiments
from app.services.proving.experiment_results import pack_ids, pack_places
from app.services.proving.experiments import Wanted
from tests import factories
from tests.factories import Row
from tests.web.browsing import Browser
from tests.web.signing_in import signed_in

Queries = Callable[[Database], AbstractContextManager[list[str]]]
LABELS = ["fault", "order | <b>", "question", "refund"]


def make_experiment(database: Database, dataset_id: int, *, same: bool = True) -> int:
    """Make a finished experiment out of predictions, as the job does; return its number."""
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 4, 60)
    with database.write() as session:
        asked = experiments.request(session, dataset_id, Wanted(seeds=[0, 1], curve_points=2), actor=LOCAL)
        asked.state, asked.started_at, asked.finished_at = RunState.DONE, now(), now()
        asked.test_ids, asked.test_labels = pack_ids(range(60)), pack_places(truth)
        rights = {"original": 0.6, "dropped": 0.65, "corrected": 0.9, "reviewed:0": 0.6, "reviewed:2": 0.8}
        trials = [
            Trial(
                experiment_id=asked.id, name=name, seed=seed, rows=9, details={"seconds": 0.5},
                predicted=pack_places(np.where(rng.random(60) < share, truth, (truth + 1) % 4)),
            )
            for name, share in rights.items()
            for seed in (0, 1)
        ]  # fmt: skip
        session.add_all(trials)
        session.flush()
        asked.results = {
            **experiment_results.summed_up(asked, trials, labels=LABELS, seeds=[0, 1]),
            "test": {"rows": 60, "changed": 2, "excluded": 0, "unlabelled": 0, "since": None},
            "leaks": {"test": 3, "train": 4, "left_out": False},
            "settings": {"held_out": 0.1},
            "versions": {"setright": "1"},
        }
        if not same:
            asked.results = {**asked.results, "fingerprint": "other"}
        return asked.id


def test_the_form_asks_for_variants_versions_and_a_curve(
    browser: Browser, dataset_id: int, database: Database
) -> None:
    page = browser.open(f"/datasets/{dataset_id}/experiments")
    form = page.form("/experiments")
    assert [value for name, value in form.fields if name == "variants"] == [
        "original",
        "dropped",
        "corrected",
    ]
    browser.client.post(
        f"/datasets/{dataset_id}/experiments",
        data={
            "seeds": "7",
            "trainer": "transformer",
            "variants": ["human"],
            "curve": "true",
            "leave_out_leaks": "true",
        },
    )
    with database.read() as session:
        asked = experiments.list_experiments(session, dataset_id)[0]
    assert (asked.trainer, asked.seeds) == ("transformer", [7])
    assert asked.plan == {
        "variants": ["human"], "versions": [], "curve_points": 8, "leave_out_leaks": True, "settings": {},
    }  # fmt: skip


def test_an_experiment_is_shown_whole(
    browser: Browser, dataset_id: int, database: Database, queries: Queries
) -> None:
    number = make_experiment(database, dataset_id)
    page = browser.open(browser.open(f"/datasets/{dataset_id}/experiments").links[f"Experiment {number}"])
    assert "With the corrected labels, the model gets" in page.text
    assert "3 test rows say the same as a train row" in page.text
    assert "People have changed the labels of 2 test rows" in page.text
    for heading in (
        "Test accuracy with 95% intervals",
        "Test accuracy against rows reviewed",
        "F1 per class",
    ):
        assert heading in page.text
    assert "order | <b>" in page.text
    with queries(database) as statements:
        browser.open(f"/datasets/{dataset_id}/experiments/{number}")
    assert len(statements) <= 12


@pytest.mark.parametrize("chart", ["accuracy", "curve", "confusion"])
def test_pictures_come_as_svg_png_and_csv(
    browser: Browser, dataset_id: int, database: Database, chart: str
) -> None:
    number = make_experiment(database, dataset_id)
    there = f"/datasets/{dataset_id}/experiments/{number}/charts/{chart}"
    picture = browser.client.get(f"{there}.svg")
    assert picture.headers["content-type"].startswith("image/svg+xml")
    assert "<b>" not in picture.text
    assert browser.client.get(f"{there}.png").content.startswith(b"\x89PNG")
    table = browser.client.get(f"{there}.csv")
    assert table.headers["content-type"].startswith("text/csv")
    assert len(table.text.splitlines()) > 2
    assert browser.client.get(f"{there}.exe").status_code == 404


def test_reports_can_be_shared(browser: Browser, dataset_id: int, database: Database) -> None:
    number = make_experiment(database, dataset_id)
    there = f"/datasets/{dataset_id}/experiments/{number}"
    markdown = browser.client.get(f"{there}/report.md")
    abroad = browser.client.get(f"{there}/report.md", headers={"Accept-Language": "zh-CN"})
    assert abroad.text == markdown.text
    assert markdown.headers["content-disposition"] == f'attachment; filename="experiment-{number}.md"'
    assert f"# Experiment {number} on Requests" in markdown.text
    assert r"| order \| \<b\> |" in markdown.text
    assert "**Note:** 3 test rows say the same" in markdown.text
    shared = json.loads(browser.client.get(f"{there}/report.json").text)
    assert (shared["number"], shared["results"]["test_rows"]) == (number, 60)
    assert shared["headline"].startswith("With the corrected labels")
    with database.write() as session:
        experiments.get(session, number).state = RunState.FAILED
    for ending in ("report.md", "report.json", "charts/accuracy.svg"):
        assert browser.client.get(f"{there}/{ending}").status_code == 404


def test_running_again_says_whether_the_numbers_are_the_same(
    browser: Browser, dataset_id: int, database: Database
) -> None:
    first = make_experiment(database, dataset_id)
    page = browser.open(f"/datasets/{dataset_id}/experiments/{first}")
    page = browser.submit(page.form("/repeat"))
    with database.read() as session:
        again = experiments.list_experiments(session, dataset_id)[0]
    assert again.repeats_id == first
    assert "No worker is running" in page.text
    for fingerprint, said in (("same", "exactly those of"), ("other", "Some predictions differ")):
        with database.write() as session:
            results = dict(experiments.get(session, first).results)
            run = experiments.get(session, again.id)
            run.state, run.finished_at = RunState.DONE, now()
            run.results = results if fingerprint == "same" else {**results, "fingerprint": fingerprint}
        assert said in browser.open(f"/datasets/{dataset_id}/experiments/{again.id}").text


def test_a_test_split_is_drawn_once(browser: Browser, database: Database) -> None:
    made = factories.make_dataset(
        database, rows=[Row(f"row {at}", "ab"[at % 2], "b", 0.4) for at in range(20)]
    )
    page = browser.open(f"/datasets/{made}/experiments")
    assert "There are no test rows yet" in page.text
    form = page.form("/test-split")
    page = browser.submit(form, percent="25", seed="4")
    with database.read() as session:
        asked = session.query(Import).one()
    assert asked.layout == {"draw": {"share": 0.25, "seed": 4}}
    assert "test split of 25%, drawn with seed 4" in page.text
    assert "The test split is being drawn" in browser.open(f"/datasets/{made}/experiments").text
    assert browser.submit(form).status == 409
    assert browser.submit(form, percent="99").status == 422


def test_the_test_split_says_what_leaks(browser: Browser, database: Database) -> None:
    rows = [*factories.ROWS, Row("It flickers", "fault", split=Split.TEST)]
    made = factories.make_dataset(database, rows=rows)
    page = browser.open(f"/datasets/{made}/experiments")
    assert "Frozen test split" in page.text
    assert "3 rows, imported as test rows" in page.text
    assert page.links["Look at the leaks"] == f"/datasets/{made}/review?preset=leak&split=test"


def test_others_see_results_and_no_buttons(web: FastAPI, dataset_id: int, database: Database) -> None:
    number = make_experiment(database, dataset_id)
    viewer = signed_in(web, database, Role.VIEWER)
    page = viewer.open(f"/datasets/{dataset_id}/experiments/{number}")
    assert "With the corrected labels" in page.text
    assert "Run again" not in page.text


def test_an_experiment_of_another_dataset_is_not_there(
    browser: Browser, dataset_id: int, database: Database
) -> None:
    number = make_experiment(database, dataset_id)
    other = factories.make_dataset(database, name="Other")
    assert browser.open(f"/datasets/{other}/experiments/{number}").status == 404
