"""No page has a serious or critical accessibility fault that axe can find, in either theme.

`tests/install_contract_tools.sh` installs axe-core where npm can; it is no part of this project.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import APIResponse, Page

from app.actor import LOCAL
from app.config import Settings
from app.db import Database
from app.models.evidence import IssueKind
from app.web.app import create_app
from tests import factories
from tests.access_matrix import ROUTES
from tests.everything import address_of, one_of_everything, routes_of
from tests.factories import Found

pytestmark = pytest.mark.browser

ROOT = Path(__file__).parent.parent.parent
AXE = ROOT / ".venv/contract/axe/node_modules/axe-core/axe.min.js"
MORE = (
    "/datasets/{dataset}/review?preset=all&search=row&min_confidence=0.1",
    "/datasets/{dataset}/review?preset=resolved",
)
"""States of a page that the list of routes does not ask for."""
LEAST_PAGES = 45
WITHOUT_PAGE = frozenset(
    {
        "account.signed_on",
        "account.single_sign_on",
        "experiments.chart",
        "exports.faults",
        "exports.validation",
        "live.stream",
        "monitoring.metrics",
        "overview.chart",
        "people.show",
        "providers.models",
    }
)
"""Files, pictures, and what is not here: a provider, metrics, people where nobody signs in."""
RUN = """(rules) => axe.run(document, { resultTypes: ["violations"], ...rules })
  .then((found) => found.violations
    .filter((one) => ["serious", "critical"].includes(one.impact))
    .map((one) => `${one.id} (${one.impact}): ${one.nodes.map((node) => node.target).join(" | ")}`))"""
ONLY_COLOURS: dict[str, Any] = {"runOnly": ["color-contrast", "link-in-text-block"]}


@pytest.fixture(scope="module")
def axe() -> str:
    if not AXE.is_file():
        pytest.skip("no axe: `tests/install_contract_tools.sh` installs it where npm can")
    return AXE.read_text(encoding="utf-8")


def test_axe_finds_no_serious_fault(
    axe: str, page: Page, site: str, database: Database, settings: Settings
) -> None:
    ids = filled_dataset(database, settings)
    faults, pages = {}, 0
    for path in (*(one.format(**ids) for one in MORE), *addresses(create_app(settings, database), ids)):
        page.emulate_media(color_scheme="light")
        answer = page.request.get(site + path)
        if not answer.ok:
            faults[path] = [f"was not shown: {answer.status}"]
        if not is_page(answer):
            continue
        pages += 1
        page.goto(site + path)
        page.evaluate(axe)
        found = page.evaluate(RUN, {})
        page.emulate_media(color_scheme="dark")  # nothing but colours is another then
        found += [f"dark: {one}" for one in page.evaluate(RUN, ONLY_COLOURS)]
        if found:
            faults[path] = found
    assert not faults, "\n".join(f"{path}: {one}" for path, found in faults.items() for one in found)
    assert pages >= LEAST_PAGES


def filled_dataset(database: Database, settings: Settings) -> dict[str, Any]:
    ids = one_of_everything(database, settings, "own")
    factories.add_evidence(
        database,
        ids["dataset"],
        neighbours={"r1": [("r2", 0.9)]},
        found=[Found("r1", IssueKind.CONFLICT, 0.5, ("r2",))],
    )
    return ids | {"user": LOCAL.user_id, "handle": "0123456789abcdef"}


def addresses(app: Any, ids: dict[str, Any]) -> Iterator[str]:
    for name, (method, path) in routes_of(app).items():
        if method == "GET" and not name.startswith("api.") and name not in WITHOUT_PAGE:
            yield address_of(path, ROUTES[name], ids | ROUTES[name].path)


def is_page(answer: APIResponse) -> bool:
    is_html = answer.headers.get("content-type", "").startswith("text/html")
    return answer.ok and is_html and "<html" in answer.text()
