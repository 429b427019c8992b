"""A dataset that is deleted while people are in it: nothing of it is there from that moment on."""

from typing import Any

from pydantic import SecretStr

from app.config import Settings
from app.db import Database
from app.models import Dataset
from app.web.app import create_app
from tests.access_matrix import CSV, ROUTES
from tests.everything import address_of, filled, one_of_everything, routes_of
from tests.web.browsing import Browser
from tests.web.conftest import client_of
from tests.web.uploading import one_import, upload

OUTSIDE = ("api.imports", "api.providers", "imports.", "languages.", "people.", "account.", "providers.")
"""Of no dataset, or of an upload that nobody has confirmed yet."""
OF_DATASET = ("imports.rejected", "api.imports.get", "api.imports.rejected", "imports.show")


def test_every_address_of_it_answers_404(settings: Settings, database: Database) -> None:
    keyed = settings.model_copy(update={"openai_api_key": SecretStr("key"), "live_connections": 0})
    app = create_app(keyed, database)
    ids = one_of_everything(database, keyed, "Gone")
    found: dict[str, int] = {}
    with client_of(app) as client:
        assert client.post(f"/datasets/{ids['dataset']}/delete", data={"name": "Gone"}).status_code == 200
        for name, (method, path) in routes_of(app).items():
            is_outside = name.startswith(OUTSIDE) and name not in OF_DATASET
            if "{" not in path or is_outside or name.endswith("token"):
                continue
            needs = ROUTES[name]
            ours = ids | {"user": 1, "handle": "0123456789abcdef"} | needs.path
            body: dict[str, Any] = {"data": filled(needs.form, ours)} if needs.form else {}
            body |= {"json": filled(needs.json, ours)} if needs.json is not None else {}
            body |= {"files": {needs.file: ("x.csv", CSV)}} if needs.file else {}
            answer = client.request(method, address_of(path, needs, ours), follow_redirects=False, **body)
            found[name] = answer.status_code
    assert len(found) > 150
    assert {name: status for name, status in found.items() if status != 404} == {}


def test_no_import_can_mean_a_dataset_that_is_being_deleted(
    browser: Browser, database: Database, dataset_id: int
) -> None:
    browser.client.post(f"/datasets/{dataset_id}/delete", data={"name": "Requests"})
    page = upload(browser)
    form = page.form(f"/imports/{one_import(database).id}")
    said = browser.submit(form, "Import", dataset_name=f"Requests (deleted {dataset_id})")
    assert said.status == 200
    with database.read() as session:
        names = [name for (name,) in session.query(Dataset.name).order_by(Dataset.id)]
    assert names == [f"Requests\n(deleted {dataset_id})", f"Requests (deleted {dataset_id})"]
